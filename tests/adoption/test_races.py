"""Requests with one old cookie that run at once, in each order that there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.events import SessionCreated
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.adoption.old_site import Browser, DictSessions, NewSite
from tests.races.conftest import STORES, make_store, memcached, postgresql, redis, store
from tests.races.schedule import Choices, Step, orders, run_in_order
from tests.races.site import GatedStore

__all__ = ["make_store", "memcached", "postgresql", "redis", "store"]

MOST = {"memory": int(os.environ.get("SESSIONKIT_ORDERS", "65")), "others": 12}
"""How many orders of each race are run, by chance where there are more."""

pytestmark = [pytest.mark.exhaustive, pytest.mark.parametrize("kind", STORES)]


ADA = Adopted({"cart": ["apples"]}, userid="ada")


class Race:
    """First requests of one browser. It has the old cookie when it sends them, and then what their answers set."""

    def __init__(self, store: Any) -> None:
        self.old = DictSessions()
        self.old.before_reading = lambda: self.gated.stop()
        self.gated = GatedStore(store)
        self._in_memory = isinstance(store, MemoryStore)
        self.site = NewSite(self.old, {"store": lambda _: self.gated})
        self.browser = Browser(self.site.app, {})

    def orders(self, *paths: str) -> Iterator[list[int]]:
        """Yield each order after it was run; ``answers`` has the status of each path."""

        def run(choose: Choices) -> list[Step]:
            self.site.events.clear()
            self.token = uuid4().hex
            self.old.records = {self.token: ADA}
            self.browser.cookies = {"old": self.token}
            self.answers: list[tuple[str, int]] = []
            return run_in_order([self._steps(path) for path in paths], choose)

        return orders(run, MOST["memory" if self._in_memory else "others"])

    def _steps(self, path: str) -> Callable[[Callable[[], None]], None]:
        def run(gate: Callable[[], None]) -> None:
            self.gated.stop_at(gate)
            try:
                sent = Browser(self.site.app, {"old": self.token})
                response = sent.get(path)
            finally:
                self.gated.stop_at(None)
            gate()
            self.answers.append((path, response.status_int))
            self.browser.take(response)

        return run

    def replayed(self) -> Browser:
        """Somebody who kept a copy of the old cookie, when also the old record is back."""
        self.old.records = {self.token: ADA}
        return Browser(self.site.app, {"old": self.token})


def test_first_requests_make_one_session_and_lose_nothing(store: Any) -> None:
    race = Race(store)
    for order in race.orders("/put", "/put"):
        assert race.answers == [("/put", 200)] * 2, order
        assert race.browser.get("/show").json == {"contents": {"cart": ["apples"], "n": 2}, "userid": "ada"}, order
        assert [type(event) for event in race.site.events] == [SessionCreated], order
        assert "old" not in race.browser.cookies


def test_a_logout_beside_another_first_request_holds(store: Any) -> None:
    race = Race(store)
    for order in race.orders("/put", "/logout"):
        assert dict(race.answers)["/logout"] == 200, order
        assert race.replayed().get("/show").json["userid"] is None, order
        assert race.browser.get("/show").json["userid"] is None, order


def test_a_login_beside_another_first_request_holds(store: Any) -> None:
    race = Race(store)
    for order in race.orders("/put", "/login?name=ada"):
        assert dict(race.answers)["/login?name=ada"] == 200, order
        shown = race.browser.get("/show").json
        if race.answers[-1][0] != "/put":
            assert (shown["userid"], shown["contents"]["cart"]) == ("ada", ["apples"]), order
        # An answer that the login's overtook brings the cookie from before it, as it does for any new session.
        assert shown["userid"] in ("ada", None), order


def test_a_login_as_somebody_else_gets_nothing_of_the_old_session(store: Any) -> None:
    race = Race(store)
    for order in race.orders("/put", "/login?name=eve"):
        shown = race.browser.get("/show").json
        if race.answers[-1][0] != "/put":
            assert shown["userid"] == "eve", order
        assert shown["userid"] == "ada" or "cart" not in shown["contents"], order
