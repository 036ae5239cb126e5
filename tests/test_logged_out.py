"""Why a login has ended, as far as that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import why_logged_out

Clock = Callable[[float], None]
MINUTE, HOUR = 60, 3600


def login(request: Request) -> Response:
    remember(request, "ada")
    if "timeout" in request.params:
        request.session.set_expiry(timeout=int(request.params["timeout"]))
    return Response(str(request.session.timeout))


def logout(request: Request) -> Response:
    forget(request)
    return Response()


def store(request: Request) -> Response:
    request.session["seen"] = True
    return Response()


def why(request: Request) -> Response:
    request.identity  # noqa: B018 as a gate does
    return Response(str(why_logged_out(request)))


VIEWS = {"/login": login, "/logout": logout, "/store": store, "/why": why}


@pytest.fixture
def browser(make_app: Any, any_store: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> TestApp:
    return make_app(VIEWS, **{"sessionkit.store": lambda _: any_store})


@pytest.fixture
def later(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock, of the SQL store too."""
    import time

    start = time.time()

    def advance(seconds: float) -> None:
        clock(seconds)
        monkeypatch.setattr("pyramid_sessionkit.stores.sql.time", lambda: start + seconds)

    return advance


def test_nobody_was_logged_out_who_was_never_here(browser: TestApp) -> None:
    assert browser.get("/why").text == "None"


def test_nobody_was_logged_out_who_is_logged_in(browser: TestApp) -> None:
    browser.get("/login")
    assert browser.get("/why").text == "None"


def test_the_idle_timeout(browser: TestApp, later: Clock) -> None:
    browser.get("/login")
    later(21 * MINUTE)
    assert browser.get("/why").text == "timeout"


def test_the_lifetime(browser: TestApp, later: Clock) -> None:
    browser.get(f"/login?timeout={24 * HOUR}")
    later(13 * HOUR)
    assert browser.get("/why").text == "lifetime"


def test_an_anonymous_session_was_no_login(browser: TestApp, later: Clock) -> None:
    browser.get("/store")
    later(21 * MINUTE)
    assert browser.get("/why").text == "None"


def test_only_the_browser_that_had_the_session_is_told(browser: TestApp, later: Clock) -> None:
    browser.get("/login")
    before = browser.cookies["session"]
    browser.get("/login")  # a new secret
    later(21 * MINUTE)
    thief = TestApp(browser.app)
    thief.set_cookie("session", before)
    assert thief.get("/why").text == "None"
    assert browser.get("/why").text == "timeout"


def test_what_was_ended_is_not_called_expired(browser: TestApp, later: Clock) -> None:
    browser.get("/login")
    other_tab = TestApp(browser.app)
    other_tab.set_cookie("session", browser.cookies["session"])
    browser.get("/logout")
    later(21 * MINUTE)
    assert other_tab.get("/why").text == "None"


def test_what_was_purged_is_not_known(browser: TestApp, any_store: Any, later: Clock) -> None:
    browser.get("/login")
    any_store.clear()
    later(21 * MINUTE)
    assert browser.get("/why").text == "None"


def test_a_changed_password_and_a_user_who_is_gone(make_app: Any) -> None:
    users = {"ada": "first password"}

    def configure(config: Configurator) -> None:
        config.set_session_identity(lambda request, userid: users.get(userid))
        config.set_session_credentials_hash(lambda request, password: password)

    browser = make_app(VIEWS, configure=configure)
    browser.get("/login")
    users["ada"] = "second password"
    assert browser.get("/why").text == "credentials_changed"
    browser.get("/login")
    users.clear()
    assert browser.get("/why").text == "user_gone"


def test_another_session_factory_knows_nothing(make_app: Any) -> None:
    from pyramid.session import SignedCookieSessionFactory

    def configure(config: Configurator) -> None:
        config.commit()
        config.set_session_factory(SignedCookieSessionFactory("x" * 32))
        config.add_route("asked", "/asked")
        config.add_view(lambda request: Response(str(why_logged_out(request))), route_name="asked")

    assert make_app({}, configure=configure).get("/asked").text == "None"


def test_a_session_knows_its_timeout(browser: TestApp) -> None:
    assert browser.get("/login").text == "1200"
    assert browser.get("/login?timeout=60").text == "60"
