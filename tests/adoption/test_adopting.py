"""An old session goes on in ours, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.events import LoggedIn, SessionCreated
from tests.adoption.old_site import DictSessions, NewSite

ADA = Adopted({"cart": ["apples"]}, userid=7)
SETTINGS: dict[str, dict[str, Any]] = {
    "memory": {},
    "sqlite": {"store": "sql", "sql.url": "sqlite:///{folder}/s.sqlite", "sql.create_table": "true"},
}


@pytest.fixture(params=SETTINGS)
def settings(request: pytest.FixtureRequest, tmp_path: Any) -> dict[str, Any]:
    return {name: value.format(folder=tmp_path) for name, value in SETTINGS[request.param].items()}


@pytest.fixture
def old() -> DictSessions:
    return DictSessions({"token-of-ada": ADA})


@pytest.fixture
def site(old: DictSessions, settings: dict[str, Any]) -> NewSite:
    return NewSite(old, settings)


def live_sessions(site: NewSite) -> list[str]:
    """The keys of what is stored, without marks."""
    return [key for key, _ in site.store.live_sessions(99) if not key.startswith("adopted-")]


def test_the_contents_and_the_user_stay(site: NewSite) -> None:
    assert site.browser(old="token-of-ada").get("/show").json == {"contents": {"cart": ["apples"]}, "userid": "7"}


def test_its_visitor_gets_our_cookie_and_loses_the_old_one(site: NewSite, old: DictSessions) -> None:
    browser = site.browser(old="token-of-ada")
    browser.get("/show")
    assert list(browser.cookies) == ["session"]
    assert old.forgotten == ["token-of-ada"]
    assert browser.get("/show").json["userid"] == "7"


def test_it_is_created_and_nobody_logs_in(site: NewSite) -> None:
    site.browser(old="token-of-ada").get("/show")
    assert [type(event) for event in site.events] == [SessionCreated]
    assert not any(isinstance(event, LoggedIn) for event in site.events)


def test_a_visitor_without_an_old_session_is_new(site: NewSite) -> None:
    browser = site.browser(old="made-up")
    assert browser.get("/show").json == {"contents": {}, "userid": None}
    assert list(browser.cookies) == ["old"]
    assert live_sessions(site) == []


def test_requests_at_once_make_one_session(site: NewSite, old: DictSessions) -> None:
    barrier = Barrier(6)
    old.while_reading = barrier.wait
    browsers = [site.browser(old="token-of-ada") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda browser: browser.get("/put").json, browsers))
    assert {answer["userid"] for answer in answers} == {"7"}
    assert len({browser.cookies["session"] for browser in browsers}) == 1
    assert len(live_sessions(site)) == 1
    assert browsers[0].get("/show").json["contents"] == {"cart": ["apples"], "n": 6}
    assert len([event for event in site.events if isinstance(event, SessionCreated)]) == 1


def test_a_request_that_comes_later_with_the_old_cookie_finds_it(site: NewSite) -> None:
    site.browser(old="token-of-ada").get("/put")
    late = site.browser(old="token-of-ada")
    assert late.get("/show").json["contents"]["n"] == 1
    assert list(late.cookies) == ["session"]


def test_the_old_cookie_opens_nothing_after_a_logout(site: NewSite, old: DictSessions) -> None:
    browser = site.browser(old="token-of-ada")
    browser.get("/show")
    browser.get("/logout")
    old.records["token-of-ada"] = ADA
    replayed = site.browser(old="token-of-ada")
    assert replayed.get("/show").json == {"contents": {}, "userid": None}
    assert list(replayed.cookies) == []
    assert live_sessions(site) == []


def test_a_logout_that_overtakes_an_adoption_wins(site: NewSite, old: DictSessions) -> None:
    """One request has read the old session; before it stores anything another adopts it, and logs out."""

    def log_out() -> None:
        old.while_reading = lambda: None
        browser = site.browser(old="token-of-ada")
        browser.get("/show")
        browser.get("/logout")

    old.while_reading = log_out
    assert site.browser(old="token-of-ada").get("/show").json["userid"] is None
    assert live_sessions(site) == []
