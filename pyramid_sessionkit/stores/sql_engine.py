"""The engine of the sessions: how the SQL store reaches its database."""

from __future__ import annotations

import contextlib
from typing import Any

from pyramid.exceptions import ConfigurationError
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from pyramid_sessionkit.stores.sql_timeouts import connect_arguments, limit_answers

_URL_OF_OUR_DRIVER = '; write postgresql+psycopg://, for which there is pip install "pyramid_sessionkit[postgresql]"'
_EXTRAS = {"psycopg": "postgresql", "pymysql": "mariadb"}
"""Of the drivers that have one."""


def _install(driver: str | None) -> str:
    return f'"pyramid_sessionkit[{_EXTRAS[driver]}]"' if driver in _EXTRAS else str(driver)


def create_session_engine(url: str, timeout: int = 5, prepare: bool = True) -> Engine:
    """An engine that commits each statement by itself, and waits ``timeout`` seconds for an answer.

    Without ``prepare`` nothing is set on the server's connection, which may be another for each statement. It has no
    pool: the store keeps its connections itself.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "sessionkit.sql.url is not a SQLAlchemy URL such as sqlite:///sessions.sqlite"
        ) from None
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and (":memory:" in (parsed.database or ":memory:") or parsed.query.get("mode") == "memory"):
        raise ConfigurationError(
            "sessionkit.sql.url names an in-memory SQLite database, of which each thread would have its own: "
            "name a file, or use sessionkit.store = memory"
        )
    try:
        engine = create_engine(
            parsed,
            isolation_level="AUTOCOMMIT",
            connect_args=connect_arguments(parsed, timeout, prepare),
            poolclass=NullPool,
            pool_reset_on_return=None,
        )
    except NoSuchModuleError:
        cure = _URL_OF_OUR_DRIVER if parsed.drivername.startswith("postgres") else ""
        raise ConfigurationError(f"sessionkit.sql.url: SQLAlchemy does not know {parsed.drivername}{cure}") from None
    except ModuleNotFoundError as error:
        cure = _URL_OF_OUR_DRIVER if error.name == "psycopg2" else ""
        raise ConfigurationError(
            f"sessionkit.sql.url needs the driver {error.name}, which is not installed: "
            f"pip install {_install(error.name)}{cure}"
        ) from None
    if sqlite:
        event.listen(engine, "connect", _let_readers_pass_the_writer)
        event.listen(engine, "connect", _take_any_text)
    limit_answers(engine, timeout, cancel=not prepare)
    if engine.dialect.driver == "psycopg":
        # SQLAlchemy would begin a transaction to look for a type that we do not use. No pooler of statements takes it.
        engine.dialect.use_native_hstore = False  # type: ignore[attr-defined]
    return engine


def _let_readers_pass_the_writer(connection: Any, _: Any) -> None:
    # Not where another connection is writing just now: the next one that is opened does it.
    with contextlib.suppress(connection.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


def _take_any_text(connection: Any, _: Any) -> None:
    connection.text_factory = _text


def _text(stored: bytes) -> str | bytes:
    """Bytes for what is not UTF-8: it belongs to a damaged record, which must not break the list of all."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored
