"""A model of the rules for session IDs, without a web server, a store or a clock.

A request is a short program of steps. Each step is one call of the store, one write to the application's database or
one answer that reaches the browser; ``bad_ends.py`` runs the steps of several requests in every order. Each rule is a
field of :class:`Rules` and can be taken out, to show what it is for.

Secrets, keys and versions are readable text here: ``H(...)`` stands for an HMAC that only the server can make. The
clock knows only whether 30 seconds have passed. Answers arrive in any order, but less than 30 seconds after the save:
the rules take that for granted. An update that found another version and then loaded the record is one step, because
a version that changed never comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from .world import USERS, Contents, Cookie, Found, Record, Request, World, heir, is_blank, of_login


class Rules(NamedTuple):
    # A stale request: the session's secret was replaced after it loaded.
    stale_gets_no_cookie: bool = True
    stale_replaces_no_secret: bool = True
    stale_value_gives_way: bool = True
    stale_sees_nothing_new: bool = True
    stale_login_starts_new: bool = True
    stale_visitor_ends_no_login: bool = True
    # Endings.
    ended_session_takes_no_merge: bool = True  # the salt, made at creation, tells two lives of one key apart
    asked_endings_go_by_key: bool = True
    own_endings_go_by_version: bool = True
    own_endings_keep_the_cookie: bool = True
    versions_never_repeat: bool = True
    dead_key_stays_dead: bool = True
    # A replaced cookie: it came with a request after the secret was replaced, but less than 30 seconds after.
    replaced_cookie_opens_nothing: bool = True
    replaced_cookie_gets_no_cookie: bool = True
    replaced_write_fails: bool = True
    replaced_logout_fails: bool = True
    # Logins.
    same_login_is_merged: bool = True
    same_login_needs_the_old_secret: bool = True
    later_login_keeps_its_fields: bool = True
    login_survives_an_ending: bool = True
    other_user_starts_new: bool = True
    other_user_ends_the_old: bool = True
    login_times_increase: bool = True
    # A new session from a blank or dead cookie.
    new_key_is_derived: bool = True
    derived_key_after_a_taken_one: bool = True
    second_creator_merges: bool = True
    second_login_takes_contents: bool = True
    recent_counts_from_the_load: bool = True
    # CSRF tokens.
    token_depends_on_login: bool = True
    token_outlives_the_secret: bool = True
    token_of_closed_is_anonymous: bool = True
    blank_token_outlives_creation: bool = True


ALL = Rules()

WORKS = {*USERS, "poll"}
SAME_SECOND = 5
TIMED = {"password", "poll", "limit"}
READS = {"read", "poll"}


def merged(stored: Contents, r: Request, loaded: Contents, gives_way: bool) -> Contents:
    """The stored contents with what this request wrote: a value of its own, and one that others write too."""
    value = f"{r.name} as {r.as_user}"
    mine = {**dict(stored), f"of {r.name}": value, "x": value}
    if gives_way and dict(stored).get("x") != dict(loaded).get("x"):
        mine["x"] = dict(stored)["x"]
    return tuple(sorted(mine.items()))


def with_login(record: Record, r: Request) -> Record:
    return record._replace(user=r.as_user, authenticated=r.authenticated, credentials=r.credentials)


class Model:
    def __init__(self, rules: Rules = ALL) -> None:
        self.rules = rules

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        """All that can happen next; orders that cannot differ in the end are left out."""
        todo = [r for r in world.requests if r.step != "done"]
        asking = [r for r in todo if r.in_browser and r.step != "answer"]
        answers = [r for r in todo if r.step == "answer"]
        if answers and not asking:
            todo = answers  # only other requests of that browser could notice when they arrive
        for r in todo:
            yield f"{r.name} {r.kind}: {r.step}", getattr(self, "do_" + r.step)(world, r)
        pending = answers or any(r.step in ("limit", "prune") for r in asking)
        if not pending and any(record.since == world.clock == 0 for _, record in world.store):
            yield "30 seconds pass", world._replace(clock=1)

    # The request comes in.

    def do_show(self, world: World, r: Request) -> World:
        return world.having(r._replace(step="load", token=self.token(world, world.jar)))

    def do_load(self, world: World, r: Request) -> World:
        r = r._replace(cookie=world.jar if r.in_browser else r.cookie, step="work" if r.kind in WORKS else "save")
        found, record = self.find(world, r.cookie)
        r = r._replace(found=found, as_user=USERS.get(r.kind, ""), clock=world.clock)
        if found in (Found.LIVE, Found.REPLACED):
            assert r.cookie
            r = r._replace(base=record, key=r.cookie.key)
        if found is Found.LIVE:
            assert record
            r = r._replace(loaded=record, as_user=r.as_user or record.user)
        if r.is_thief:
            r = r._replace(token=self.token(world, r.cookie))
            if r.cookie and r.loaded and r.loaded.user == "anna" and r.loaded.secret != r.cookie.secret:
                world = world.evil("the thief's cookie opens a session whose secret is another")
        if r.kind == "form" and r.token not in self.accepted(world, r.cookie):
            return self.finish(world, r, status=503 if found is Found.REPLACED else 400)
        if r.kind == "password" and (r.loaded is None or r.loaded.user != "anna"):
            return self.finish(world, r, status=403)
        if r.kind == "read":
            return self.finish(world, r)
        if r.kind in USERS and not (r.as_user == "anna" and any(o.kind in TIMED for o in world.requests)):
            return self.do_work(world, r)  # nobody else looks at its time: one step less
        return world.having(r)

    def find(self, world: World, cookie: Cookie | None) -> tuple[Found, Record | None]:
        if cookie is None:
            return Found.NOTHING, None
        record = world.get(cookie.key)
        if record is None:
            return Found.CLOSED, None
        if record.secret == cookie.secret or not self.rules.replaced_cookie_opens_nothing:
            return Found.LIVE, record
        return (Found.REPLACED if record.since == world.clock else Found.CLOSED), record

    def do_work(self, world: World, r: Request) -> World:
        """What the view does between: the application's own database, the time of the login."""
        if r.kind == "poll":
            if r.base is None or not r.base.user or r.base.credentials == world.password:
                return self.finish(world, r)
            return world.having(r._replace(step="save"))
        if r.kind == "password":
            world = world._replace(password=world.password + 1)
        world = world._replace(logins=world.logins + 1)
        time = world.logins if self.rules.login_times_increase else SAME_SECOND
        return world.having(r._replace(step="save", authenticated=time, credentials=world.password))

    # The request is saved.

    def do_save(self, world: World, r: Request) -> World:
        r = r._replace(attempt=r.attempt + 1)
        if r.kind == "poll":
            return self.end_judged(world, r)
        if r.found is Found.REPLACED:
            return self.save_replaced(world, r)
        if r.kind == "logout":
            return self.log_out(world, r)
        if r.base is None:
            return self.start_new(world, r)
        return self.update(world, r)

    def save_replaced(self, world: World, r: Request) -> World:
        if r.kind in USERS:
            current = world.get(r.key)
            if current and self.is_same_login(world, r, r.key, current):
                return self.merge_login(world, r, r.key, current)
            return self.start_new(world, r)
        if r.kind == "logout":
            return self.finish(world, r, status=503 if self.rules.replaced_logout_fails else 200)
        if not self.rules.replaced_cookie_gets_no_cookie:
            return self.start_new(world, r)
        return self.finish(world, r, status=503 if self.rules.replaced_write_fails else 200)

    def update(self, world: World, r: Request) -> World:
        assert r.base
        loaded = r.loaded
        assert loaded
        stored = world.get(r.key)
        if r.kind in USERS and loaded.user not in ("", r.as_user) and self.rules.other_user_starts_new:
            if stored and stored.life == loaded.life and self.rules.other_user_ends_the_old:
                return world.delete(r.key).having(r)  # first: what is sent with the old cookie then finds nothing
            return self.start_new(world, r)
        if stored and stored.version == r.base.version:
            return self.write(world, r, r.base)
        if stored and stored.life != loaded.life and self.rules.ended_session_takes_no_merge:
            stored = None  # the key was used again, and this is another session
        if stored is None and r.kind in USERS and self.rules.login_survives_an_ending:
            return self.start_new(world, r, loaded.contents)
        if stored is None:
            return self.finish(world, r)  # dropped, and logged
        r = r._replace(base=stored)
        if stored.secret == loaded.secret:
            return world.having(r)  # merged, and tried again
        if r.kind not in USERS or not self.rules.stale_login_starts_new:
            if r.is_thief and not self.rules.stale_sees_nothing_new:
                world = world.evil("the thief sees what was stored since")
            return world.having(r._replace(stale=True))
        if self.is_same_login(world, r, r.key, stored):
            return self.merge_login(world, r, r.key, stored)
        return self.start_new(world, r, loaded.contents)

    def write(self, world: World, r: Request, stored: Record) -> World:
        assert r.loaded
        assert r.cookie
        contents = merged(stored.contents, r, r.loaded.contents, r.stale and self.rules.stale_value_gives_way)
        record = stored._replace(contents=contents, version=self.version(r, stored))
        fields_count = not r.stale or not self.rules.stale_replaces_no_secret
        sends = r.kind in USERS or r.kind == "regenerate"
        secret = stored.secret
        if sends:
            secret = f"secret of {r.name}"
        if r.kind in USERS:
            secret = of_login(r.cookie.secret, r.key, r.as_user, stored.life)
        if fields_count and sends:
            record = record._replace(secret=secret, since=world.clock)
            if stored.secret != r.cookie.secret and r.is_thief:
                world = world.evil("the thief takes the session over")
        if fields_count and r.kind in USERS:
            record = with_login(record, r)
        if r.stale and r.is_thief and dict(record.contents)["x"] != dict(stored.contents).get("x"):
            world = world.evil("the thief replaces a value that was stored since")
        world = world.put(r.key, record)
        if sends and (not r.stale or not self.rules.stale_gets_no_cookie):
            return self.finish(world, r, saved=record.life, answer=Cookie(r.key, secret))
        return self.finish(world, r, saved=record.life)

    def is_same_login(self, world: World, r: Request, key: str, stored: Record) -> bool:
        if not self.rules.same_login_is_merged or stored.user != r.as_user or not self.is_recent(world, r, stored):
            return False
        assert r.cookie
        derived = of_login(r.cookie.secret, key, r.as_user, stored.life)
        return derived == stored.secret or not self.rules.same_login_needs_the_old_secret

    def merge_login(self, world: World, r: Request, key: str, stored: Record) -> World:
        """The second of two clicks: compare-and-set in a loop, which for a model is one step."""
        record = stored._replace(
            contents=merged(stored.contents, r, (), gives_way=False), version=self.version(r, stored)
        )
        if r.authenticated > stored.authenticated and self.rules.later_login_keeps_its_fields:
            record = with_login(record, r)
        return self.finish(
            world.put(key, record), r._replace(key=key), saved=record.life, answer=Cookie(key, record.secret)
        )

    # A new session.

    def start_new(self, world: World, r: Request, contents: Contents = ()) -> World:
        """Also for a login whose session was ended, or belongs to another user, or has another secret by now."""
        for key in self.new_keys(r):
            taken = world.get(key)
            if taken is None:
                break
            if not self.is_recent(world, r, taken):
                continue
            if r.kind in USERS and self.is_same_login(world, r, key, taken):
                return self.merge_login(world, r, key, taken)
            if r.kind not in USERS and self.rules.second_creator_merges:  # as a stale request
                record = taken._replace(
                    contents=merged(taken.contents, r, (), gives_way=True), version=self.version(r, taken)
                )
                return self.finish(world.put(key, record), r, saved=record.life)
            if r.kind in USERS and not taken.user and self.rules.second_login_takes_contents:
                contents = tuple(sorted({**dict(contents), **dict(taken.contents)}.items()))
        life = f"life {r.name}{r.attempt}"
        secret = f"secret of {r.name}"
        if r.kind in USERS and r.cookie:
            secret = of_login(r.cookie.secret, key, r.as_user, life)
        record = Record(secret, life, world.clock, contents=merged(contents, r, contents, gives_way=False))
        record = record._replace(version=self.version(r, None))
        if r.kind in USERS:
            record = with_login(record, r)
        return self.finish(world.put(key, record), r._replace(key=key), saved=life, answer=Cookie(key, secret))

    def new_keys(self, r: Request) -> list[str]:
        own = [f"key of {r.name}"]
        if r.cookie is None or not self.rules.new_key_is_derived:
            return own
        if not is_blank(r.cookie) and not self.rules.dead_key_stays_dead:
            return [r.cookie.key, *own]
        if not self.rules.derived_key_after_a_taken_one:
            return [heir(r.cookie), *own]
        return [heir(r.cookie, number) for number in range(3)] + own

    def is_recent(self, world: World, r: Request, stored: Record) -> bool:
        return stored.since >= (r.clock if self.rules.recent_counts_from_the_load else world.clock)

    def version(self, r: Request, stored: Record | None) -> str | int:
        if self.rules.versions_never_repeat:
            return f"{r.name}{r.attempt}"
        return stored.version + 1 if stored and isinstance(stored.version, int) else 1

    # Endings.

    def log_out(self, world: World, r: Request) -> World:
        if r.loaded is None:
            return self.finish(world, r, answer="delete")
        stored = world.get(r.key)
        if stored is None:
            return self.finish(world, r, answer="delete")
        logged_in_since = stored.user and not r.loaded.user
        if logged_in_since and self.rules.stale_visitor_ends_no_login:
            return self.finish(world, r)
        if not self.rules.asked_endings_go_by_key and stored.version != r.loaded.version:
            return self.finish(world, r, answer="delete")
        if r.is_thief and stored.user and (logged_in_since or stored.life != r.loaded.life):
            world = world.evil("the thief ends a session that their cookie never opened")
        return self.finish(world.delete(r.key), r, answer="delete", saved=stored.life)

    def end_judged(self, world: World, r: Request) -> World:
        assert r.base
        answer: Literal["keep", "delete"] = "keep" if self.rules.own_endings_keep_the_cookie else "delete"
        stored = world.get(r.key)
        if stored is None:
            return self.finish(world, r, answer=answer)
        if stored.version == r.base.version or not self.rules.own_endings_go_by_version:
            if stored.credentials == world.password:
                world = world.evil("a poll ends a session that has just been renewed")
            return self.finish(world.delete(r.key), r, answer=answer)
        if stored.credentials != world.password and stored.user:
            return world.having(r._replace(base=stored))
        return self.finish(world, r, answer=answer)

    def do_limit(self, world: World, r: Request) -> World:
        """List the sessions of the user; all but the last login have to go."""
        sessions = sorted((s.authenticated, key, s) for key, s in world.store if s.user == r.as_user)
        victims = tuple((key, record) for _, key, record in sessions[:-1])
        if not victims:
            return self.answered(world, r)
        return world.having(r._replace(step="prune", victims=victims))

    def do_prune(self, world: World, r: Request) -> World:
        (key, judged), *others = r.victims
        stored = world.get(key)
        if stored and stored.version != judged.version and self.rules.own_endings_go_by_version:
            return world.having(r._replace(step="limit", victims=()))
        if stored and all(r.authenticated >= o.authenticated for o in world.requests) and key == r.key:
            world = world.evil("the limit ends the very login that it came with")
        if stored and stored.authenticated > max(judged.authenticated, r.authenticated):
            world = world.evil("the limit ends a session that has just logged in again")
        world, r = world.delete(key), r._replace(victims=tuple(others))
        return world.having(r) if others else self.answered(world, r)

    # The answer.

    def finish(
        self,
        world: World,
        r: Request,
        status: int = 200,
        answer: Cookie | Literal["keep", "delete"] = "keep",
        saved: str = "",
    ) -> World:
        r = r._replace(status=status, answer=answer, saved=saved, base=None, step="answer")
        if r.kind in USERS and status == 200:
            late = {(r.name, o.name) for o in world.requests if o.step == "answer" and r.in_browser}
            world = world._replace(crossed=world.crossed | late)
            if r.kind == "limit":
                return world.having(r._replace(step="limit"))
        return self.answered(world, r)

    def answered(self, world: World, r: Request) -> World:
        """Forget what nobody looks at any more, so that states which differ in that alone are one."""
        step = "done" if r.answer == "keep" or not r.in_browser else "answer"
        return world.having(r._replace(step=step, attempt=0, clock=0, key="", credentials=0))

    def do_answer(self, world: World, r: Request) -> World:
        cookie = r.answer if isinstance(r.answer, Cookie) else None
        return world.having(r._replace(step="done"))._replace(jar=cookie, jar_by=r.name)

    # CSRF tokens.

    def token(self, world: World, cookie: Cookie | None) -> str:
        """The token in a form that is shown to whoever sends this cookie."""
        if cookie is None:
            return ""
        found, record = self.find(world, cookie)
        if found is Found.CLOSED and self.rules.blank_token_outlives_creation:
            return self.token_for(heir(cookie), 0, cookie.secret)
        has_login = found is Found.LIVE or not self.rules.token_of_closed_is_anonymous
        return self.token_for(cookie.key, record.authenticated if record and has_login else 0, cookie.secret)

    def token_for(self, key: str, authenticated: int, secret: str) -> str:
        parts = [key]
        if self.rules.token_depends_on_login:
            parts.append(str(authenticated))
        if not self.rules.token_outlives_the_secret:
            parts.append(secret)
        return f"H({' '.join(parts)})"

    def accepted(self, world: World, cookie: Cookie | None) -> set[str]:
        tokens = {self.token(world, cookie)}
        if cookie and self.find(world, cookie)[0] is Found.CLOSED:
            tokens.add(self.token_for(cookie.key, 0, cookie.secret))  # the form was open for too long
        return tokens
