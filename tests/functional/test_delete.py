"""The end of an account."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyramid.router import Router
from webtest import TestApp, TestResponse

from example_app.models import Base, MailedLink, User
from example_app.views.delete_account import OWNED
from pyramid_sessionkit import get_sessions
from pyramid_sessionkit.user_sessions import UserSessions
from tests.functional.browsing import fill_in, log_in, messages_shown, notice, same_visitor, sign_up, user_shown
from tests.functional.conftest import Mail

Database = sqlite3.Connection


def delete(browser: TestApp) -> TestResponse:
    return browser.get("/account/delete").forms["delete-account"].submit(status=303)


@pytest.fixture
def database(app: Router, tmp_path: Path) -> Iterator[Database]:
    connection = sqlite3.connect(tmp_path / "example.sqlite")
    yield connection
    connection.close()


@pytest.fixture
def bob(app: Router) -> TestApp:
    """He has messages, a known device and a link under way, as Ada has."""
    for email in ("ada@example.com", "bob@example.com"):
        browser = TestApp(app)
        log_in(browser, email)
        fill_in(browser.get("/messages"), "post", {"text": f"of {email}"}, status=303)
        fill_in(browser.get("/reset"), "reset", {"email": email}, status=303)
    return browser


def rows(database: Database, user_id: int) -> dict[str, int]:
    """How many rows each table has for a user."""
    columns = {"users": "id", "messages": "user_id", "known_devices": "user_id", "mailed_links": "user_id"}
    return {
        table: database.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (user_id,)).fetchone()[0]
        for table, column in columns.items()
    }


def test_it_is_asked_first(bob: TestApp, database: Database) -> None:
    page = bob.get("/account/delete")

    assert page.html.h1.text == "Delete your account?"
    assert rows(database, 2)["users"] == 1


def test_the_user_and_what_they_own_is_gone(bob: TestApp, database: Database) -> None:
    of_ada = rows(database, 1)
    assert rows(database, 2) == {"users": 1, "messages": 1, "known_devices": 1, "mailed_links": 1}
    page = delete(bob).follow()

    assert page.request.path == "/"
    assert notice(page) == "Your account is deleted, with all that was in it."
    assert user_shown(page) is None
    assert rows(database, 2) == {"users": 0, "messages": 0, "known_devices": 0, "mailed_links": 0}
    assert rows(database, 1) == of_ada


def test_everything_that_belongs_to_users_is_deleted() -> None:
    """A new model of that kind has to be deleted too."""
    users = User.__table__
    models = [mapper.class_ for mapper in Base.registry.mappers]
    of_users = {model for model in models if any(key.column.table is users for key in model.__table__.foreign_keys)}

    assert {*OWNED, MailedLink} == {User, *of_users}


def test_all_sessions_end(app: Router, bob: TestApp) -> None:
    phone = TestApp(app)
    log_in(phone, "bob@example.com")
    ada = TestApp(app)
    log_in(ada)
    delete(bob)

    assert get_sessions(app.registry).of_user("2") == []
    phone.get("/messages", status=303)
    assert user_shown(phone.get("/")) is None
    assert user_shown(ada.get("/messages")) == "Ada"


def test_a_session_that_was_missed_ends_by_itself(app: Router, bob: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was opened at the same time."""
    phone = TestApp(app)
    log_in(phone, "bob@example.com")
    monkeypatch.setattr(UserSessions, "revoke_others", lambda sessions: 0)
    delete(bob)
    assert len(get_sessions(app.registry).of_user("2")) == 1

    phone.get("/messages", status=303)
    assert get_sessions(app.registry).of_user("2") == []


def test_nobody_logs_in_with_it(app: Router, bob: TestApp) -> None:
    delete(bob)

    log_in(TestApp(app), "bob@example.com", status=403)


def test_the_next_user_gets_nothing_of_it(app: Router, bob: TestApp, database: Database) -> None:
    delete(bob)
    eve = TestApp(app)
    sign_up(eve, email="bob@example.com")

    assert messages_shown(eve.get("/messages")) == []
    assert rows(database, 2)["users"] == 0


def test_links_that_were_under_way_open_nothing(app: Router, browser: TestApp, mails: list[Mail]) -> None:
    log_in(browser, "bob@example.com")
    fill_in(browser.get("/reset"), "reset", {"email": "bob@example.com"}, status=303)
    delete(browser)

    assert browser.get(mails[0].link(), status=303).location == "http://localhost/reset"


def test_it_needs_a_fresh_login(bob: TestApp, database: Database, later: Callable[[int], None]) -> None:
    page = bob.get("/account/delete")
    later(301)

    assert "/confirm" in bob.get("/account/delete", status=303).location
    assert "/confirm" in page.forms["delete-account"].submit(status=303).location
    assert rows(database, 2)["users"] == 1


def test_it_needs_the_csrf_token_and_a_post(bob: TestApp, database: Database) -> None:
    bob.post("/account/delete", status=400)
    bob.delete("/account/delete", status="4*")

    assert rows(database, 2)["users"] == 1


def test_a_second_tab_is_sent_to_the_login(bob: TestApp) -> None:
    second = same_visitor(bob).get("/account/delete")
    delete(bob)
    answer = second.forms["delete-account"].submit(status="*")

    assert answer.status_int in (303, 400)
    assert user_shown(bob.get("/")) is None
