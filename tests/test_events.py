from __future__ import annotations

import logging
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import (
    LoggedIn,
    LoggedOut,
    SessionCreated,
    SessionEnded,
    SessionEvent,
    SessionRegenerated,
    StoreUnavailable,
    SuspiciousCookie,
    get_sessions,
    user_sessions,
)
from tests.conftest import SpyStore

PASSWORD = {"ada": "1"}


def log_in(request: Request) -> Response:
    remember(request, request.params.get("user", "ada"))
    return Response("in")


def log_out(request: Request) -> Response:
    forget(request)
    return Response("out")


def write(request: Request) -> Response:
    request.session["a"] = request.params.get("a", 1)
    return Response(str(request.authenticated_userid))


def others(request: Request) -> Response:
    user_sessions(request).revoke_others()
    return Response("ended")


VIEWS = {"/in": log_in, "/out": log_out, "/write": write, "/others": others}


class Site:
    def __init__(self, make_app: Any, **settings: Any) -> None:
        self.told: list[SessionEvent] = []
        self.fail = False

        def hear(event: SessionEvent) -> None:
            self.told.append(event)
            if self.fail:
                raise RuntimeError("a subscriber of the application")

        def configure(config: Configurator) -> None:
            config.add_subscriber(hear, SessionEvent)

        self.app = make_app(VIEWS, configure=configure, **settings).app
        self.browser = TestApp(self.app)

    def names(self) -> list[str]:
        names = [
            type(event).__name__ + (f" {event.reason}" if isinstance(event, SessionEnded) else "")
            for event in self.told
        ]
        self.told.clear()
        return names

    def key(self, browser: TestApp | None = None) -> str:
        return str((browser or self.browser).cookies["session"].partition(".")[0])


@pytest.fixture(params=[False, True], ids=["", "with a raising subscriber"])
def site(make_app: Any, request: pytest.FixtureRequest) -> Site:
    site = Site(make_app, credentials_hash=lambda request, user: PASSWORD[user])
    site.fail = request.param
    return site


def test_the_life_of_a_session(site: Site, spy: SpyStore) -> None:
    site.browser.get("/write")
    key = site.key()
    assert site.told == [SessionCreated(key, None)]
    site.told.clear()
    site.browser.get("/write?a=2")
    assert site.told == []
    site.browser.get("/in")
    assert site.told == [SessionRegenerated(key, "ada"), LoggedIn(key, "ada")]
    site.told.clear()
    site.browser.get("/out")
    assert site.told == [SessionEnded(key, "ada", "logout"), LoggedOut(key, "ada")]
    assert spy.store.count() == 0


def test_a_first_request_that_logs_in(site: Site) -> None:
    site.browser.get("/in")
    assert site.names() == ["SessionCreated", "LoggedIn"]


def test_revoked(site: Site, spy: SpyStore) -> None:
    other = TestApp(site.app)
    site.browser.get("/in")
    other.get("/in")
    site.told.clear()
    site.browser.get("/others")
    assert site.told == [SessionEnded(site.key(other), "ada", "revoked")]
    site.told.clear()
    get_sessions(site.app.registry).revoke(site.key())
    assert site.names() == ["SessionEnded revoked"]
    assert spy.store.count() == 0


def test_limit(make_app: Any) -> None:
    site = Site(make_app, max_sessions_per_user=1)
    site.browser.get("/in")
    TestApp(site.app).get("/in")
    assert site.names() == ["SessionCreated", "LoggedIn", "SessionCreated", "LoggedIn", "SessionEnded limit"]


def test_credentials_changed(site: Site, spy: SpyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    site.browser.get("/in")
    site.told.clear()
    monkeypatch.setitem(PASSWORD, "ada", "2")
    assert site.browser.get("/write").text == "None"
    assert site.names() == ["SessionEnded credentials_changed"]
    assert spy.store.count() == 0


def test_user_gone(make_app: Any, spy: SpyStore) -> None:
    users = {"ada"}
    site = Site(make_app, identity=lambda request, userid: userid if userid in users else None)
    site.browser.get("/in")
    site.told.clear()
    users.clear()
    assert site.browser.get("/write").text == "None"
    assert site.told == [SessionEnded(site.key(), "ada", "user_gone")]
    assert spy.store.count() == 0


def test_unreadable(site: Site, spy: SpyStore) -> None:
    site.browser.get("/in")
    (key,) = spy.store._records
    spy.store._records[key] = spy.store._records[key]._replace(data=b"junk")
    site.told.clear()
    site.browser.get("/write")
    assert site.told[0] == SessionEnded(key, "ada", "unreadable")


@pytest.mark.parametrize(
    ("value", "kind", "key"),
    [
        (f"{'x' * 22}.{'y' * 43}.{'z' * 43}", "signature", "x" * 22),
        (f"{'x' * 43}.{'z' * 43}", "malformed", ""),
        ("junk", "malformed", ""),
        ("", "malformed", ""),
    ],
)
def test_suspicious_cookies(site: Site, value: str, kind: str, key: str) -> None:
    site.browser.get("/write", headers={"Cookie": f"other=1; session={value}"})
    assert site.told[0] == SuspiciousCookie(key, None, kind)


@pytest.mark.parametrize(("seconds", "kinds"), [(29, []), (31, ["replaced"])])
def test_a_cookie_that_was_replaced_long_ago_is_suspicious(
    site: Site, clock: Any, seconds: int, kinds: list[str]
) -> None:
    site.browser.get("/write")
    old, key = site.browser.cookies["session"], site.key()
    site.browser.get("/in")
    site.told.clear()
    clock(seconds)
    TestApp(site.app).get("/write", headers={"Cookie": f"session={old}"})
    suspicious = [event for event in site.told if isinstance(event, SuspiciousCookie)]
    assert suspicious == [SuspiciousCookie(key, "ada", kind) for kind in kinds]


def test_no_cookie_and_other_cookies_are_not_suspicious(site: Site) -> None:
    site.browser.get("/write", headers={"Cookie": "other=1; session_id=2"})
    assert site.names() == ["SessionCreated"]


@pytest.mark.parametrize(("operation", "path"), [("create", "/in"), ("update", "/in"), ("delete", "/out")])
def test_nothing_is_told_before_the_store_said_yes(site: Site, spy: SpyStore, operation: str, path: str) -> None:
    if operation != "create":
        site.browser.get("/in")
    site.told.clear()
    spy.failing[operation] = StoreUnavailable("down")
    site.browser.get(path, status=503)
    assert site.told == []


def test_an_ending_of_what_is_gone_is_not_told(site: Site, spy: SpyStore) -> None:
    site.browser.get("/in")
    site.told.clear()
    spy.before["delete"] = spy.store.clear
    site.browser.get("/out")
    assert site.told == []


def test_the_security_log(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(make_app)
    site.browser.get("/in", params={"user": "eve x=1 event=LoggedIn"})
    key, secret, signature = site.browser.cookies["session"].split(".")
    lines = [record.getMessage() for record in caplog.records if record.name == "pyramid_sessionkit.security"]
    assert lines == [
        f"event=SessionCreated key={key} userid='eve x=1 event=LoggedIn'",
        f"event=LoggedIn key={key} userid='eve x=1 event=LoggedIn'",
    ]
    assert secret not in caplog.text
    assert signature not in caplog.text
    site.browser.get("/write", headers={"Cookie": "session=forged"})
    assert [r.levelno for r in caplog.records if "SuspiciousCookie" in r.getMessage()] == [logging.WARNING]
