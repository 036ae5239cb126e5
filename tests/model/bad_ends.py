"""All orders of the steps of a few requests, and what must never come of them.

Known and accepted: an answer that was decided before a login was stored, carries a cookie of its own (a regenerated ID,
or the first cookie of a new session), and arrives after the answer of the login. The browser then holds the cookie that
came last. Nothing in that cookie could be allowed to open the login's session: a thief may hold the one before it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple

from .rules import READS, Model
from .world import Cookie, Found, Record, Request, World, heir


def bad_ends(model: Model, start: World, world: World) -> Iterator[str]:
    yield from world.evils
    for r in world.requests:
        if r.name in ("one", "two"):
            yield from lost_writes(world, r)
            yield from failed_logins(world, r)
            if r.kind == "logout" and r.status == 200 and r.found is not Found.NOTHING:
                yield from survived_logout(start, world, r)
        if r.is_thief:
            yield from gains(model, start, world, r)
    yield from misplaced(world)
    yield from refused_forms(world)
    kinds = {r.kind for r in world.requests if r.logged_in and r.as_user == "anna"}
    if kinds == {"limit"} and sum(record.user == "anna" for _, record in world.store) > 1:
        yield "two sessions where the limit is one"


def lives(world: World) -> dict[str, Record]:
    return {record.life: record for _, record in world.store}


def lost_writes(world: World, r: Request) -> Iterator[str]:
    if r.kind == "logout" or r.kind in READS or r.status != 200:
        return
    if not r.saved:
        if r.loaded and r.loaded.life not in world.ended:
            yield f"{r.name}: a write was dropped, and the session lives"
        elif r.found is Found.REPLACED:
            yield f"{r.name}: a write was dropped, and reported as saved"
        return
    if r.saved in world.ended:
        return
    if f"of {r.name}" not in dict(lives(world)[r.saved].contents):
        yield f"{r.name}: a write is missing"
    elif f"of {r.name}" not in visible(world) and not may_be_out_of_sight(world, r):
        yield f"{r.name}: a write is stored where its browser cannot see it"


def visible(world: World) -> dict[str, str]:
    held = world.opens(world.jar)
    return dict(held.contents) if held else {}


def may_be_out_of_sight(world: World, r: Request) -> bool:
    """Whether the browser may hold the cookie of another session than this request wrote to."""
    by = last_answer(world)
    if any(o.is_thief and o.kind != "logout" and o.saved == r.saved for o in world.requests):
        return True  # a thief created this session, or replaced its secret while they shared it
    if by is None:
        return False
    if by.kind == "logout" or by.saved in world.ended or (r.name, by.name) in world.crossed:
        return True
    if by.logged_in and r.kind == "regenerate":
        return True  # the login knew the old secret alone
    return by.logged_in and "bert" in (by.as_user, r.as_user)


def last_answer(world: World) -> Request | None:
    """The request whose answer set the cookie that the browser holds."""
    return next((r for r in world.requests if r.name == world.jar_by), None)


def failed_logins(world: World, r: Request) -> Iterator[str]:
    if not r.logged_in or r.saved in world.ended:
        return
    by = last_answer(world)
    if by and (by.kind == "logout" or (r.name, by.name) in world.crossed):
        return
    if by and by is not r and (by.saved in world.ended or (by.logged_in and by.as_user != r.as_user)):
        return
    held = world.opens(world.jar)
    if held is None or held.user != r.as_user:
        yield f"{r.name}: the login was reported, and its browser is not logged in"
    elif held.user == "anna" and held.credentials != world.password:
        if r.loaded and r.loaded.life in world.ended:
            return  # the session was ended, and this login was made with the password of before
        yield f"{r.name}: the next poll logs out a browser that has just logged in"


def survived_logout(start: World, world: World, r: Request) -> Iterator[str]:
    """Only for somebody who saw that they were logged in."""
    loaded = r.loaded or (r.cookie and start.get(r.cookie.key))
    if not loaded or not loaded.user:
        return
    if any(o.is_thief and o.kind == "regenerate" and o.saved == loaded.life for o in world.requests):
        return  # they had stolen a live cookie, and were the first to replace it
    if loaded.life in lives(world):
        yield f"{r.name}: the logout was reported, and the session lives"


def gains(model: Model, start: World, world: World, thief: Request) -> Iterator[str]:
    assert thief.cookie
    has_copy = start.opens(thief.cookie)
    for cookie in (thief.cookie, thief.answer):
        if not isinstance(cookie, Cookie):
            continue
        held = world.opens(cookie)
        if not held or held.user != "anna":
            continue
        if not (has_copy and has_copy.user):
            yield "a cookie of the thief's opens the session of another"
        if held.credentials == world.password > 1:
            yield "a stolen cookie survives a change of password"
    if any(r.in_browser and r.logged_in and r.answer == thief.answer for r in world.requests):
        yield "a login shares its session with a thief"
    if has_copy and has_copy.user:
        return
    for key, record in world.store:
        if record.user == "anna" and thief.token and thief.token == model.token(world, Cookie(key, record.secret)):
            yield "a token of the thief's is good for the session of another"


def misplaced(world: World) -> Iterator[str]:
    for _, record in world.store:
        if record.user != "anna" and any("as anna" in value for _, value in record.contents):
            yield "what was written as anna is in a session that is not theirs"
        if record.user not in ("", "bert", "thief") and any("as bert" in value for _, value in record.contents):
            yield "what was written as bert is in a session that is not theirs"


def refused_forms(world: World) -> Iterator[str]:
    """A form that is sent may be refused after a login, a logout, or where a thief was first."""
    if world.ended or any(r.logged_in or r.kind == "logout" or (r.is_thief and r.saved) for r in world.requests):
        return
    if any(r.token.startswith(f"H({key} 0") and record.user for r in world.requests for key, record in world.store):
        return  # its page was made for a replaced cookie, and showed nobody as logged in
    if any(r.kind == "form" and r.status == 400 for r in world.requests):
        yield "a form is refused, and nobody logged in or out"


def explore(model: Model, start: World) -> tuple[int, dict[str, list[str]]]:
    """All states that can be reached, counted, and the shortest way to each bad end."""
    ways: dict[World, tuple[World | None, str]] = {start: (None, "")}
    ends: dict[str, list[str]] = {}
    queue = [start]
    for world in queue:
        if all(r.step == "done" for r in world.requests):
            for what in bad_ends(model, start, world):
                ends.setdefault(what, trace(ways, world))
            continue
        for step, after in model.steps(world):
            way = world, step
            if ways.setdefault(after, way) is way:
                queue.append(after)
    return len(ways), ends


def trace(ways: dict[World, tuple[World | None, str]], world: World) -> list[str]:
    steps = []
    at: World | None = world
    while at is not None:
        at, step = ways[at]
        steps.append(step)
    return steps[-2::-1]


KINDS = ("read", "write", "login", "other", "logout", "regenerate", "password", "poll", "limit", "form")
THEFTS = ("write", "regenerate", "logout", "thief's login")
CREATIONS = ("write", "thief's login")  # all that a blank cookie can do
BLANK = Cookie("blank", "b0")
FIRST = Cookie("K", "s0")
SECOND = Cookie("K", "s1")
DERIVED = Cookie(heir(BLANK), "s1")
ELSEWHERE = ("other", Record("e0", "life E", -1, "anna", 5, 1))
ANONYMOUS = Record("s0", "life K", -1)
LOGGED_IN = Record("s1", "life K", -1, "anna", 5, 1, (("x", "before as anna"),), 1)

STARTS = {
    "anonymous": World((("K", ANONYMOUS), ELSEWHERE), FIRST),
    "logged in": World((("K", LOGGED_IN), ELSEWHERE), SECOND),
    "blank": World((ELSEWHERE,), BLANK),
    "dead": World((ELSEWHERE,), SECOND),
    "from a blank": World(((DERIVED.key, LOGGED_IN), ELSEWHERE), DERIVED),
}
COOKIES = {"anonymous": [FIRST], "logged in": [FIRST, SECOND], "blank": [BLANK], "dead": [], "from a blank": [BLANK]}


class Scenario(NamedTuple):
    start: str
    one: str
    two: str
    third: Request | None = None

    def world(self) -> World:
        two = [Request("one", self.one, in_browser=True), Request("two", self.two, in_browser=True)]
        two = [r._replace(step="show") if r.kind == "form" else r for r in two]
        return STARTS[self.start]._replace(requests=(*two, self.third) if self.third else tuple(two))


def scenarios(start: str) -> Iterator[Scenario]:
    """Two requests of one browser, and a thief who holds a cookie of theirs, or the same user elsewhere."""
    thieves = [thief(kind, cookie) for cookie in COOKIES[start] for kind in (CREATIONS if cookie is BLANK else THEFTS)]
    others = [elsewhere("write"), elsewhere("limit")] if start == "logged in" else []
    for one, two in combinations_with_replacement(KINDS, 2):
        thirds = [None, *thieves, *(others if "limit" in (one, two) else [])]
        yield from (Scenario(start, one, two, third) for third in thirds)


def thief(kind: str, cookie: Cookie) -> Request:
    return Request("thief", kind, cookie=cookie)


def elsewhere(kind: str) -> Request:
    return Request("elsewhere", kind, cookie=Cookie("other", "e0"))
