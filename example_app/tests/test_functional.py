"""What a visitor does, from the browser to the database."""

import pytest
from webtest import TestApp, TestResponse

from example_app import models
from example_app.tests.conftest import PASSWORD
from pyramid_sessionkit.testing import login


def log_in(testapp: TestApp, email: str, password: str = PASSWORD, **expect: int) -> TestResponse:
    form = testapp.get("/login").forms["login"]
    form["email"], form["password"] = email, password
    return form.submit(**expect)


def test_a_visitor_can_sign_up(testapp: TestApp) -> None:
    form = testapp.get("/signup").forms["signup"]
    form["name"], form["email"], form["password"] = "Alan", "alan@example.com", "a long one"

    assert "Welcome, Alan." in form.submit(status=303).follow()


def test_the_right_password_logs_in(testapp: TestApp, user: models.User) -> None:
    log_in(testapp, user.email, status=303)

    assert user.name in testapp.get("/dashboard", status=200)


def test_a_wrong_password_does_not(testapp: TestApp, user: models.User) -> None:
    log_in(testapp, user.email, "wrong", status=403)

    testapp.get("/dashboard", status=303)


@pytest.mark.parametrize("path", ["/dashboard", "/messages", "/profile", "/account/password", "/account/devices"])
def test_these_pages_ask_for_a_login(testapp: TestApp, path: str) -> None:
    assert "/login" in testapp.get(path, status=303).location


def test_a_message_is_saved(testapp: TestApp, user: models.User) -> None:
    login(testapp, user.id)
    form = testapp.get("/messages").forms["post"]
    form["text"] = "Remember the milk"

    assert "Remember the milk" in form.submit(status=303).follow()


def test_an_unknown_page_is_not_found(testapp: TestApp) -> None:
    testapp.get("/no-such-page", status=404)
