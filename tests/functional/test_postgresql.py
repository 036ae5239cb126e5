"""With PostgreSQL, as production.ini has it."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import event
from webtest import TestApp

from pyramid_sessionkit.owned import NotOwned
from tests.functional import test_guard
from tests.functional.browsing import csrf_header, fill_in, log_in, messages_shown
from tests.functional.conftest import AppStarter, database_of
from tests.servers.postgresql import PostgreSQL
from tests.stores.conftest import postgresql  # noqa: F401

pytestmark = pytest.mark.servers


@pytest.fixture
def app(start_app: AppStarter, postgresql: PostgreSQL) -> Router:  # noqa: F811
    postgresql.execute("DROP TABLE IF EXISTS api_tokens, messages, users, sessions")
    return start_app(
        **{
            "sqlalchemy.url": postgresql.url,
            "sqlalchemy.isolation_level": "REPEATABLE READ",
            "sessionkit.sql.url": postgresql.url,
            "pyramid.includes": test_guard.__name__,
        }
    )


def test_mistakes_change_nothing(app: Router, browser: TestApp) -> None:
    test_guard.add_messages(app)
    log_in(browser, "bob@example.com")
    before = test_guard.rows(app)
    for mistake in test_guard.MISTAKES:
        with pytest.raises(NotOwned):
            test_guard.make(browser, mistake)
        assert test_guard.rows(app) == before, mistake


def test_of_two_changes_at_once_one_is_tried_again(app: Router, browser: TestApp) -> None:
    log_in(browser)
    page = browser.get("/profile")
    attempts, both_read = count(1), Barrier(2, timeout=10)

    def meet(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("UPDATE users") and next(attempts) <= 2:
            both_read.wait()

    def put(location: str) -> Any:
        script = TestApp(app)
        script.set_cookie("session", browser.cookies["session"].strip('"'))
        return script.put_json("/api/me", {"name": "Ada", "location": location}, headers=csrf_header(page)).json

    event.listen(database_of(app), "before_cursor_execute", meet)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(put, ("Turin", "Oslo")))

    assert [answer["location"] for answer in answers] == ["Turin", "Oslo"]
    assert next(attempts) == 4
    assert browser.get("/profile").forms["profile"]["location"].value in ("Turin", "Oslo")


def test_messages_are_ones_own(app: Router, browser: TestApp) -> None:
    test_guard.add_messages(app)
    log_in(browser)
    fill_in(browser.get("/messages"), "post", {"text": "new"}, status=303)
    page = browser.get("/messages")
    assert messages_shown(page) == ["new", "of 1"]
    page.forms[2].submit(status=303)

    assert messages_shown(browser.get("/messages")) == ["of 1"]
    browser.post("/messages/2/delete", headers=csrf_header(page), status=404)
