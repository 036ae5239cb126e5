"""In an application of Pyramid, with pyramid_tm and zope.sqlalchemy."""

from __future__ import annotations

from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.request import Request
from pyramid.security import remember
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, sessionmaker
from webtest import TestApp

from pyramid_sessionkit.owned import NotLoggedIn, NotOwned, guard, owned
from tests.owned.conftest import texts
from tests.owned.models import ADA, BOB, Note, Person


def log_in(request: Request) -> Any:
    remember(request, request.params["user"])
    return request.response


def notes(request: Request) -> Any:
    request.response.content_type = "application/json"
    request.response.json = list(request.dbsession.scalars(owned(request, select(Note.text).order_by(Note.id))))
    return request.response


def change(request: Request) -> Any:
    request.dbsession.execute(owned(request, update(Note).values(text="new").where(Note.id > 1)))
    return request.response


def change_at_commit(request: Request) -> Any:
    request.dbsession.get_one(Note, int(request.params["note"])).text = "new"
    return request.response


def forget_where(request: Request) -> Any:
    request.dbsession.execute(update(Note).values(text="new"))
    return request.response


def find_person(request: Request, userid: str) -> Any:
    return request.dbsession.get(Person, int(userid))


@pytest.fixture(params=[True, False], ids=["identity", "no identity"])
def browser(make_app: Any, engine: Engine, request: pytest.FixtureRequest) -> TestApp:
    factory = sessionmaker(engine)

    def dbsession(request: Request) -> Session:
        shared = request.environ.get("app.dbsession")
        if shared is not None:
            return guard(shared, request)
        session = factory()
        zope.sqlalchemy.register(session, transaction_manager=request.tm)
        return guard(session, request)

    def configure(config: Any) -> None:
        config.add_request_method(dbsession, reify=True)

    views = {f.__name__: f for f in (log_in, notes, change, change_at_commit, forget_where)}
    named = {"identity": find_person} if request.param else {}
    return make_app(
        {f"/{name}": view for name, view in views.items()}, includes=("pyramid_tm",), configure=configure, **named
    )


def test_someone(browser: TestApp, engine: Engine) -> None:
    browser.get(f"/log_in?user={ADA}")
    assert browser.get("/notes").json == ["one of 7", "two of 7"]
    browser.post("/change")
    browser.post("/change_at_commit?note=1")
    assert texts(engine) == ["new", "new", "one of 8", "two of 8"]
    browser.get(f"/log_in?user={BOB}")
    assert browser.get("/notes").json == ["one of 8", "two of 8"]


@pytest.mark.parametrize("path", ["/notes", "/change", "/change_at_commit?note=1"])
def test_nobody(browser: TestApp, engine: Engine, path: str) -> None:
    """Also where it is found out by the flush at the commit."""
    answer = browser.post(path, status=401)
    assert "notes" not in answer.text
    assert "Note" not in answer.text
    assert texts(engine) == ["one of 7", "one of 8", "two of 7", "two of 8"]


@pytest.mark.parametrize("path", ["/forget_where", "/change_at_commit?note=11"])
def test_mistakes(browser: TestApp, engine: Engine, path: str) -> None:
    browser.get(f"/log_in?user={ADA}")
    with pytest.raises(NotOwned):
        browser.post(path)
    assert texts(engine) == ["one of 7", "one of 8", "two of 7", "two of 8"]


def test_a_session_that_a_test_shares(browser: TestApp, engine: Engine) -> None:
    with Session(engine) as session:
        browser.extra_environ["app.dbsession"] = session  # type: ignore[assignment]
        for person in (ADA, BOB):
            browser.get(f"/log_in?user={person}")
            browser.post("/change")
            session.flush()
        assert session.scalars(select(Note.text).order_by(Note.id)).all() == ["one of 7", "new", "new", "new"]
        with pytest.raises(NotOwned):
            session.execute(update(Note).values(text="x"))


def test_the_exceptions() -> None:
    error = NotLoggedIn("what is for the log")
    assert str(error) == "what is for the log"
    assert error.args == ("what is for the log",)
    assert error.status_int == 401
    assert "for the log" not in error.text if error.has_body else True
    assert str(NotLoggedIn()) == "Nobody is logged in"
