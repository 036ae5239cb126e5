"""Users who logged in a while ago give their password again before they change something that matters."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.cookie_age import lasts
from tests.functional.browsing import add_to_cart, cart_shown, error_at, log_in, same_visitor, send, user_shown

PAGE = "/account/password"


@pytest.fixture
def six_minutes_pass(tmp_path: Path) -> Callable[[], None]:
    def age() -> None:
        connection = sqlite3.connect(tmp_path / "sessions.sqlite")
        with connection:
            connection.execute("UPDATE sessions SET authenticated = authenticated - 360 * 1000000")
        connection.close()

    return age


@pytest.fixture
def stale(ada: TestApp, six_minutes_pass: Callable[[], None]) -> TestApp:
    six_minutes_pass()
    return ada


def test_right_after_a_login_nobody_is_asked(ada: TestApp) -> None:
    ada.get(PAGE, status=200)


def test_the_password_is_asked_for_and_leads_on(stale: TestApp) -> None:
    answer = stale.get(PAGE, status=303)
    assert answer.location == "http://localhost/confirm?next=%2Faccount%2Fpassword"
    page = answer.follow()
    assert [
        name for name, field in page.forms["confirm"].fields.items() if name and field[0].attrs["type"] != "hidden"
    ] == ["password"]
    answer = send(page, "confirm", password="demo")

    assert answer.location == f"http://localhost{PAGE}"
    assert answer.follow(status=200).forms["change-password"]


def test_what_was_typed_before_is_in_the_form_again(ada: TestApp, six_minutes_pass: Callable[[], None]) -> None:
    page = ada.get("/account/email")
    six_minutes_pass()
    confirm = send(page, "change-email", email="new@example.com").follow()
    page = send(confirm, "confirm", password="demo").follow()

    assert page.request.path == "/account/email"
    assert page.forms["change-email"]["email"].value == "new@example.com"


def test_a_wrong_password_is_told_and_can_be_corrected(stale: TestApp) -> None:
    page = send(stale.get(PAGE).follow(), "confirm", password="wrong", status=403)

    assert error_at(page, "password") == "This is not your password."
    assert page.forms["confirm"]["password"].value == ""
    stale.get(PAGE, status=303)
    assert send(page, "confirm", password="demo").location == f"http://localhost{PAGE}"


def test_the_password_of_someone_else_confirms_nothing(stale: TestApp) -> None:
    page = stale.get(PAGE).follow()
    send(TestApp(stale.app).get("/signup"), "signup", name="Eve", email="eve@example.com", password="a long one")
    page.forms["confirm"]["email"].force_value("eve@example.com")
    send(page, "confirm", password="a long one", status=403)

    assert user_shown(stale.get("/")) == "Ada"


def test_a_page_that_was_open_too_long_leads_to_it_too(ada: TestApp, six_minutes_pass: Callable[[], None]) -> None:
    page = ada.get(PAGE)
    six_minutes_pass()
    answer = send(page, "change-password", current="demo", new="a new password")

    assert answer.location == "http://localhost/confirm?next=%2Faccount%2Fpassword"
    log_in(TestApp(ada.app), status=303)


def test_the_session_goes_on(stale: TestApp) -> None:
    add_to_cart(stale, "ink")
    before = stale.cookies["session"]
    send(stale.get("/confirm"), "confirm", password="demo")

    assert cart_shown(stale.get("/cart")) == {"ink": 1}
    assert stale.cookies["session"] != before


@pytest.mark.parametrize("persistent", [True, False])
def test_who_chose_to_be_remembered_still_is(browser: TestApp, persistent: bool) -> None:
    log_in(browser, persistent=persistent)

    assert lasts(send(browser.get("/confirm"), "confirm", password="demo"), 30 * 86400) is persistent


def test_two_tabs_both_confirm(stale: TestApp) -> None:
    tabs = [stale.get(PAGE).follow(), same_visitor(stale).get(PAGE).follow()]
    for page in tabs:
        assert send(page, "confirm", password="demo").follow(status=200).request.path == PAGE


def test_who_is_not_logged_in_logs_in_and_confirms_nothing(browser: TestApp) -> None:
    answer = browser.get("/confirm?next=/account/password", status=303)
    assert answer.location == "http://localhost/login?next=%2Faccount%2Fpassword"

    assert log_in(browser, to=answer.location).follow(status=200).request.path == PAGE


def test_a_confirm_page_that_was_open_too_long(ada: TestApp, leave_idle: Callable[[], None]) -> None:
    page = ada.get("/confirm?next=/account/password")
    leave_idle()
    answer = send(page, "confirm", password="demo")

    assert answer.location == "http://localhost/login?next=%2Faccount%2Fpassword&why=timeout"


def test_it_leads_nobody_elsewhere(ada: TestApp) -> None:
    page = ada.get("/confirm?next=//evil.example")

    assert send(page, "confirm", password="demo").location == "http://localhost/dashboard"


def test_it_needs_the_csrf_token(stale: TestApp) -> None:
    stale.post("/confirm", {"password": "demo"}, status=400)
    stale.get(PAGE, status=303)


@pytest.mark.parametrize("password", ["", "\0", "de\ud800mo"])
def test_what_is_no_password_is_a_wrong_one(stale: TestApp, password: str) -> None:
    token = stale.get("/confirm").forms["confirm"]["csrf_token"].value
    fields = {"csrf_token": token, "password": password.encode("utf-8", "replace")}
    stale.post("/confirm", fields, status=403)


@pytest.mark.parametrize("path", ["/login", "/confirm"])
def test_too_many_attempts_are_told_with_a_time(
    app: Router, ada: TestApp, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from example_app.authentication import Login

    for module in ("login", "confirm"):
        monkeypatch.setattr(f"example_app.views.{module}.authenticate", lambda *args: Login(None, 90))
    page = ada.get(path)
    answer = send(page, path[1:], password="demo", status=429)

    assert answer.headers["Retry-After"] == "90"
    assert "Please try again in 2 minutes." in answer
