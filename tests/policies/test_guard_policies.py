"""``guard(dbsession, request, policies=True)``: PostgreSQL keeps what the judge cannot see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISecurityPolicy
from pyramid.security import forget, remember
from sqlalchemy import Engine, create_engine, func, select, text, update
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from webtest import TestApp

from pyramid_sessionkit.owned import NotOwned, guard, owned, unowned
from tests.policies.test_policies import ADA, BOB, Letter, Reader, Site, Visitor, Volume, engine, filled, server, site

pytestmark = pytest.mark.servers

__all__ = ["engine", "filled", "server", "site"]


@pytest.fixture
def ada() -> Visitor:
    return Visitor(ADA)


@pytest.fixture
def session(engine: Engine, ada: Visitor) -> Iterator[Session]:
    with guard(Session(engine), ada, policies=True) as session:
        yield session


def letters(session: Any) -> list[str]:
    return list(session.scalars(select(Letter.text).order_by(Letter.id)))


ADAS = ["one of 7", "two of 7"]


def test_reading_shows_own_rows_only(session: Session) -> None:
    assert letters(session) == ADAS
    assert session.get(Letter, 11) is None


def test_a_function_that_writes_reaches_own_rows(session: Session, site: Site) -> None:
    session.execute(select(func.rls_rewrite()))
    session.commit()
    assert [row[1] for row in site.rows() if row[2] != ADA] == ["one of 8", "two of 8", "nobody's"]


def test_the_judge_comes_first(session: Session) -> None:
    with pytest.raises(NotOwned):
        session.execute(update(Letter).values(text="x"))
    assert letters(session) == ADAS


def test_nobody_may_lift_it_by_text(session: Session) -> None:
    with pytest.raises(NotOwned):
        session.execute(text("SELECT set_config('sessionkit.unowned', 'on', true)"))


def test_unowned_lifts_it_for_its_block(session: Session) -> None:
    with unowned(session, reason="count"):
        assert len(letters(session)) == 5
    assert letters(session) == ADAS


def test_own_objects_are_written(session: Session, ada: Visitor) -> None:
    session.add(Letter(id=50, text="new", reader_id=ADA))
    session.add(Volume(id=60, reader_id=ADA, pages=1))
    session.flush()
    session.get_one(Volume, 60).pages = 2
    session.execute(owned(ada, update(Letter).values(text="newer").where(Letter.id == 50)))
    session.commit()
    assert letters(session)[-1] == "newer"


def test_a_login_in_the_transaction_is_followed(session: Session, ada: Visitor) -> None:
    ada.authenticated_userid = None
    assert letters(session) == []
    ada.authenticated_userid = str(BOB)
    assert letters(session) == ["one of 8", "two of 8"]
    with session.begin_nested() as savepoint:
        ada.authenticated_userid = str(ADA)
        assert letters(session) == ADAS
        savepoint.rollback()
    assert letters(session) == ADAS


@pytest.mark.parametrize("kind", ["scoped_session", "sessionmaker", "connection"])
def test_each_kind_of_session_is_told(engine: Engine, ada: Visitor, kind: str) -> None:
    if kind == "scoped_session":
        scoped = guard(scoped_session(sessionmaker(engine)), ada, policies=True)
        scoped.remove()
        assert letters(scoped) == ADAS
        scoped.remove()
    elif kind == "sessionmaker":
        with guard(sessionmaker(engine), ada, policies=True)() as session:
            assert letters(session) == ADAS
    else:
        with engine.connect() as connection:
            assert letters(guard(connection, ada, policies=True)) == ADAS


def test_a_role_that_bypasses_is_refused(site: Site, ada: Visitor) -> None:
    engine = site.engine("rls_bypassing")
    with guard(Session(engine), ada, policies=True) as session, pytest.raises(ConfigurationError, match="BYPASSRLS"):
        letters(session)
    engine.dispose()


def test_other_databases_are_refused(ada: Visitor) -> None:
    engine = create_engine("sqlite://")
    with guard(Session(engine), ada, policies=True) as session, pytest.raises(ConfigurationError, match="sqlite"):
        session.execute(select(1))
    engine.dispose()


class TestApplication:
    """The user is found through the session that is guarded for them."""

    @pytest.fixture
    def browser(self, make_app: Any, engine: Engine) -> TestApp:
        factory = sessionmaker(engine)

        def dbsession(request: Any) -> Session:
            session = factory()
            request.add_finished_callback(lambda _: session.close())
            return guard(session, request, policies=True)

        def configure(config: Any) -> None:
            config.add_request_method(dbsession, reify=True)

        def log_in(request: Any) -> Any:
            with unowned(request.dbsession, reason="login"):
                reader = request.dbsession.scalar(select(Reader).where(Reader.email == request.params["email"]))
            remember(request, reader.id)
            request.response.content_type = "application/json"
            request.response.json = letters(request.dbsession)
            return request.response

        def show(request: Any) -> Any:
            request.response.content_type = "application/json"
            request.response.json = letters(request.dbsession)
            return request.response

        def show_after_a_savepoint(request: Any) -> Any:
            with request.dbsession.begin_nested() as savepoint:
                letters(request.dbsession)
                savepoint.rollback()
            return show(request)

        def log_out(request: Any) -> Any:
            letters(request.dbsession)
            forget(request)
            request.response.content_type = "application/json"
            request.response.json = letters(request.dbsession)
            return request.response

        def identity(request: Any, userid: str) -> Any:
            assert request.registry.getUtility(ISecurityPolicy).unauthenticated_userid(request) == userid
            return request.dbsession.get(Reader, int(userid))

        return make_app(
            {"/log_in": log_in, "/": show, "/log_out": log_out, "/savepoint": show_after_a_savepoint},
            configure=configure,
            identity=identity,
            credentials_hash=lambda request, reader: reader.email,
        )

    def test_the_first_query_may_find_the_user(self, browser: TestApp) -> None:
        assert browser.get("/").json == []
        assert browser.post("/log_in", {"email": f"{ADA}@example.com"}).json == ADAS
        assert browser.get("/").json == ADAS
        assert browser.get("/savepoint").json == ADAS
        assert browser.post("/log_out").json == []
        assert browser.get("/").json == []
