"""What visitors meet when their session has ended while a page of theirs was open."""

from collections.abc import Callable

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.functional.browsing import (
    add_to_cart,
    cart_shown,
    error,
    fill_in,
    log_in,
    messages_shown,
    notice,
    same_visitor,
    send,
    sign_up,
    user_shown,
)

LeaveIdle = Callable[[], None]


def visit(browser: TestApp) -> None:
    """Something is stored for whoever comes to the start page."""
    browser.get("/")


def be_logged_in(browser: TestApp) -> None:
    log_in(browser)


def do_nothing(browser: TestApp) -> None:
    """No session begins."""


before = pytest.mark.parametrize("before", [do_nothing, visit, be_logged_in])
meanwhile = pytest.mark.parametrize("meanwhile", [do_nothing, visit])
Act = Callable[[TestApp], None]


@before
@meanwhile
def test_a_login_form_works(browser: TestApp, leave_idle: LeaveIdle, before: Act, meanwhile: Act) -> None:
    before(browser)
    page = browser.get("/login")
    leave_idle()
    meanwhile(same_visitor(browser))

    assert user_shown(send(page, "login", email="bob@example.com", password="demo").follow()) == "Bob"


@before
@meanwhile
def test_a_sign_up_form_works(browser: TestApp, leave_idle: LeaveIdle, before: Act, meanwhile: Act) -> None:
    before(browser)
    page = browser.get("/signup")
    leave_idle()
    meanwhile(same_visitor(browser))
    answer = send(page, "signup", name="Eve", email="eve@example.com", password="a long one")

    assert user_shown(answer.follow()) == "Eve"


@before
@meanwhile
def test_a_cart_form_works(browser: TestApp, leave_idle: LeaveIdle, before: Act, meanwhile: Act) -> None:
    before(browser)
    page = browser.get("/cart")
    leave_idle()
    meanwhile(same_visitor(browser))

    assert cart_shown(send(page, "add-ink", quantity=2).follow()) == {"ink": 2}


@meanwhile
def test_a_logout_after_the_end_leads_home(browser: TestApp, leave_idle: LeaveIdle, meanwhile: Act) -> None:
    page = log_in(browser).follow()
    leave_idle()
    meanwhile(same_visitor(browser))
    home = send(page, "logout").follow()

    assert home.request.path == "/"
    assert notice(home) == "You are logged out already."


def test_a_second_logout_leads_home(browser: TestApp) -> None:
    page = log_in(browser).follow()
    other_tab = same_visitor(browser).get("/messages")
    send(page, "logout").follow()

    assert notice(send(other_tab, "logout").follow()) == "You are logged out already."
    assert notice(send(page, "logout").follow()) == "You are logged out already."


def test_a_logout_of_nobody_leads_home(browser: TestApp) -> None:
    assert notice(browser.post("/logout", status=303).follow()) == "You are logged out already."


def test_a_late_logout_keeps_a_cart_that_was_filled_since(browser: TestApp, leave_idle: LeaveIdle) -> None:
    page = log_in(browser).follow()
    leave_idle()
    add_to_cart(browser, "ink")
    send(page, "logout")

    assert cart_shown(browser.get("/cart")) == {"ink": 1}


def test_a_logout_after_a_new_password_elsewhere_leads_home(app: Router, browser: TestApp) -> None:
    page = log_in(browser).follow()
    elsewhere = TestApp(app)
    log_in(elsewhere)
    send(elsewhere.get("/account/password"), "change-password", current="demo", new="a new password")

    assert notice(send(page, "logout").follow()) == "You are logged out already."


def test_the_login_page_says_that_nothing_was_done_for_long(browser: TestApp, leave_idle: LeaveIdle) -> None:
    log_in(browser)
    leave_idle()
    page = browser.get("/messages", status=303).follow()

    assert page.html.find(id="why").text == (
        "You were logged out after 20 minutes without activity. Log in to go on to your messages."
    )


def test_the_time_is_that_of_the_settings(start_app: Callable[..., Router], leave_idle: LeaveIdle) -> None:
    browser = TestApp(start_app(**{"sessionkit.timeout": "1m"}))
    log_in(browser)
    leave_idle()

    assert "after 1 minute without" in browser.get("/profile", status=303).follow()


def test_the_login_page_says_that_the_login_is_too_old(browser: TestApp, expire_sessions: Callable[[], None]) -> None:
    log_in(browser)
    expire_sessions()

    assert "your login was too long ago" in browser.get("/messages", status=303).follow()


def test_the_login_page_says_that_the_password_was_changed(app: Router, browser: TestApp) -> None:
    elsewhere = TestApp(app)
    log_in(elsewhere)
    log_in(browser)
    send(browser.get("/account/password"), "change-password", current="demo", new="a new password")

    assert "your password was changed" in elsewhere.get("/messages", status=303).follow()


def test_the_login_page_says_that_another_device_logged_it_out(app: Router, browser: TestApp) -> None:
    elsewhere = TestApp(app)
    log_in(elsewhere)
    log_in(browser)
    browser.get("/account/devices/log-out-others").forms["log-out-others"].submit(status=303)

    assert "from another device" in elsewhere.get("/messages", status=303).follow()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", None),
        ("?next=/messages", "Log in to go on to your messages."),
        ("?next=/account/password", "Log in to change your password."),
        ("?next=/admin", "Log in to see this page."),
        ("?next=/messages&why=nonsense", "Log in to go on to your messages."),
    ],
)
def test_the_login_page_says_no_more_than_is_known(browser: TestApp, query: str, why: str | None) -> None:
    shown = browser.get(f"/login{query}").html.find(id="why")

    assert (shown and shown.text) == why


def test_who_is_logged_in_is_not_told_otherwise(browser: TestApp) -> None:
    log_in(browser)

    assert "logged out" not in browser.get("/login?why=timeout")


@pytest.mark.parametrize("order", [["ada", "ada"], ["ada", "bob"], ["bob", "ada"]])
@before
def test_two_login_tabs_both_log_in(browser: TestApp, before: Act, order: list[str]) -> None:
    before(browser)
    tabs = [browser.get("/login"), same_visitor(browser).get("/login")]
    for page, name in zip(tabs, order, strict=True):
        answer = send(page, "login", email=f"{name}@example.com", password="demo")
        assert user_shown(answer.follow()) == name.capitalize()


@pytest.mark.parametrize("order", [["ada", "bob"], ["bob", "ada"]])
def test_two_login_tabs_both_log_in_after_the_end(browser: TestApp, leave_idle: LeaveIdle, order: list[str]) -> None:
    log_in(browser)
    tabs = [browser.get("/login"), same_visitor(browser).get("/login")]
    leave_idle()
    for page, name in zip(tabs, order, strict=True):
        answer = send(page, "login", email=f"{name}@example.com", password="demo")
        assert user_shown(answer.follow()) == name.capitalize()


def log_out_and_in(browser: TestApp) -> None:
    """The new login has a session of its own."""
    send(browser.get("/"), "logout")
    log_in(browser)


def test_a_form_of_before_the_login_works(browser: TestApp) -> None:
    page = browser.get("/cart")
    log_in(browser)

    assert cart_shown(send(page, "add-ink", quantity=3).follow()) == {"ink": 3}


def test_a_form_of_before_a_second_login_works(browser: TestApp) -> None:
    log_in(browser)
    page = browser.get("/messages")
    log_in(browser)

    assert messages_shown(send(page, "post", text="mine").follow()) == ["mine"]


def test_a_logout_of_before_a_second_login_works(browser: TestApp) -> None:
    page = log_in(browser).follow()
    log_in(browser)

    assert notice(send(page, "logout").follow()) == "You are logged out."


def test_a_form_of_an_earlier_session_can_be_sent_again(browser: TestApp) -> None:
    log_in(browser)
    form = browser.get("/cart")
    log_out_and_in(browser)
    page = send(form, "add-ink", quantity=3, status=400)

    assert "you have logged in after this page was opened" in page
    assert cart_shown(send(page, "send-again").follow()) == {"ink": 3}


@pytest.mark.parametrize("text", ["short", "two\r\nlines", "long " * 90])
def test_text_of_an_earlier_session_can_be_sent_again(browser: TestApp, text: str) -> None:
    log_in(browser)
    form = browser.get("/messages")
    log_out_and_in(browser)
    page = send(form, "post", text=text, status=400)
    assert messages_shown(browser.get("/messages")) == []

    send(page, "send-again")
    assert messages_shown(browser.get("/messages")) == [text.replace("\r\n", "\n").strip()]


def test_a_logout_of_an_earlier_session_can_be_sent_again(browser: TestApp) -> None:
    page = log_in(browser).follow()
    log_out_and_in(browser)

    assert notice(send(send(page, "logout", status=400), "send-again").follow()) == "You are logged out."


def test_a_form_of_one_user_is_not_sent_by_the_next(browser: TestApp) -> None:
    log_in(browser)
    form = browser.get("/messages")
    log_in(browser, "bob@example.com")
    page = send(form, "post", text="of Ada", status=400)

    assert "someone else has logged in" in page
    assert "send-again" not in page.forms
    assert "of Ada" not in page


# The last one is from a proxy that sets the header Origin.
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_of_another_site_is_not_sent_again(browser: TestApp, headers: dict[str, str]) -> None:
    log_in(browser)
    page = browser.post("/messages", {"text": "forged"}, headers=headers, status=400)

    assert "send-again" not in page.forms
    assert "forged" not in page


def test_text_without_end_is_not_sent_again(browser: TestApp) -> None:
    log_in(browser)
    form = browser.get("/messages")
    log_out_and_in(browser)

    assert "send-again" not in send(form, "post", text="x" * 10_001, status=400).forms


def test_a_password_is_never_on_the_page_of_an_expired_form(browser: TestApp) -> None:
    log_in(browser)
    form = browser.get("/account/password")
    log_out_and_in(browser)
    page = send(form, "change-password", current="demo", new="a new password", status=400)

    assert "a new password" not in page
    assert page.html.select_one("main a.button")["href"] == "http://localhost/account/password"


def test_a_sign_up_form_of_before_a_login_works(browser: TestApp) -> None:
    page = browser.get("/signup")
    log_in(browser)
    answer = send(page, "signup", name="Eve", email="eve@example.com", password="a long one")

    assert user_shown(answer.follow()) == "Eve"


def test_a_sign_up_of_an_earlier_session_keeps_what_was_typed(browser: TestApp) -> None:
    log_in(browser)
    form = browser.get("/signup")
    log_out_and_in(browser)
    page = send(form, "signup", name="Eve", email="eve@example.com", password="a long one", status=400)

    assert error(page) == "Nothing was changed, since this page was out of date. Send it again."
    assert page.forms["signup"]["email"].value == "eve@example.com"
    assert "a long one" not in page
    assert user_shown(send(page, "signup", password="a long one").follow()) == "Eve"


@pytest.mark.parametrize("way", [log_in, sign_up])
def test_a_form_without_an_origin_still_works(browser: TestApp, way: Callable[[TestApp], object]) -> None:
    """Old browsers do not say which site a form is of."""
    way(browser)
    fill_in(browser.get("/messages"), "post", {"text": "mine"}, status=303)


def test_a_login_without_cookies_says_what_is_missing(browser: TestApp) -> None:
    page = browser.get("/login")
    browser.reset()
    page = send(page, "login", email="ada@example.com", password="demo", status=400)

    assert error(page) == "Your browser sent no cookie. Allow cookies for this site, and try again."
    assert page.forms["login"]["email"].value == "ada@example.com"
    assert user_shown(send(page, "login", password="demo").follow()) == "Ada"
