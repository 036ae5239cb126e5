"""How the SQL store talks to its database.

Statements are built with SQLAlchemy Core, compiled once for the dialect, and run on raw cursors of an engine that
commits by itself: one round trip each, and none of the cost of building them for each request.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Sequence
from operator import attrgetter, methodcaller
from os import getpid
from random import uniform
from time import monotonic, sleep
from typing import Any
from weakref import WeakSet

from pyramid.exceptions import ConfigurationError
from sqlalchemy import Executable, create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.stores.home import Home, keep_inherited
from pyramid_sessionkit.stores.sql_timeouts import connect_arguments, limit_answers

QUICK = 0.5
"""Seconds within which a dead connection is found out; what took longer timed out, and is not tried again."""

CONFLICT_ATTEMPTS = 20

_ROWCOUNT, _FETCHONE, _FETCHALL = attrgetter("rowcount"), methodcaller("fetchone"), methodcaller("fetchall")


def create_session_engine(url: str, timeout: int = 5) -> Engine:
    """An engine that commits each statement by itself, and waits ``timeout`` seconds for an answer."""
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
    pool: dict[str, Any] = (
        {"poolclass": NullPool} if sqlite else {"pool_reset_on_return": None, "pool_timeout": timeout}
    )
    try:
        connect = connect_arguments(parsed, timeout)
        engine = create_engine(parsed, isolation_level="AUTOCOMMIT", connect_args=connect, **pool)
    except NoSuchModuleError:
        raise ConfigurationError(f"sessionkit.sql.url: SQLAlchemy does not know {parsed.drivername}") from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"sessionkit.sql.url needs the driver {error.name}, which is not installed: pip install {error.name}"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _let_readers_pass_the_writer)
        event.listen(engine, "connect", _take_any_text)
    limit_answers(engine, timeout)
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


class Connections:
    """Raw connections of an engine.

    They come from its pool; but with SQLite, where a connection is but an open file, each thread keeps its own, since
    the pool would cost more than the statement.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._kept: threading.local | None = threading.local() if engine.dialect.name == "sqlite" else None
        self._files: WeakSet[Any] = WeakSet()  # connections of all threads to SQLite's file
        self._pid = getpid()
        self._home = Home(self._leave)
        self.check = self._home.check
        """Give up the connections that another process opened. To be called before any other use of the engine."""

    def take(self) -> Any:
        """A connection, to be given back in any case."""
        self.check()
        kept = self._kept
        if kept is None:
            return self._open()
        try:
            return kept.connection
        except AttributeError:
            kept.connection = self._open()
            self._files.add(kept.connection)
            return kept.connection

    def give_back(self, connection: Any) -> None:
        if self._kept is None:
            connection.close()

    def drop_if_dead(self, connection: Any, error: Any) -> bool:
        """Forget the connection, and all that are idle, if the server has closed it."""
        if not self.engine.dialect.is_disconnect(error, connection.dbapi_connection, None):
            return False
        self.drop(connection)
        self.close()
        return True

    def drop(self, connection: Any) -> None:
        """Close a connection for good."""
        connection.invalidate()
        if self._kept is not None:
            self._kept.__dict__.pop("connection", None)

    def close(self) -> None:
        """Close all that are idle. Threads that run on one lose it afterwards."""
        self.check()
        if self._kept is not None:
            self._kept = threading.local()
        self.engine.dispose()

    def _leave(self) -> None:
        keep_inherited(self._kept, self.engine.pool)
        if self._kept is not None:
            self._close_inherited_files()
            self._kept = threading.local()
        self.engine.dispose(close=False)

    def _close_inherited_files(self) -> None:
        """Close what a parent opened, in this process alone.

        SQLite counts the locks of its process on a file, and takes those of a parent for ours. While an inherited
        connection is there, ours do not lock the file: once the parent has ended, another process may remove the log
        of what we write. A connection that the parent is writing on stays, since to close it would roll back.
        """
        if self._pid == getpid():
            return
        self._pid = getpid()
        for connection in list(self._files):
            raw = connection.dbapi_connection
            if raw is not None and not raw.in_transaction:
                connection.invalidate()

    def _open(self) -> Any:
        try:
            return self.engine.raw_connection()
        except (self.engine.dialect.loaded_dbapi.Error, DBAPIError, PoolTimeout) as error:
            raise StoreUnavailable(f"The sessions' database cannot be reached: {first_line(error)}") from error


ROLLED_BACK = frozenset(("40001", "40P01", 1213, 1020))
"""Serialization failures and deadlocks: by SQLSTATE of PostgreSQL, by error number of MariaDB and MySQL."""

READ_ONLY = frozenset(("25006", 1290, 1792, 1836))


class RolledBack(Exception):
    """The database undid the statement, so that it can be run again whatever it was."""


class Taken(Exception):
    """A row with this key is there already."""


class Statement:
    """A statement compiled for the engine's dialect once, and run on a raw cursor."""

    def __init__(self, connections: Connections, statement: Executable, table: str) -> None:
        dialect = connections.engine.dialect
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self._connections = connections
        self._table = table
        self._sql = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup if compiled.positional else None
        # Literals that the dialect turned into parameters, such as an OFFSET of 0.
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._driver: Any = dialect.loaded_dbapi

    def run(self, values: dict[str, Any], again: bool) -> int:
        """Execute and return the number of rows found; ``again``: once more if the connection was dead."""
        return int(self._execute(values, again, _ROWCOUNT))

    def fetch(self, values: dict[str, Any], again: bool) -> Any:
        """The first row, or None."""
        return self._execute(values, again, _FETCHONE)

    def fetch_all(self, values: dict[str, Any]) -> Any:
        """All rows."""
        return self._execute(values, True, _FETCHALL)

    def _execute(self, values: dict[str, Any], again: bool, result: Any) -> Any:
        values = {**self._constants, **values} if self._constants else values
        parameters = values if self._order is None else [values[name] for name in self._order]
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                return self._attempt(parameters, again, result)
            except RolledBack as conflict:
                refused = conflict
                sleep(uniform(0, 0.005 * (attempt + 1)))
        raise StoreUnavailable(f"The sessions' database saw conflicts again and again: {refused}")

    def _attempt(self, parameters: Any, again: bool, result: Any) -> Any:
        connections = self._connections
        connection = connections.take()
        started = monotonic()
        try:
            cursor = connection.dbapi_connection.cursor()
            try:
                cursor.execute(self._sql, parameters)
                return result(cursor)
            finally:
                cursor.close()
        except self._driver.Error as error:
            if not connections.drop_if_dead(connection, error):
                raise translated(error, self._driver, self._table) from error
            if not again or monotonic() - started > QUICK:
                raise StoreUnavailable(
                    "The connection to the sessions' database was lost before it answered"
                ) from error
        except BaseException as error:
            # Interrupted, perhaps with an answer on its way that the next user of the connection would take for theirs.
            connections.drop(connection)
            if not isinstance(error, Exception):
                raise
            raise StoreError(f"A session cannot be stored: {type(error).__name__}: {first_line(error)}") from error
        finally:
            connections.give_back(connection)
        return self._attempt(parameters, False, result)


def translated(error: Exception, driver: Any, table: str) -> Exception:
    """What a driver's error says of the sessions in ``table``."""
    text = first_line(error)
    codes = codes_of(error)
    if codes & ROLLED_BACK:
        return RolledBack(text)
    if codes & READ_ONLY:
        return StoreUnavailable(f"The sessions' database takes no writes for the moment: {text}")
    if isinstance(error, driver.IntegrityError):
        return Taken(text)
    if NO_COLUMN.search(text):
        return StoreError(older_layout(table, text))
    if NO_TABLE.search(text):
        return StoreError(
            f"The table {table} is missing ({text}): set sessionkit.sql.create_table = true to have it made, or add "
            "pyramid_sessionkit.stores.sql.sessions_table to your Alembic metadata"
        )
    if isinstance(error, driver.OperationalError):
        return StoreUnavailable(f"The sessions' database did not do what it was told: {text}{_advice(text)}")
    return StoreError(f"The sessions' database refused a statement: {text}")


def codes_of(error: Exception) -> set[Any]:
    """What the drivers call the error: those of PostgreSQL by SQLSTATE, each in its place; those of MariaDB by number.

    The dict is pg8000's.
    """
    first = error.args[0] if error.args else None
    number = first if isinstance(first, (int, str)) else None
    fields = first if isinstance(first, dict) else {}
    return {getattr(error, "sqlstate", None), getattr(error, "pgcode", None), fields.get("C"), number}


NO_COLUMN = re.compile(r"no such column|has no column|column .* does not exist|unknown column", re.IGNORECASE)
NO_TABLE = re.compile(r"no such table|does not exist|doesn't exist", re.IGNORECASE)
"""SQLite, PostgreSQL, and MariaDB or MySQL each have words of their own for it."""


def older_layout(table: str, found: str) -> str:
    """What is wrong with a table of another version of this package, and what to do about it."""
    return (
        f"The table {table} has the layout of an older version ({found}): replace it, which ends all sessions, with "
        f"DROP TABLE {table}, and have it made again by psessions create-table, sessionkit.sql.create_table = true or "
        "Alembic"
    )


def _advice(text: str) -> str:
    if "database is locked" not in text:
        return ""
    return (
        "; a SQLite file has one writer at a time: keep sessions in a file of their own, and end the transaction "
        "of a view before session.save()"
    )


def first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
