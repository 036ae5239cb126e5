"""An application whose visitors count all the time, while a test does to its database what operators do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from pyramid_sessionkit import StoreError, StoreUnavailable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.sql import SQLStore, from_settings
from tests.conftest import SECRET

VISITORS = 6
THREADS = 12
"""Two for each visitor, so that their requests meet."""

SECONDS = 20
"""A hang takes longer than that, nothing else does."""

PAUSE = 0.01
"""Seconds between two requests of a thread: the machine is to have time for the database."""


class Site:
    """An application with a SQL store, called without a server."""

    def __init__(self, url: str, **settings: Any) -> None:
        named = {f"sessionkit.sql.{name}": value for name, value in {"url": url, "timeout": "1", **settings}.items()}
        config = Configurator(settings={"sessionkit.secret": SECRET, "sessionkit.store": self._open, **named})
        config.include("pyramid_sessionkit")
        for view in (count, read, fill, plain):
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__)
        config.add_exception_view(refused, context=StoreError)
        self.app = config.make_wsgi_app()

    def _open(self, settings: dict[str, Any]) -> SQLStore:
        self.store = from_settings(parse_settings(settings))
        return self.store

    def ask(self, path: str, cookie: str = "") -> Response:
        return Request.blank(path, method="POST", headers={"Cookie": cookie}).get_response(self.app)

    def visitor(self) -> str:
        """The cookie of a visitor who has counted once."""
        response = self.ask("/count")
        assert response.status_int == 200, response.text
        return str(response.headers["Set-Cookie"].partition(";")[0])

    def close(self) -> None:
        self.store.close()


def count(request: Request) -> Response:
    request.session.apply("n", lambda n: n + 1, 0)
    return Response("counted")


def read(request: Request) -> Response:
    return Response(str(request.session.get("n", 0)))


def fill(request: Request) -> Response:
    """Takes room on the disk."""
    request.session["filler"] = "x" * int(request.params["size"])
    return Response("filled")


def plain(request: Request) -> Response:
    """A page that does not look at its session."""
    return Response("plain")


def refused(error: Exception, request: Request) -> Response:
    return Response(str(error), status=503 if isinstance(error, StoreUnavailable) else 500)


class Counting:
    """In a ``with``: visitors who count. Afterwards: what they were told.

    ``cookies``: those of the visitors, where the site cannot make any.
    """

    def __init__(self, site: Site, cookies: Sequence[str] = ()) -> None:
        self._site = site
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._count, args=(number,)) for number in range(THREADS)]
        self.visitors = list(cookies) or [site.visitor() for _ in range(VISITORS)]
        self.counted = Counter(dict.fromkeys(self.visitors, 1))
        self.answers: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()
        self.longest = 0.0

    def __enter__(self) -> Counting:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _count(self, number: int) -> None:
        cookie = self.visitors[number % len(self.visitors)]
        while not self._stop.is_set():
            started = time.monotonic()
            answer = self._site.ask("/count", cookie)
            took = time.monotonic() - started
            with self._lock:
                self.longest = max(self.longest, took)
                self.answers[answer.status_int] += 1
                if answer.status_int == 200:
                    self.counted[cookie] += 1
                else:
                    self.reasons[answer.text] += 1
            self._stop.wait(PAUSE)

    def go_on(self, answers: int = 24, status: int = 200) -> None:
        """Wait for so many more answers: with 200, what the test has done is over."""
        wanted = self.answers[status] + answers
        deadline = time.monotonic() + SECONDS
        while self.answers[status] < wanted:
            assert time.monotonic() < deadline, f"too few answers with {status}: {self}"
            time.sleep(0.01)

    def missing(self, site: Site) -> int:
        """How many were answered 200 and are not stored; ``site`` reads from the database that counts."""
        return sum(max(0, self.counted[cookie] - int(site.ask("/read", cookie).text)) for cookie in self.visitors)

    def __str__(self) -> str:
        reasons = "".join(f"\n    {number} x {text[:200]}" for text, number in self.reasons.most_common(8))
        return f"answers {dict(self.answers)}, longest {self.longest:.2f} s{reasons}"
