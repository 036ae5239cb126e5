import pytest
from argon2 import PasswordHasher
from pyramid.router import Router
from webtest import TestApp

from example_app import authentication
from example_app.authentication import NOBODYS_HASH
from example_app.models.user import hasher
from tests.cookie_age import lasts
from tests.functional.browsing import (
    add_to_cart,
    cart_shown,
    fill_in,
    get_with_cookie,
    log_in,
    messages_shown,
    user_shown,
    views_shown,
)


def test_a_login_leads_to_the_dashboard(browser: TestApp) -> None:
    answer = log_in(browser)

    assert answer.status_int == 303
    assert answer.location == "http://localhost/dashboard"
    assert user_shown(answer.follow()) == "Ada"


def test_a_login_changes_the_session_id(browser: TestApp) -> None:
    browser.get("/")
    before = browser.cookies["session"]
    log_in(browser)

    assert browser.cookies["session"] != before


def test_the_session_id_of_before_the_login_opens_nothing(app: Router, browser: TestApp) -> None:
    browser.get("/")
    before = browser.cookies["session"]
    log_in(browser)

    assert user_shown(get_with_cookie(app, before)) is None


def test_the_email_address_may_be_written_in_any_case(browser: TestApp) -> None:
    assert log_in(browser, " Ada@Example.COM ").status_int == 303


def test_a_wrong_password_shows_the_form_again_filled_in(browser: TestApp) -> None:
    page = log_in(browser, password="wrong", persistent=True, status=403)

    assert page.html.select_one("[role=alert]").text == "This e-mail address and password do not go together."
    assert page.forms["login"]["email"].value == "ada@example.com"
    assert page.forms["login"]["persistent"].checked
    assert page.forms["login"]["password"].value == ""
    assert user_shown(browser.get("/")) is None


def test_the_form_that_is_shown_again_logs_in(browser: TestApp) -> None:
    form = log_in(browser, password="wrong", status=403).forms["login"]
    form["password"] = "demo"

    assert form.submit().status_int == 303


def test_what_was_typed_is_escaped(browser: TestApp) -> None:
    page = log_in(browser, email='"><script>', status=403)

    assert "<script>" not in page
    assert page.forms["login"]["email"].value == '"><script>'


def test_an_unknown_email_address_is_told_the_same_as_a_wrong_password(
    browser: TestApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
        checked.append(password_hash)
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    wrong = log_in(browser, password="wrong", status=403)
    unknown = log_in(browser, email="eve@example.com", password="wrong", status=403)

    assert unknown.text.replace("eve@example.com", "ada@example.com") == wrong.text
    assert len(checked) == 2
    assert checked[1] == authentication.NOBODYS_HASH
    # That of the application, as it was imported.
    assert not hasher.check_needs_rehash(NOBODYS_HASH)


def test_nobody_logs_in_with_the_password_of_the_dummy_hash(browser: TestApp) -> None:
    log_in(browser, email="eve@example.com", password="nobody", status=403)


def test_a_post_without_fields_is_a_wrong_login(browser: TestApp) -> None:
    token = browser.get("/login").forms["login"]["csrf_token"].value

    browser.post("/login", {"csrf_token": token}, status=403)


def test_the_cookie_of_a_login_ends_with_the_browser(browser: TestApp) -> None:
    assert "Max-Age" not in log_in(browser).headers["Set-Cookie"]


def test_remember_me_makes_a_cookie_of_30_days(browser: TestApp) -> None:
    assert lasts(log_in(browser, persistent=True), 30 * 86400)


def test_a_login_as_someone_else_takes_over_nothing(browser: TestApp) -> None:
    log_in(browser)
    browser.get("/")
    add_to_cart(browser, "ink")
    fill_in(browser.get("/messages"), "post", {"text": "of Ada"})
    log_in(browser, "bob@example.com")
    page = browser.get("/")

    assert user_shown(page) == "Bob"
    assert views_shown(page) == 1
    assert cart_shown(browser.get("/cart")) == {}
    assert messages_shown(browser.get("/messages")) == []


def test_a_logout_leads_home_and_says_so_once(browser: TestApp) -> None:
    page = log_in(browser).follow()
    answer = page.forms["logout"].submit()
    home = answer.follow()

    assert answer.status_int == 303
    assert answer.location == "http://localhost/"
    assert user_shown(home) is None
    assert home.html.select_one("[role=status]").text == "You are logged out."
    assert browser.get("/").html.select_one("[role=status]") is None


def test_a_logout_ends_the_session(app: Router, browser: TestApp) -> None:
    page = log_in(browser).follow()
    browser.get("/")
    before = browser.cookies["session"]
    assert user_shown(get_with_cookie(app, before)) == "Ada"
    page.forms["logout"].submit()

    home = get_with_cookie(app, before)
    assert user_shown(home) is None
    assert views_shown(home) == 1


def test_a_link_cannot_log_anyone_out(browser: TestApp) -> None:
    log_in(browser)
    browser.get("/logout", status=404)

    assert user_shown(browser.get("/")) == "Ada"


def test_a_form_of_before_the_login_is_refused(browser: TestApp) -> None:
    before = browser.get("/").html.select_one("meta[name=csrf-token]")["content"]
    log_in(browser)
    browser.post("/logout", {"csrf_token": before}, status=400)

    assert user_shown(browser.get("/")) == "Ada"
