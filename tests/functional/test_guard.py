"""The guard on ``request.dbsession``: what a view writes by mistake is refused, whatever view it is."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNoContent
from pyramid.request import Request
from pyramid.router import Router
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session
from transaction import TransactionManager
from webtest import TestApp

from example_app.models import Message, User, get_tm_session
from pyramid_sessionkit.owned import NotOwned, owned
from tests.functional.browsing import log_in
from tests.functional.conftest import AppStarter, database_of

ADA, BOB = 1, 2

Mistake = Callable[[Request], Any]
Rows = list[tuple[Any, ...]]


def execute(statement: Any) -> Mistake:
    return lambda request: request.dbsession.execute(statement)


def change_object(request: Request) -> None:
    request.dbsession.get_one(User, ADA).location = "x"


def delete_object(request: Request) -> None:
    request.dbsession.delete(request.dbsession.scalar(select(Message).where(Message.user_id == ADA)))


def write_for_another(request: Request) -> None:
    request.dbsession.add(Message(user_id=ADA, text="x"))


def give_object_away(request: Request) -> None:
    request.dbsession.scalar(owned(request, select(Message))).user_id = ADA


def become_another(request: Request) -> None:
    request.identity.id = 7


MISTAKES: dict[str, Mistake] = {
    "a WHERE that was forgotten": execute(update(User).values(location="x")),
    "another user": execute(update(User).where(User.id == ADA).values(location="x")),
    "another user by name": execute(update(User).where(User.email == "ada@example.com").values(role="user")),
    "oneself without owned": execute(update(User).where(User.id == BOB).values(location="x")),
    "all messages": execute(delete(Message)),
    "all users": execute(delete(User)),
    "a user": execute(insert(User).values(email="x", name="x", password_hash="x")),
    "a message for another": execute(insert(Message).values(user_id=ADA, text="x")),
    "a table": execute(update(User.__table__).values(location="x")),
    "text": execute(text("UPDATE users SET location = 'x'")),
    "text with a comment": execute(text("/* all */ DELETE /* of */ FROM messages")),
    "a connection": lambda request: request.dbsession.connection().execute(delete(Message)),
    "a connection and text": lambda request: request.dbsession.connection().exec_driver_sql("DELETE FROM messages"),
    "a query": lambda request: request.dbsession.query(User).update({"location": "x"}),
    "in bulk": lambda request: request.dbsession.bulk_update_mappings(User, [{"id": ADA, "location": "x"}]),
    "an id": lambda request: request.dbsession.execute(owned(request, update(User).values(id=7))),
    "an owner": lambda request: request.dbsession.execute(owned(request, update(Message).values(user_id=ADA))),
    "an object": change_object,
    "an object to delete": delete_object,
    "an object for another": write_for_another,
    "an object given away": give_object_away,
    "an object's id": become_another,
}


def includeme(config: Configurator) -> None:
    """Adds pages that make the mistakes."""
    config.add_route("mistake", "/mistakes/{name}")
    config.add_view(make_mistake, route_name="mistake", request_method="POST")


def make_mistake(request: Request) -> HTTPNoContent:
    MISTAKES[request.matchdict["name"]](request)
    return HTTPNoContent()


@pytest.fixture
def app(start_app: AppStarter) -> Router:
    app = start_app(**{"pyramid.includes": __name__})
    add_messages(app)
    return app


def add_messages(app: Router) -> None:
    with app.registry["dbsession_factory"].begin() as dbsession:
        dbsession.add_all(Message(user_id=user, text=f"of {user}") for user in (ADA, BOB))


def rows(app: Router) -> Rows:
    """All that there is."""
    with database_of(app).connect() as connection:
        return [tuple(row) for model in (User, Message) for row in connection.execute(select(model.__table__))]


def make(browser: TestApp, mistake: str) -> None:
    token = browser.get("/").html.select_one("meta[name=csrf-token]")["content"]
    browser.post(f"/mistakes/{mistake}", headers={"X-CSRF-Token": token}, status=204)


def test_mistakes_change_nothing(app: Router, browser: TestApp) -> None:
    log_in(browser, "bob@example.com")
    before = rows(app)
    for mistake in MISTAKES:
        with pytest.raises(NotOwned):
            make(browser, mistake)
        assert rows(app) == before, mistake


def test_an_administrator_makes_them_too(app: Router, browser: TestApp) -> None:
    log_in(browser)
    before = rows(app)
    with pytest.raises(NotOwned, match="UPDATE of 'users', whose rows have owners, was refused"):
        make(browser, "a WHERE that was forgotten")

    assert rows(app) == before


def test_nobody_is_told_to_log_in(app: Router, browser: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a view that lacks its gate."""
    monkeypatch.setitem(MISTAKES, "no gate", lambda request: request.dbsession.execute(owned(request, delete(Message))))
    before = rows(app)
    for mistake in ("no gate", "an object"):
        token = browser.get("/").html.select_one("meta[name=csrf-token]")["content"]
        answer = browser.post(f"/mistakes/{mistake}", headers={"X-CSRF-Token": token}, status=401)
        assert "essage" not in answer
    with pytest.raises(NotOwned):
        make(browser, "a WHERE that was forgotten")

    assert rows(app) == before


@pytest.fixture
def shared(app: Router, browser: TestApp) -> Iterator[Session]:
    """A session that the test shares with the application, as the cookiecutter's ``testapp`` does."""
    manager = TransactionManager(explicit=True)
    manager.begin()
    manager.doom()
    dbsession = get_tm_session(app.registry["dbsession_factory"], manager)
    browser.extra_environ |= {"tm.active": True, "tm.manager": manager, "app.dbsession": dbsession}
    yield dbsession
    manager.abort()


def test_a_session_that_a_test_brings_is_guarded(browser: TestApp, shared: Session) -> None:
    log_in(browser, "bob@example.com")
    page = browser.get("/profile")
    page.forms["profile"]["location"] = "Oslo"
    page.forms["profile"].submit(status=303)
    assert shared.get_one(User, BOB).location == "Oslo"

    with pytest.raises(NotOwned):
        make(browser, "a WHERE that was forgotten")


def test_a_sign_up_says_why_it_may(browser: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    form = browser.get("/signup").forms["signup"]
    form["name"], form["email"], form["password"] = "Eve", "eve@example.com", "a long one"
    form.submit(status=303)

    assert "unowned: sign-up (nobody is logged in)" in caplog.messages
