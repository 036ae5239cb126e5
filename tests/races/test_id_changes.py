"""Requests of one browser that run at once while the ID changes, in each order that there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyramid_sessionkit.stores.memory import MemoryStore
from tests.races.conftest import LISTING, STORES
from tests.races.schedule import Choices, Step, orders, run_in_order
from tests.races.site import Browser, Site, key_of

MOST = {"memory": int(os.environ.get("SESSIONKIT_ORDERS", "65")), "others": 12}
"""How many orders of each race are run, by chance where there are more. ``make fuzz`` runs up to 5,000, in memory."""

pytestmark = pytest.mark.exhaustive

every_store = pytest.mark.parametrize("kind", STORES)
every_listing_store = pytest.mark.parametrize("kind", LISTING)


class Race:
    """Requests that run at once, from the same beginning in each order."""

    def __init__(self, store: Any, *before: str, **settings: Any) -> None:
        self._site = Site(store, **settings)
        self._before = before
        self._most = MOST["memory" if isinstance(store, MemoryStore) else "others"]

    def orders(
        self, *requests: tuple[str, ...], browsers: int = 1, stolen: bool = False, then: tuple[str, ...] = ()
    ) -> Iterator[tuple[Site, list[Browser], list[int]]]:
        """Yield the site and its browsers after each order.

        A request is a tuple of wishes. It is sent by the first browser, unless it begins with the number of another.
        ``stolen``: the others have a copy of the first one's cookie, and not one of their own; ``then``: what the first
        one asks for after that.
        """
        made: list[Browser] = []

        def run(choose: Choices) -> list[Step]:
            self._site.clear()
            made[:] = [Browser(self._site) for _ in range(browsers)]
            for browser in made:
                if self._before and not stolen:
                    browser.ask(*self._before)
            if stolen:
                made[0].ask(*self._before)
                for thief in made[1:]:
                    thief.cookie = made[0].cookie
            if then:
                made[0].ask(*then)
            return run_in_order([_steps(made, request) for request in requests], choose)

        for order in orders(run, self._most):
            yield self._site, made, order


def _steps(browsers: list[Browser], request: tuple[str, ...]) -> Callable[[Callable[[], None]], None]:
    which = int(request[0]) if request[0].isdigit() else 0
    return browsers[which].step_by_step(*(wish for wish in request if not wish.isdigit()))


def opened_by(site: Site, key: str) -> list[str]:
    """Of all cookies that the session with this key ever had, those that open something."""
    return [cookie for cookie in site.issued if key_of(cookie) == key and site.contents(cookie)]


@every_store
@pytest.mark.parametrize("change", ["login:ada", "regenerate"])
@pytest.mark.parametrize("before", [("write:old",), ("write:old", "login:ada")])
def test_a_change_beside_a_new_id_is_kept(store: Any, change: str, before: tuple[str, ...]) -> None:
    for site, (browser,), order in Race(store, *before).orders(("write:new",), (change,)):
        answers = dict(browser.answers[1:])
        assert answers[change,].status == 200
        kept = {"old", "new"} if answers["write:new",].status == 200 else {"old"}
        assert set(site.contents(browser.cookie)["cart"]) == kept, order
        assert answers["write:new",].status in (200, 503)


@every_store
@pytest.mark.parametrize("change", ["login:ada", "regenerate"])
def test_after_a_logout_no_id_of_the_session_opens_it(store: Any, change: str) -> None:
    for site, (browser,), order in Race(store, "login:ada", "write:old").orders(("logout",), (change,)):
        key = key_of(site.issued[0])
        answers = dict(browser.answers)
        if answers["logout",].status == 200:
            assert opened_by(site, key) == [], order
        else:
            assert answers["logout",].status == 503, order


@every_listing_store
@pytest.mark.parametrize("change", ["login:ada", "regenerate"])
@pytest.mark.parametrize("how", ["revoke", "others", "all"])
def test_a_revoked_session_stays_ended(store: Any, how: str, change: str) -> None:
    for site, _, order in Race(store, "login:ada", "write:old").orders((change,), ("1", how), browsers=2):
        assert opened_by(site, key_of(site.issued[0])) == [], order


@every_listing_store
@pytest.mark.parametrize("change", ["login:ada", "regenerate", "password:2"])
def test_who_revokes_the_others_stays_logged_in(store: Any, change: str) -> None:
    for site, (phone, laptop), order in Race(store, "login:ada", "write:old").orders(
        (change, "others", "list"), browsers=2
    ):
        assert site.whose(phone.cookie) == "ada", order
        assert site.whose(laptop.cookie) is None, order
        listed = phone.answers[-1][1].body["seen"][-1]
        assert [current for key, current in listed if key == key_of(phone.cookie or "")] == [True]


@every_store
@pytest.mark.parametrize("before", [("write:old",), ("form",), ("login:bob",), ("login:ada",)])
@pytest.mark.parametrize("limit", ["none", 1])
def test_a_double_click_logs_in_once(store: Any, kind: str, before: tuple[str, ...], limit: Any) -> None:
    if limit == 1 and kind == "memcached":
        pytest.skip("memcached cannot limit a user's sessions")
    for site, (browser,), order in Race(store, *before, max_sessions_per_user=limit).orders(
        ("login:ada",), ("login:ada",)
    ):
        assert [answer.status for _, answer in browser.answers[1:]] == [200, 200], order
        assert site.whose(browser.cookie) == "ada", order
        assert len({cookie for cookie in site.issued[1:] if site.whose(cookie) == "ada"}) == 1, order


@every_store
@pytest.mark.parametrize("before", [("write:old",), ("form",), ("login:ada",)])
def test_two_users_in_one_browser_end_as_it_was_last_told(store: Any, before: tuple[str, ...]) -> None:
    for site, (browser,), order in Race(store, *before).orders(("login:ada",), ("login:bob",)):
        told = [answer.body["userid"] for _, answer in browser.answers[1:] if answer.status == 200]
        assert site.whose(browser.cookie) == told[-1], order


@every_store
@pytest.mark.parametrize("before", [("write:old",), ("form",), ("login:ada",)])
def test_a_form_beside_a_login_does_not_undo_it(store: Any, before: tuple[str, ...]) -> None:
    for site, (browser,), order in Race(store, *before).orders(("login:ada",), ("form",)):
        assert site.whose(browser.cookie) == "ada", order


@every_store
def test_two_first_changes_make_one_session(store: Any) -> None:
    for site, (browser,), order in Race(store, "form").orders(("write:a",), ("write:b",)):
        assert set(site.contents(browser.cookie)["cart"]) == {"a", "b"}, order


@every_store
def test_the_browser_that_changed_its_password_stays_logged_in(store: Any) -> None:
    for site, (phone, laptop), order in Race(store, "login:ada").orders(
        ("password:2",), ("who",), ("1", "who"), browsers=2
    ):
        assert site.whose(phone.cookie) == "ada", order
        assert site.whose(laptop.cookie) is None, order


@every_listing_store
def test_of_logins_at_once_one_stays_within_the_limit(store: Any) -> None:
    race = Race(store, "write:old", max_sessions_per_user=1)
    for site, browsers, order in race.orders(("login:ada",), ("1", "login:ada"), browsers=2):
        logged_in = [browser for browser in browsers if site.whose(browser.cookie) == "ada"]
        assert len(logged_in) == 1, order


@every_listing_store
def test_the_limit_ends_a_session_that_gets_a_new_id(store: Any) -> None:
    race = Race(store, "write:old", max_sessions_per_user=1)
    for site, browsers, order in race.orders(("0", "login:ada", "regenerate"), ("1", "login:ada"), browsers=2):
        assert sum(site.whose(browser.cookie) == "ada" for browser in browsers) == 1, order


@every_store
def test_a_login_meets_what_was_begun_with_the_same_form(store: Any) -> None:
    for site, (browser,), order in Race(store, "form").orders(("write:a",), ("login:ada",)):
        told = [answer for _, answer in browser.answers[1:] if answer.cookie]
        if told[-1].body["userid"] == "ada":
            assert site.whose(browser.cookie) == "ada", order
            assert "a" in site.contents(browser.cookie).get("cart", {}), order
        else:
            # The other answer was decided first and came last: nobody is let in, and nobody was lied to about the cart.
            assert site.whose(browser.cookie) is None, order


@every_listing_store
def test_a_password_changed_twice_at_once_leaves_its_browser_in(store: Any) -> None:
    for site, (browser,), order in Race(store, "login:ada").orders(("password:2",), ("password:3",)):
        assert site.whose(browser.cookie) == "ada", order


@every_store
def test_a_key_that_lives_again_gets_nothing_of_its_first_life(store: Any) -> None:
    """The thief has the blank cookie from which the victim's key was derived."""
    race = Race(store, "form")
    requests = ("write:secret",), ("logout",), ("1", "write:x")
    for site, (_, thief), order in race.orders(*requests, browsers=2, stolen=True, then=("login:ada",)):
        assert "secret" not in str(site.contents(thief.cookie)), order


class TestThief:
    """Somebody has the cookie of before the login, and holds a request open."""

    @every_store
    @pytest.mark.parametrize("wish", ["read", "regenerate", "invalidate", "token", "write:x", "login:bob", "form"])
    def test_a_stolen_old_cookie_opens_nothing(self, store: Any, wish: str) -> None:
        race = Race(store, "write:old")
        for site, (victim, thief), order in race.orders(
            ("login:ada", "write:secret"), ("1", "who", wish, "read"), browsers=2, stolen=True
        ):
            assert site.whose(victim.cookie) == "ada", order
            assert "secret" in site.contents(victim.cookie)["cart"], order
            assert site.whose(thief.cookie) != "ada", order
            assert "secret" not in str(site.contents(thief.cookie)), order
            (_, answer) = thief.answers[-1]
            assert "secret" not in str(answer.body), order
            token = answer.body["seen"][1] if answer.status == 200 else None
            assert victim.ask(f"submit:{token}").body["seen"] == [False], order
