from collections.abc import Callable

import pytest
from pyramid.router import Router
from sqlalchemy import select
from webtest import TestApp, TestResponse

from example_app.models import User
from tests.cookie_age import lasts
from tests.functional.browsing import (
    add_to_cart,
    cart_shown,
    devices_shown,
    error_at,
    fill_in,
    get_with_cookie,
    log_in,
    notice,
    same_visitor,
    user_shown,
)


def change(browser: TestApp, current: str = "demo", new: str = "a new password", **expect: int) -> TestResponse:
    return fill_in(browser.get("/account/password"), "change-password", {"current": current, "new": new}, **expect)


@pytest.fixture
def hash_of(app: Router) -> Callable[[str], str]:
    def read(email: str) -> str:
        with app.registry["dbsession_factory"]() as dbsession:
            return dbsession.scalar(select(User.password_hash).where(User.email == email))

    return read


def test_the_new_one_is_good_and_the_old_one_is_not(app: Router, ada: TestApp) -> None:
    page = change(ada, status=303).follow()

    assert page.request.path == "/dashboard"
    assert notice(page) == "Your password is changed, and your other sessions are over."
    log_in(TestApp(app), status=403)
    log_in(TestApp(app), password="a new password", status=303)


def test_the_other_sessions_end_and_this_one_does_not(app: Router, ada: TestApp) -> None:
    laptop, phone = TestApp(app), TestApp(app)
    log_in(laptop)
    log_in(phone, persistent=True)
    add_to_cart(ada, "ink", 2)
    change(ada)

    assert user_shown(ada.get("/messages")) == "Ada"
    assert cart_shown(ada.get("/cart")) == {"ink": 2}
    laptop.get("/messages", status=303)
    phone.get("/messages", status=303)
    assert user_shown(laptop.get("/")) is None


def test_the_other_sessions_leave_the_list(app: Router, ada: TestApp) -> None:
    log_in(TestApp(app))
    assert len(devices_shown(ada.get("/account/devices"))) == 2
    change(ada)

    assert len(devices_shown(ada.get("/account/devices"))) == 1


def test_the_sessions_of_others_do_not_end(app: Router, ada: TestApp) -> None:
    bob = TestApp(app)
    log_in(bob, "bob@example.com")
    change(ada)

    assert user_shown(bob.get("/messages")) == "Bob"


def test_the_session_id_of_before_opens_nothing(app: Router, ada: TestApp) -> None:
    before = ada.cookies["session"]
    change(ada)

    assert user_shown(get_with_cookie(app, before)) is None


@pytest.mark.parametrize("persistent", [True, False])
def test_who_chose_to_be_remembered_still_is(browser: TestApp, persistent: bool) -> None:
    log_in(browser, persistent=persistent)
    answer = change(browser)

    assert lasts(answer, 30 * 86400) is persistent
    assert ("Max-Age" in answer.headers["Set-Cookie"]) is persistent
    assert ("you stay logged in" in answer.follow()) is persistent


@pytest.mark.parametrize(
    ("current", "new", "field", "error"),
    [
        ("wrong", "a new password", "current", "This is not your password."),
        ("", "a new password", "current", "Please fill this in."),
        ("demo", "seven77", "new", "Use 8 characters or more."),
        ("demo", "", "new", "Use 8 characters or more."),
    ],
)
def test_what_is_refused_changes_nothing(
    app: Router, ada: TestApp, hash_of: Callable[[str], str], current: str, new: str, field: str, error: str
) -> None:
    before = hash_of("ada@example.com")
    other = TestApp(app)
    log_in(other)
    page = change(ada, current, new, status=400)

    assert error_at(page, field) == error
    assert [name for name in ("current", "new") if error_at(page, name)] == [field]
    assert page.forms["change-password"]["current"].value == ""
    assert hash_of("ada@example.com") == before
    assert user_shown(other.get("/messages")) == "Ada"


def test_it_needs_the_csrf_token(ada: TestApp, hash_of: Callable[[str], str]) -> None:
    before = hash_of("ada@example.com")
    ada.post("/account/password", {"current": "demo", "new": "a new password"}, status=400)

    assert hash_of("ada@example.com") == before


def test_whose_it_is_cannot_be_sent(ada: TestApp, hash_of: Callable[[str], str]) -> None:
    before = hash_of("bob@example.com")
    token = ada.get("/account/password").forms["change-password"]["csrf_token"].value
    fields = {"csrf_token": token, "current": "demo", "new": "a new password", "id": "2", "email": "bob@example.com"}
    ada.post("/account/password?id=2", fields, status=303)

    assert hash_of("bob@example.com") == before


def test_a_tab_that_was_open_goes_on_with_the_new_cookie(ada: TestApp) -> None:
    change(ada)

    assert user_shown(same_visitor(ada).get("/")) == "Ada"
