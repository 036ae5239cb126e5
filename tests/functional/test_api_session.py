"""A program that keeps cookies: its CSRF token, logging in and out."""

import pytest
from pyramid.router import Router
from webtest import TestApp

import example_app.views.api.session
from example_app.authentication import Login
from tests.conftest import SpyStore
from tests.cookie_age import lasts
from tests.functional.browsing import api_csrf, devices_shown, log_in, problem_shown, user_shown

ADA = {"email": "Ada@example.com", "password": "demo"}


def test_the_first_csrf_token_costs_nothing(browser: TestApp, spy: SpyStore, queries: list[str]) -> None:
    answer = browser.get("/api/session")

    assert answer.json["logged_in"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    assert spy.calls == []
    assert queries == []
    browser.post_json("/api/login", ADA, headers={"X-CSRF-Token": answer.json["csrf_token"]})


def test_a_program_logs_in(browser: TestApp) -> None:
    answer = browser.post_json("/api/login", ADA, headers=api_csrf(browser), status=200)

    assert answer.json["logged_in"] is True
    assert "Max-Age" not in answer.headers["Set-Cookie"]
    assert user_shown(browser.get("/")) == "Ada"
    assert browser.get("/api/session").json == answer.json


def test_it_goes_on_with_the_token_that_it_was_given(browser: TestApp) -> None:
    before = api_csrf(browser)
    given = {"X-CSRF-Token": browser.post_json("/api/login", ADA, headers=before).json["csrf_token"]}

    browser.post("/api/logout", headers=before, status=400)
    browser.post("/api/logout", headers=given, status=200)


def test_it_is_remembered_if_it_wants(browser: TestApp) -> None:
    answer = browser.post_json("/api/login", {**ADA, "persistent": True}, headers=api_csrf(browser))

    assert lasts(answer, 30 * 86400)


def test_its_login_is_among_the_devices(browser: TestApp) -> None:
    browser.post_json("/api/login", ADA, headers={**api_csrf(browser), "User-Agent": "Firefox/9 Linux"})

    assert [name for name, _ in devices_shown(browser.get("/account/devices"))] == ["Firefox on Linux"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "ada@example.com", "password": "wrong"},
        {"email": "eve@example.com", "password": "demo"},
        {"email": "\ud800", "password": "\ud800"},
        {"email": "\0", "password": "demo"},
        {"email": "", "password": ""},
    ],
)
def test_a_wrong_password_is_a_401(browser: TestApp, wrong: dict[str, str]) -> None:
    answer = browser.post_json("/api/login", wrong, headers=api_csrf(browser), status=401)

    assert problem_shown(answer) == "This e-mail address and password do not go together."
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert user_shown(browser.get("/")) is None


def test_too_many_attempts_are_told_when_to_come_back(browser: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_app.views.api.session, "authenticate", lambda *_: Login(None, 77))
    answer = browser.post_json("/api/login", ADA, headers=api_csrf(browser), status=429)

    assert "Too many" in problem_shown(answer)
    assert answer.headers["Retry-After"] == "77"


@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "wrong"}])
def test_a_login_needs_the_csrf_token(browser: TestApp, headers: dict[str, str]) -> None:
    browser.get("/api/session")
    answer = browser.post_json("/api/login", ADA, headers=headers, status=400)

    assert "/api/session" in problem_shown(answer)
    assert user_shown(browser.get("/")) is None


def test_a_foreign_origin_is_refused(browser: TestApp) -> None:
    https = {"wsgi.url_scheme": "https"}
    headers = {**api_csrf(browser), "Origin": "https://elsewhere.example"}

    problem_shown(browser.post_json("/api/login", ADA, headers=headers, extra_environ=https, status=400))


def test_a_logout_ends_the_session(app: Router, browser: TestApp) -> None:
    log_in(browser)
    cookie = browser.cookies["session"]
    answer = browser.post("/api/logout", headers=api_csrf(browser), status=200)

    assert answer.json["logged_in"] is False
    old = TestApp(app)
    old.set_cookie("session", cookie.strip('"'))
    assert old.get("/api/session").json["logged_in"] is False


def test_logging_out_twice_is_no_error(browser: TestApp) -> None:
    for _ in range(2):
        browser.post("/api/logout", headers=api_csrf(browser), status=200)


def test_the_login_page_takes_no_json(browser: TestApp) -> None:
    browser.post_json("/login", ADA, headers=api_csrf(browser), status=403)

    assert user_shown(browser.get("/")) is None
