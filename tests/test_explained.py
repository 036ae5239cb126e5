"""What the panel of the debug toolbar says, without the toolbar."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

import pytest

from pyramid_sessionkit import IListable, IUserIndex, Session
from pyramid_sessionkit.debugtoolbar.differences import differences
from pyramid_sessionkit.debugtoolbar.explained import explain, moment
from pyramid_sessionkit.debugtoolbar.journal import Journal
from pyramid_sessionkit.debugtoolbar.reasons import reasons
from pyramid_sessionkit.debugtoolbar.recording import Call, RecordingStore
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import stored

Open = Callable[..., Session]


def told(session: Session) -> tuple[str, ...]:
    return reasons(session.work, differences(session.work))


class TestReasons:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda session: session.touch(), "renewed: touch()"),
            (lambda session: session.regenerate_id(), "new ID: regenerate_id()"),
            (lambda session: session.set_expiry(timeout=60, persistent=True), "limits set: timeout, persistent"),
            (lambda session: session.login("ada"), "logged in: ada"),
            (lambda session: session["cart"].append(2), "changed: cart"),
            (lambda session: session.pop("cart"), "changed: cart"),
            (lambda session: session.work.set_credentials("hash"), "set: credentials"),
        ],
    )
    def test_each_change_has_its_reason(self, open_session: Open, change: Callable[..., Any], reason: str) -> None:
        session = open_session(stored(open_session, {"cart": [1]}))
        change(session)
        assert told(session) == (reason,)

    @pytest.mark.parametrize("name", ["rolling", "resave"])
    def test_a_setting_that_renews_is_named(self, open_session: Open, name: str) -> None:
        cookie = stored(open_session, {"cart": [1]}, **{name: "true"})
        session = open_session(cookie)
        session.get("cart")
        assert told(session) == (f"renewed: sessionkit.{name}",)

    def test_a_setting_that_saves_what_is_empty_is_named(self, open_session: Open) -> None:
        session = open_session(save_uninitialized="true")
        session.get("cart")
        assert told(session) == ("new: sessionkit.save_uninitialized",)


class Silent:
    def __repr__(self) -> str:
        raise ValueError


class TestDifferences:
    def test_values_of_another_type_differ(self, open_session: Open) -> None:
        session = open_session(stored(open_session, {"cart": [1], "same": {"a": [1.5]}}))
        session["cart"] = [True]
        session["same"] = {"a": [1.5]}
        assert [(one.name, one.before, one.after) for one in differences(session.work)] == [("cart", "[1]", "[True]")]

    def test_values_that_cannot_be_saved_or_shown_are_named(self, open_session: Open) -> None:
        session = open_session(stored(open_session, {"cart": []}))
        session["cart"].append(Silent())
        (shown,) = differences(session.work)
        assert shown.after == "(its repr raised ValueError)"


@pytest.mark.parametrize(("name", "user"), [("session", ["nobody is logged in"]), ("basket", [])])
def test_a_second_session_says_nothing_about_the_user(open_session: Open, name: str, user: list[str]) -> None:
    session = open_session(stored(open_session, {"cart": []}))
    session.get("cart")
    rows = explain(name, session.work, Journal()).rows
    assert [value for row, value in rows if row == "User"] == user


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s ago"),
        (-130, "2 minutes ago"),
        (1199.4, "in 20 minutes"),
        (-7200, "2 hours ago"),
        (30 * 86400, "in 30 days"),
    ],
)
def test_a_time_says_how_far_it_is(seconds: float, words: str) -> None:
    now = time()
    assert moment(now + seconds, now).endswith(f"UTC ({words})")


def test_a_watched_store_offers_what_the_store_offers() -> None:
    calls: list[Call] = []
    watched = RecordingStore(MemoryStore(10), calls)
    assert IUserIndex.providedBy(watched)
    assert IListable.providedBy(watched)
    assert not hasattr(watched, "update_contents")
    assert list(watched.sessions_of("ada")) == []
    assert watched.load("k" * 22) is None
    assert [call[:2] + call[3:] for call in calls] == [("sessions_of", "", "listed"), ("load", "kkkkkkkk", "miss")]
