"""An application laid out as the cookiecutter does it, whose view each test writes for itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from sqlalchemy import Engine, create_engine, delete, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from transaction import TransactionManager
from webtest import TestApp

from pyramid_sessionkit import SessionEvent, get_sessions
from pyramid_sessionkit.stores.sql import sessions_table
from tests.conftest import SECRET

View = Callable[[Request], Response]

TAKEN = "taken"
"""The name of a row that is always there."""


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    number: Mapped[int] = mapped_column(default=0)


SESSIONS = sessions_table(Base.metadata)


def get_tm_session(factory: sessionmaker[Session], tm: TransactionManager, request: Any = None) -> Session:
    """As the cookiecutter has it."""
    dbsession = factory(info={"request": request})
    zope.sqlalchemy.register(dbsession, transaction_manager=tm)
    return dbsession


class Site:
    """An application with its database, and what the tests need to see of both.

    ``mode``: ``independent`` or ``joined``. ``views``: what ``/act?view=name`` does.
    """

    def __init__(
        self, url: str, sessions_url: str, mode: str, engine: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        self.mode = mode
        self.engine = create_engine(url, **(engine or {}))
        # Beside the application: what these see has been committed.
        self._eyes, self._session_eyes = eyes(url), eyes(sessions_url)
        self._prepare()
        self.factory = sessionmaker(self.engine)
        self.views: dict[str, View] = {}
        self.render: Callable[[Exception, Request], Response] | None = None
        self.told: list[SessionEvent] = []
        self.on_event: Callable[[SessionEvent], None] = self.told.append
        joined = {"sessionkit.sql.dbsession": "dbsession"} if mode == "joined" else {}
        self.config = self._configure(
            {"sessionkit.secret": SECRET, "sessionkit.store": "sql", "sessionkit.sql.url": sessions_url}
            | joined
            | settings
        )
        self.wsgi = self.config.make_wsgi_app()

    def _prepare(self) -> None:
        for engine in (self._eyes, self._session_eyes):
            Base.metadata.create_all(engine)
        if self._eyes.dialect.name == "postgresql":
            with self._eyes.begin() as connection:
                connection.execute(
                    text(
                        "CREATE TABLE IF NOT EXISTS deferred "
                        "(name text, CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED)"
                    )
                )

    def _configure(self, settings: dict[str, Any]) -> Configurator:
        config = Configurator(settings={"tm.manager_hook": "pyramid_tm.explicit_manager"} | settings)
        config.include("pyramid_tm")
        config.include("pyramid_sessionkit")

        def dbsession(request: Request) -> Session:
            given: Session | None = request.environ.get("app.dbsession")
            return get_tm_session(self.factory, request.tm, request) if given is None else given

        config.add_request_method(dbsession, reify=True)
        if asked_for_retries(settings):
            config.include("pyramid_retry")
        for name, view in (("/act", self._act), ("/look", look), ("/enter", enter)):
            config.add_route(name, name)
            config.add_view(view, route_name=name, renderer="json")
        config.add_view_predicate("to_be_rendered", ToBeRendered)
        config.add_exception_view(self._render, context=Exception, to_be_rendered=True)
        config.add_subscriber(lambda event: self.on_event(event), SessionEvent)
        return config

    def _act(self, request: Request) -> Response:
        return self.views[request.params["view"]](request)

    def _render(self, error: Exception, request: Request) -> Response:
        if self.render is not None:
            return self.render(error, request)
        return Response(f"rendered {type(error).__name__}", status=request.rendered_as)

    def clean(self) -> None:
        """As at the beginning: no sessions, and one row."""
        self.views.clear()
        self.render = None
        self.told.clear()
        self.on_event = self.told.append
        with self._session_eyes.begin() as connection:
            connection.execute(delete(SESSIONS))
        with self._eyes.begin() as connection:
            connection.execute(delete(Row))
            connection.execute(Row.__table__.insert(), {"name": TAKEN, "number": 0})  # type: ignore[attr-defined]

    def sessions(self) -> list[Any]:
        """The sessions' table, all columns of it."""
        with self._session_eyes.connect() as connection:
            return sorted(map(tuple, connection.execute(select(SESSIONS))))

    def userids(self) -> list[str | None]:
        """Whose sessions there are."""
        with self._session_eyes.connect() as connection:
            return sorted(connection.scalars(select(SESSIONS.c.userid).where(SESSIONS.c.verifier != "")), key=str)

    def rows(self) -> dict[str, int]:
        """The application's rows."""
        with self._eyes.connect() as connection:
            return dict(map(tuple, connection.execute(select(Row.name, Row.number))))  # type: ignore[arg-type]

    def execute(self, statement: str, **values: Any) -> Any:
        """One statement, committed at once, in the application's database."""
        with self._eyes.begin() as connection:
            result = connection.execute(text(statement), values)
            return result.fetchall() if result.returns_rows else None

    def visitor(self, userid: str | None = None, cart: str = "old") -> Visitor:
        """A browser with a session, logged in if a userid is given."""
        visitor = Visitor(self)
        visitor.browser.get("/enter", {"cart": cart} | ({"userid": userid} if userid else {}))
        self.told.clear()
        return visitor

    def disconnect(self) -> None:
        """Close all connections that are idle."""
        get_sessions(self.config.registry).store.close()
        self.engine.dispose()

    def close(self) -> None:
        self.disconnect()
        self._eyes.dispose()
        self._session_eyes.dispose()


@cache
def eyes(url: str) -> Engine:
    """Shared, since PostgreSQL has 100 connections."""
    return create_engine(url)


class Visitor:
    """A browser, and what it has seen."""

    def __init__(self, site: Site, **extra_environ: Any) -> None:
        self.site = site
        self.browser = TestApp(site.wsgi, extra_environ=extra_environ or None)

    def same(self) -> Visitor:
        """Another tab."""
        other = Visitor(self.site)
        other.browser.set_cookie("session", self.cookie or "")
        return other

    @property
    def cookie(self) -> str | None:
        value: str | None = self.browser.cookies.get("session")
        return value

    def act(self, view: str | View, **params: Any) -> Any:
        """The response of a view, or the exception that came out of the application: its server would answer 500."""
        if not isinstance(view, str):
            self.site.views["test"], view = view, "test"
        try:
            return self.browser.post("/act", {"view": view, **params}, expect_errors=True)
        except Exception as error:
            return error.with_traceback(None)

    def look(self) -> Any:
        """What the next page shows."""
        return self.browser.get("/look").json


def look(request: Request) -> Any:
    session = request.session
    contents = {name: value for name, value in session.items() if not name.startswith("_")}
    return {"userid": request.authenticated_userid, "flashes": session.peek_flash(), **contents}


def enter(request: Request) -> Any:
    request.session["cart"] = [request.params["cart"]]
    if "userid" in request.params:
        remember(request, request.params["userid"])
    return {}


def status_of(answer: Any) -> str:
    """The status of an answer, or ``raises``."""
    return "raises" if isinstance(answer, Exception) else str(answer.status_int)


def asked_for_retries(settings: dict[str, Any]) -> bool:
    return "retry.attempts" in settings


class ToBeRendered:
    """The exception view is for requests whose view has set ``request.rendered_as``, a status."""

    def __init__(self, _: bool, config: Configurator) -> None:
        pass

    def text(self) -> str:
        return "to_be_rendered"

    phash = text

    def __call__(self, context: Any, request: Request) -> bool:
        return hasattr(request, "rendered_as")


def sqlite_urls(folder: Path, mode: str) -> tuple[str, str]:
    """Of the application and of its sessions: SQLite has one writer, so that these need a file of their own.

    In joined mode it is the application's session that writes them.
    """
    url = f"sqlite:///{folder}/application.sqlite"
    return url, url if mode == "joined" else f"sqlite:///{folder}/sessions.sqlite"
