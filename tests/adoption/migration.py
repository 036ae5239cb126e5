"""A whole migration on one WSGI server: fifty visitors of an old site come to the new one, each with several requests
at once. For the tests of each library, with sessions that the real library made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple

from webtest.http import StopableWSGIServer

from pyramid_sessionkit.adoption import OldSessions
from tests.adoption.old_site import NewSite

VISITORS = 50
AT_ONCE = 4
"""Requests of one visitor."""

OldVisit = Callable[["str | None", str], dict[str, str]]
"""``(name, fruit) -> cookies``: what a browser has after it has visited the old site, where it logged in as ``name``
unless that is None, and put ``{"cart": [fruit]}`` into its session."""


class Answer(NamedTuple):
    status: int
    userid: str | None
    contents: dict[str, Any]
    cookies: dict[str, str]
    """After the answer."""


class Visitor(NamedTuple):
    name: str | None
    fruit: str
    old_cookies: dict[str, str]

    def is_in(self, answer: Answer) -> bool:
        """Whether an answer is that of this visitor's own session."""
        return (answer.status, answer.userid, answer.contents.get("cart")) == (200, self.name, [self.fruit])


def migrate(visit: OldVisit, old: OldSessions, settings: dict[str, Any]) -> None:
    """All visitors come, and nobody loses anything; some log out, and nobody gets in."""
    visitors = [_visitor(visit, number) for number in range(VISITORS)]
    site = NewSite(old, settings)
    with served(site.app) as ask, ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda visitor: _come(ask, visitor), visitors))
        for visitor, answers in zip(visitors, first, strict=True):
            assert all(visitor.is_in(answer) for answer in answers), (visitor, answers)
            assert len({answer.cookies["session"] for answer in answers}) == 1, (visitor, answers)
        cookies = [answers[0].cookies for answers in first]
        again = list(pool.map(lambda cookies: ask("/put", cookies), cookies))
        for visitor, answer in zip(visitors, again, strict=True):
            assert visitor.is_in(answer), (visitor, answer)
            assert answer.contents["n"] == AT_ONCE + 1, (visitor, answer)
        assert len(_live(site)) == VISITORS

        gone = range(0, VISITORS, 3)
        for number in gone:
            assert ask("/logout", cookies[number]).status == 200
        for number, visitor in enumerate(visitors):
            replayed = ask("/show", visitor.old_cookies)
            assert replayed.status == 200
            if number in gone:
                assert (replayed.userid, replayed.contents) == (None, {}), (visitor, replayed)
            else:
                assert visitor.is_in(replayed), (visitor, replayed)
        for visitor in visitors[:10]:
            for forged in _forged(visitor.old_cookies):
                answer = ask("/show", forged)
                assert (answer.status, answer.userid, answer.contents) == (200, None, {}), (visitor, forged)
        assert len(_live(site)) == VISITORS - len(gone)


def _visitor(visit: OldVisit, number: int) -> Visitor:
    name, fruit = f"user-{number}" if number % 2 else None, f"apples {number}"
    return Visitor(name, fruit, visit(name, fruit))


def _come(ask: Callable[..., Answer], visitor: Visitor) -> list[Answer]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: ask("/put", visitor.old_cookies), range(AT_ONCE)))


def _live(site: NewSite) -> list[str]:
    return [key for key, _ in site.store.live_sessions(999) if not key.startswith("adopted-")]


def _forged(cookies: dict[str, str]) -> Iterator[dict[str, str]]:
    """Cookies as those, of which one character is another; and none but made-up ones."""
    for name, value in cookies.items():
        for index in (0, len(value) // 2, len(value) - 2):
            other = "A" if value[index] != "A" else "B"
            yield {**cookies, name: value[:index] + other + value[index + 1 :]}
    yield dict.fromkeys(cookies, "made-up")


@contextmanager
def served(app: Any) -> Iterator[Callable[[str, dict[str, str]], Answer]]:
    """A function that asks the application over HTTP, with these cookies."""
    server = StopableWSGIServer.create(app, threads=8)

    def ask(path: str, cookies: dict[str, str]) -> Answer:
        connection = HTTPConnection(server.effective_host, int(server.effective_port), timeout=20)
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection.request("GET", path, headers={"Cookie": header})
        response = connection.getresponse()
        body = json.loads(response.read() or b"{}")
        after = dict(cookies)
        for sent in response.headers.get_all("Set-Cookie") or []:
            name, _, value = sent.partition(";")[0].partition("=")
            after.pop(name, None) if "Max-Age=0" in sent else after.update({name: value})
        connection.close()
        return Answer(response.status, body.get("userid"), body.get("contents", {}), after)

    try:
        yield ask
    finally:
        server.shutdown()
