import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import event, exc
from webob import Request
from webtest import TestApp, TestResponse

from pyramid_sessionkit import StoreUnavailable
from tests.conftest import SpyStore
from tests.functional.browsing import cart_shown, fill_in, log_in, notice, problem_shown, user_shown
from tests.functional.conftest import database_of


def title(page: TestResponse) -> str:
    return str(page.html.h1.text)


def test_a_missing_file_costs_nothing(browser: TestApp, spy: SpyStore, queries: list[str]) -> None:
    log_in(browser)
    spy.calls.clear()
    queries.clear()
    page = browser.get("/static/nothing.css", status=404)

    assert title(page) == "Page not found"
    assert spy.calls == []
    assert queries == []


def test_an_unknown_address_costs_a_visitor_nothing(browser: TestApp, spy: SpyStore, queries: list[str]) -> None:
    page = browser.get("/nowhere", status=404)

    assert title(page) == "Page not found"
    assert "Set-Cookie" not in page.headers
    assert spy.calls == []
    assert queries == []


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/admin", 403)], ids=["not found", "no permission"])
def test_an_error_page_keeps_the_menu_of_its_user(browser: TestApp, path: str, status: int) -> None:
    log_in(browser, "bob@example.com")
    page = browser.get(path, status=status)

    assert user_shown(page) == "Bob"
    assert page.cache_control.no_store
    assert user_shown(page.forms["logout"].submit().follow()) is None


def test_an_error_page_leaves_messages_for_the_next(browser: TestApp) -> None:
    log_in(browser)
    fill_in(browser.get("/profile"), "profile", {"location": "Turin"})
    browser.get("/nowhere", status=404)

    assert notice(browser.get("/")) == "Your profile is saved."


def test_a_page_is_not_found_while_the_store_is_down(browser: TestApp, spy: SpyStore) -> None:
    log_in(browser)
    spy.failing["load"] = StoreUnavailable("down for this test")
    page = browser.get("/nowhere", status=404)

    assert title(page) == "Page not found"
    assert page.html.select_one(".who") is None


@pytest.fixture
def break_table(app: Router) -> Iterator[Callable[[str], None]]:
    """Lets each statement on a table fail from now on."""
    broken: list[str] = []

    def refuse(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if any(table in statement for table in broken):
            raise exc.OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))

    engine = database_of(app)
    event.listen(engine, "before_cursor_execute", refuse)
    yield broken.append
    event.remove(engine, "before_cursor_execute", refuse)


def test_a_pool_without_a_free_connection_is_an_outage(browser: TestApp) -> None:
    log_in(browser)
    engine = database_of(browser.app)

    def wait_in_vain(*args: Any) -> None:
        raise exc.TimeoutError("QueuePool limit reached")

    event.listen(engine, "before_cursor_execute", wait_in_vain)
    page = browser.get("/messages", status=503)
    event.remove(engine, "before_cursor_execute", wait_in_vain)

    assert title(page) == "Please try again shortly"


@pytest.mark.parametrize("path", ["/api/me", "/api/session", "/api/devices"])
def test_a_program_is_told_of_an_outage_too(
    browser: TestApp, break_table: Callable[[str], None], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    log_in(browser)
    break_table("users")

    assert problem_shown(browser.get(path, status=503)) == "The database cannot be reached for the moment."
    assert "disk I/O error" in caplog.text


@pytest.mark.parametrize("path", ["/cart/add", "/login", "/signup"])
def test_an_expired_form_is_refused_during_an_outage(
    browser: TestApp, break_table: Callable[[str], None], path: str
) -> None:
    log_in(browser)
    break_table("users")
    page = browser.post(path, {"csrf_token": "wrong"}, status=400)

    assert title(page) == "This form has expired"
    assert page.html.select_one(".who") is None


@pytest.mark.parametrize("table", ["users", "messages"])
def test_an_outage_of_the_database_has_a_page(
    browser: TestApp, break_table: Callable[[str], None], caplog: pytest.LogCaptureFixture, table: str
) -> None:
    log_in(browser)
    break_table(table)
    page = browser.get("/messages", status=503)

    assert title(page) == "Please try again shortly"
    assert page.html.select_one(".who") is None
    assert "disk I/O error" in caplog.text


def test_a_page_is_not_found_while_the_database_is_down(browser: TestApp, break_table: Callable[[str], None]) -> None:
    log_in(browser)
    break_table("users")
    page = browser.get("/nowhere", status=404)

    assert title(page) == "Page not found"
    assert page.html.select_one(".who") is None


@pytest.mark.parametrize("token", [{}, {"csrf_token": "wrong"}], ids=["no token", "a wrong token"])
def test_a_login_needs_the_csrf_token(browser: TestApp, token: dict[str, str]) -> None:
    browser.get("/login")
    page = browser.post("/login", {"email": "ada@example.com", "password": "demo", **token}, status=400)

    assert title(page) == "This form has expired"
    assert user_shown(browser.get("/")) is None


def test_a_logout_needs_the_csrf_token(browser: TestApp) -> None:
    log_in(browser)
    page = browser.post("/logout", status=400)

    assert title(page) == "This form has expired"
    assert user_shown(browser.get("/")) == "Ada"


def test_a_form_from_before_the_login_has_expired(browser: TestApp) -> None:
    form = browser.get("/cart").forms["add-ink"]
    log_in(browser)

    assert title(form.submit(status=400)) == "This form has expired"


def test_a_login_form_from_before_the_login_still_works(browser: TestApp) -> None:
    """It was open in another tab."""
    form = browser.get("/login").forms["login"]
    log_in(browser)
    form["email"], form["password"] = "bob@example.com", "demo"
    form.submit(status=303)

    assert user_shown(browser.get("/")) == "Bob"


def test_a_login_form_that_was_open_for_too_long_still_works(
    browser: TestApp, expire_sessions: Callable[[], None]
) -> None:
    browser.get("/")
    form = browser.get("/login").forms["login"]
    expire_sessions()
    form["email"], form["password"] = "bob@example.com", "demo"
    form.submit(status=303)

    assert user_shown(browser.get("/")) == "Bob"


def test_a_form_can_be_sent_where_nothing_is_stored(browser: TestApp, spy: SpyStore) -> None:
    form = browser.get("/cart").forms["add-ink"]
    assert spy.calls == []
    form.submit(status=303)

    assert cart_shown(browser.get("/cart")) == {"ink": 1}


def test_a_form_from_another_site_is_refused(browser: TestApp) -> None:
    https = {"wsgi.url_scheme": "https"}
    form = browser.get("/login", extra_environ=https).forms["login"]
    page = form.submit(headers={"Origin": "https://elsewhere.example"}, extra_environ=https, status=400)

    assert title(page) == "This form has expired"


@pytest.mark.parametrize("down", ["load", "update"], ids=["reading", "writing"])
def test_an_outage_of_the_store_is_no_logout(browser: TestApp, spy: SpyStore, down: str) -> None:
    log_in(browser)
    spy.failing[down] = StoreUnavailable("down for this test")
    page = browser.get("/", status=503)
    spy.failing.clear()

    assert title(page) == "Please try again shortly"
    assert "Set-Cookie" not in page.headers
    assert user_shown(browser.get("/")) == "Ada"


def test_the_page_for_an_outage_needs_no_database(browser: TestApp, spy: SpyStore, queries: list[str]) -> None:
    log_in(browser)
    queries.clear()
    spy.failing["load"] = StoreUnavailable("down for this test")
    browser.get("/", status=503)

    assert queries == []


@pytest.mark.parametrize(("been_here", "down"), [(False, "create"), (True, "update")])
def test_an_outage_at_the_login_logs_nobody_in(browser: TestApp, spy: SpyStore, been_here: bool, down: str) -> None:
    if been_here:
        browser.get("/")
    spy.failing[down] = StoreUnavailable("down for this test")
    page = log_in(browser, status=503)
    spy.failing.clear()

    assert title(page) == "Please try again shortly"
    assert user_shown(browser.get("/")) is None


@pytest.mark.parametrize("address", ["/%ff", "/login?next=%ff"])
def test_an_address_that_is_no_text(app: Router, address: str) -> None:
    answer = Request.blank(address).get_response(app)

    assert answer.status_int == 400
    assert "This cannot be read" in answer.text


UNREADABLE = [
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "application/x-www-form-urlencoded; charset=latin-1",
    "application/x-www-form-urlencoded; charset=nonsense",
]


def send_as(browser: TestApp, path: str, content_type: str) -> TestResponse:
    """Not by post(), which would add a boundary."""
    return browser.request(path, method="POST", body=b"email=a", headers={"Content-Type": content_type}, status=400)


@pytest.mark.parametrize("content_type", UNREADABLE)
@pytest.mark.parametrize("path", ["/login", "/messages", "/logout", "/account/email"])
def test_a_form_that_cannot_be_read_is_a_400(browser: TestApp, content_type: str, path: str) -> None:
    log_in(browser)
    page = send_as(browser, path, content_type)

    assert title(page) == "This cannot be read"
    assert user_shown(page) == "Ada"


@pytest.mark.parametrize("content_type", UNREADABLE)
def test_programs_are_told_that_a_form_cannot_be_read(browser: TestApp, content_type: str) -> None:
    answer = send_as(browser, "/api/login", content_type)

    assert problem_shown(answer) == "This is no form that can be read: send UTF-8, and multipart with a boundary."
