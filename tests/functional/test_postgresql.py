"""With PostgreSQL, as production.ini has it."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from alembic import command
from pyramid.router import Router
from sqlalchemy import event
from webtest import TestApp

from example_app.migrations import alembic_config
from pyramid_sessionkit.owned import NotOwned
from tests.functional import test_delete, test_guard, test_reset, test_throttle
from tests.functional.browsing import csrf_header, fill_in, log_in, messages_shown
from tests.functional.conftest import AppStarter, Mail, database_of
from tests.servers.postgresql import PostgreSQL
from tests.stores.conftest import postgresql  # noqa: F401

pytestmark = pytest.mark.servers


@pytest.fixture
def app(start_app: AppStarter, postgresql: PostgreSQL) -> Router:  # noqa: F811
    postgresql.execute("DROP SCHEMA public CASCADE")
    postgresql.execute("CREATE SCHEMA public")
    return start_app(
        **{
            "sqlalchemy.url": postgresql.url,
            "sqlalchemy.isolation_level": "REPEATABLE READ",
            "sessionkit.sql.url": postgresql.url,
            "sessionkit.sql.create_table": "false",
            "pyramid.includes": test_guard.__name__,
        }
    )


def test_alembic_makes_what_the_models_say(app: Router, postgresql: PostgreSQL) -> None:  # noqa: F811
    with database_of(app).connect() as connection:
        command.check(alembic_config(connection))
    # Written by hand into the first revision: Alembic does not know of it.
    assert postgresql.execute("SELECT reloptions FROM pg_class WHERE relname = 'sessions'") == [(["fillfactor=80"],)]


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


def test_of_many_wrong_logins_at_once_none_is_lost(app: Router) -> None:
    test_throttle.test_of_many_at_once_no_more_are_tried(app)


def test_a_link_works_once(app: Router, browser: TestApp, mails: list[Mail]) -> None:
    test_reset.ask(browser)
    link = mails[0].link()
    forms = [TestApp(app).get(link) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(test_reset.choose, forms))

    assert sorted(answer.location.removeprefix("http://localhost") for answer in answers) == ["/login", *["/reset"] * 3]
    log_in(TestApp(app), password=test_reset.NEW, status=303)


def test_an_account_is_deleted_with_all_it_has(app: Router, browser: TestApp) -> None:
    log_in(browser)
    fill_in(browser.get("/messages"), "post", {"text": "mine"}, status=303)
    test_delete.delete(browser)

    log_in(TestApp(app), status=403)
