"""Text that could not be saved, since its writer had to log in again, waits for them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyramid import testing
from pyramid.router import Router
from webtest import TestApp, TestResponse

from example_app import kept_form
from pyramid_sessionkit import get_sessions
from tests.functional.browsing import fill_in, log_in, messages_shown, notice, same_visitor, send, sign_up
from tests.functional.conftest import AppStarter

LeaveIdle = Callable[[], None]
NOTICE = "Here is what you wrote. It is not saved yet."
LONG = "First line\r\n\r\n" + "and much more " * 30


@pytest.fixture
def late(browser: TestApp, leave_idle: LeaveIdle) -> TestResponse:
    """The login page that Ada meets after she wrote something for too long."""
    log_in(browser)
    page = browser.get("/messages")
    leave_idle()
    return send(page, "post", text=LONG).follow()


def text_shown(page: TestResponse) -> str:
    return str(page.forms["post"]["text"].value)


def test_a_message_is_in_the_form_again(browser: TestApp, late: TestResponse) -> None:
    assert "You were logged out after 20 minutes" in late
    assert late.html.find(id="kept").text == "What you wrote is kept. You will find it in the form again."
    page = send(late, "login", email="ada@example.com", password="demo").follow()

    assert page.request.path_qs == "/messages"
    assert notice(page) == NOTICE
    assert text_shown(page) == LONG
    assert messages_shown(page) == []


def test_it_is_saved_by_its_writer(browser: TestApp, late: TestResponse) -> None:
    page = send(late, "login", email="ada@example.com", password="demo").follow()
    page = send(page, "post").follow()

    assert messages_shown(page) == [LONG.replace("\r\n", "\n").strip()]
    assert text_shown(page) == ""


def test_it_is_shown_once(browser: TestApp, late: TestResponse) -> None:
    send(late, "login", email="ada@example.com", password="demo").follow()

    assert text_shown(browser.get("/messages")) == ""


def test_it_is_never_in_an_address(late: TestResponse) -> None:
    assert late.request.path_qs == "/login?next=%2Fmessages&why=timeout"


def test_it_outlives_a_wrong_password(late: TestResponse) -> None:
    again = send(late, "login", email="ada@example.com", password="wrong", status=403)

    assert text_shown(send(again, "login", password="demo").follow()) == LONG


def test_it_is_kept_though_another_tab_was_faster(browser: TestApp, leave_idle: LeaveIdle) -> None:
    log_in(browser)
    page = browser.get("/messages")
    leave_idle()
    same_visitor(browser).get("/")
    login = send(page, "post", text=LONG).follow()

    assert text_shown(send(login, "login", email="ada@example.com", password="demo").follow()) == LONG


def test_a_profile_is_in_the_form_again(browser: TestApp, leave_idle: LeaveIdle) -> None:
    log_in(browser)
    page = browser.get("/profile")
    leave_idle()
    login = send(page, "profile", name="Ada L.", location="Turin").follow()
    page = send(login, "login", email="ada@example.com", password="demo").follow()

    assert (page.forms["profile"]["name"].value, page.forms["profile"]["location"].value) == ("Ada L.", "Turin")
    assert notice(page) == NOTICE


def test_another_user_does_not_see_it(browser: TestApp, late: TestResponse) -> None:
    page = send(late, "login", email="bob@example.com", password="demo").follow()

    assert text_shown(page) == ""
    assert notice(page) is None
    log_in(browser)
    assert text_shown(browser.get("/messages")) == ""


def test_a_new_user_does_not_see_it(browser: TestApp, late: TestResponse) -> None:
    sign_up(browser)

    assert text_shown(browser.get("/messages")) == ""


def test_another_browser_does_not_see_it(app: Router, late: TestResponse) -> None:
    elsewhere = TestApp(app)
    log_in(elsewhere)

    assert text_shown(elsewhere.get("/messages")) == ""


def test_a_password_is_not_kept(browser: TestApp, leave_idle: LeaveIdle, app: Router) -> None:
    log_in(browser)
    page = browser.get("/account/password")
    leave_idle()
    login = send(page, "change-password", current="demo", new="a new password").follow()

    assert login.html.find(id="kept") is None


@pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.example"}])
def test_what_another_site_sends_is_not_kept(browser: TestApp, origin: dict[str, str]) -> None:
    fields = {"text": "forged", "written_by": "1", "csrf_token": "wrong"}
    browser.post("/messages", fields, headers=origin, status=303)
    log_in(browser)

    assert text_shown(browser.get("/messages")) == ""


@pytest.mark.parametrize("text", ["", "x" * 10_001], ids=["empty", "endless"])
def test_nothing_and_too_much_are_not_kept(browser: TestApp, leave_idle: LeaveIdle, text: str) -> None:
    log_in(browser)
    page = browser.get("/messages")
    leave_idle()

    assert send(page, "post", text=text).follow().html.find(id="kept") is None


def test_files_are_not_kept(browser: TestApp, leave_idle: LeaveIdle) -> None:
    log_in(browser)
    form = browser.get("/messages").forms["post"]
    leave_idle()
    fields = {name: form[name].value for name in ("csrf_token", "written_by")}
    browser.post("/messages", fields, upload_files=[("text", "a.txt", b"text")], status=303)

    assert browser.get("/login").html.find(id="kept") is None


def test_a_session_that_this_request_ended_keeps_nothing(app: Router, browser: TestApp) -> None:
    log_in(browser)
    page = browser.get("/messages")
    elsewhere = TestApp(app)
    log_in(elsewhere)
    fill_in(elsewhere.get("/account/password"), "change-password", {"current": "demo", "new": "a new password"})
    login = send(page, "post", text=LONG).follow()

    assert "your password was changed" in login
    assert login.html.find(id="kept") is None


def test_nothing_of_it_stays_in_the_session_of_another_user(tmp_path: Path, late: TestResponse) -> None:
    def is_stored() -> bool:
        connection = sqlite3.connect(tmp_path / "sessions.sqlite")
        rows = connection.execute("SELECT data FROM sessions").fetchall()
        connection.close()
        return any("First line" in str(row) for row in rows)

    assert is_stored()
    send(late, "login", email="bob@example.com", password="demo")
    assert not is_stored()


def test_a_form_that_names_another_user_is_not_shown() -> None:
    with testing.testConfig() as config:
        config.testing_securitypolicy("2")
        request = testing.DummyRequest(matched_route=SimpleNamespace(name="messages"))
        request.session[kept_form.KEPT] = {"form": "messages", "userid": "1", "fields": {"text": "of Ada"}}

        assert kept_form.take(request) == {}
        assert request.session == {}


def test_it_is_kept_in_joined_mode(start_app: Callable[..., Router], tmp_path: Path) -> None:
    url = {"sessionkit.sql.url": f"sqlite:///{tmp_path}/example.sqlite", "sessionkit.sql.dbsession": "dbsession"}
    browser = TestApp(start_app(**url))
    log_in(browser)
    page = browser.get("/messages")
    connection = sqlite3.connect(tmp_path / "example.sqlite")
    with connection:
        connection.execute("UPDATE sessions SET renewed = renewed - timeout - 1, expires = 1")
    connection.close()
    login = send(page, "post", text=LONG).follow()
    assert "You were logged out after 20 minutes" in login

    assert text_shown(send(login, "login", email="ada@example.com", password="demo").follow()) == LONG


def test_it_is_kept_where_the_store_forgets_what_expired(app: Router, browser: TestApp) -> None:
    """As memcached does: then nobody knows why the session is gone."""
    log_in(browser)
    page = browser.get("/messages")
    get_sessions(app.registry).store.clear()
    login = send(page, "post", text=LONG).follow()

    assert login.html.find(id="why").text == "Log in to go on to your messages."
    assert text_shown(send(login, "login", email="ada@example.com", password="demo").follow()) == LONG


def test_a_writer_takes_no_room_in_the_session(start_app: AppStarter) -> None:
    """Anyone may fill that field with as much as they like."""
    browser = TestApp(start_app(**{"sessionkit.max_size": "5000"}))
    token = browser.get("/login").forms["login"]["csrf_token"].value
    fields = {"csrf_token": token, "written_by": "9" * 6000, "text": "T"}
    page = browser.post("/messages", fields, status=303).follow()

    assert page.html.find(id="kept") is None
