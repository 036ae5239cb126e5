"""Sessions in a SQL table, one row each.

Statements are built with SQLAlchemy Core, compiled once for the dialect, and run on raw cursors of an engine that
commits by itself: one round trip each, and none of the cost of building them for each request.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Sequence
from time import time
from typing import Any

from pyramid.exceptions import ConfigurationError
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Executable,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.types import TypeEngine
from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.settings import Settings

log = logging.getLogger(__name__)

FIELDS = (
    "data",
    "userid",
    "authenticated",
    "credentials",
    "created",
    "renewed",
    "timeout",
    "deadline",
    "persistent",
    "version",
)
"""The columns of a record, in the order of its fields."""

PURGE_BATCH = 1000


def from_settings(settings: Settings) -> SQLStore:
    """The store of ``sessionkit.sql.*``, with an engine of its own."""
    if not settings.sql.url:
        raise ConfigurationError("sessionkit.store = sql needs a database: set sessionkit.sql.url or sqlalchemy.url")
    store = SQLStore(create_session_engine(settings.sql.url), settings.sql.table)
    if settings.sql.create_table:
        store.create_table()
    return store


def create_session_engine(url: str) -> Engine:
    """An engine that commits each statement by itself and survives a fork."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "sessionkit.sql.url is not a SQLAlchemy URL such as sqlite:///sessions.sqlite"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "sessionkit.sql.url names an in-memory SQLite database, of which each thread would have its own: "
            "name a file, or use sessionkit.store = memory"
        )
    try:
        engine = create_engine(parsed, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
    except NoSuchModuleError:
        raise ConfigurationError(f"sessionkit.sql.url: SQLAlchemy does not know {parsed.drivername}") from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"sessionkit.sql.url needs the driver {error.name}, which is not installed: pip install {error.name}"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _let_readers_pass_the_writer)
    _forget_connections_after_fork(engine)
    return engine


def sessions_table(metadata: MetaData, name: str = "sessions") -> Table:
    """The table of the sessions, in the ``MetaData`` of an application so that Alembic sees it.

    ``name`` may have a schema: ``web.sessions``.
    """
    schema, _, table = name.rpartition(".")
    return Table(
        table,
        metadata,
        Column("session_key", _exact(64), primary_key=True),
        Column("data", LargeBinary(2**24 - 1), nullable=False),
        Column("userid", _exact(255), index=True),
        Column("authenticated", BigInteger),
        Column("credentials", String(255)),
        Column("created", BigInteger, nullable=False),
        Column("renewed", BigInteger, nullable=False),
        Column("timeout", BigInteger),
        Column("deadline", BigInteger),
        Column("persistent", Boolean, nullable=False),
        Column("expires", BigInteger, index=True),
        Column("version", Integer, nullable=False),
        schema=schema or None,
    )


def _exact(length: int) -> TypeEngine[str]:
    """Text compared byte by byte: databases differ in what they take for equal."""
    return (
        String(length)
        .with_variant(String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
    )


@implementer(ISessionStore, IUserIndex, IPurgeable)
class SQLStore:
    """Sessions in the table ``table`` of the database that ``engine`` reaches.

    ``engine`` must commit by itself, as that of :func:`create_session_engine` does.
    """

    def __init__(self, engine: Engine, table: str = "sessions") -> None:
        self._engine = engine
        self._table = sessions_table(MetaData(), table)
        self._columns = self._table.c
        self._prepare()

    def load(self, key: str, fresh: bool = False) -> Record | None:
        row = self._load.fetch({"key": key}, again=True)
        if row is None:
            return None
        record = _record(row)
        return None if record.expired(time()) else record

    def create(self, key: str, record: Record) -> Record | None:
        try:
            self._create.run({"session_key": key, **_values(record), "version": 1}, again=True)
        except _Taken:
            return None
        return record.versioned(1)

    def update(self, key: str, record: Record) -> Record | None:
        return self.move(key, key, record)

    def move(self, key: str, new_key: str, record: Record) -> Record | None:
        version = record.version + 1
        values = {"session_key": new_key, **_values(record), "version": version}
        current = {"key": key, "current": record.version, "now": int(time())}
        try:
            moved = self._move.run(values | current, again=False)
        except _Taken as error:
            raise StoreError("A session cannot be moved to a key that is taken") from error
        return record.versioned(version) if moved else None

    def delete(self, key: str) -> bool:
        return self._delete.run({"key": key}, again=True) > 0

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        rows = self._sessions_of.fetch_all({"owner": userid, "now": int(time())})
        found = [(row[0], _record(row[1:])) for row in rows]
        # MariaDB's binary collations ignore spaces at the end.
        return [(key, record) for key, record in found if record.userid == userid]

    def purge(self, limit: int | None = None) -> int:
        purged = 0
        while limit is None or purged < limit:
            batch = PURGE_BATCH if limit is None else min(PURGE_BATCH, limit - purged)
            removed = self._purge.run({"now": int(time()), "batch": batch}, again=True)
            purged += removed
            if removed < batch:
                break
        return purged

    def count(self) -> int:
        row = self._count.fetch({"now": int(time())}, again=True)
        return int(row[0]) if row else 0

    def clear(self) -> int:
        return self._clear.run({}, again=True)

    def create_table(self) -> None:
        """Make the table where it is missing; harmless when several processes do it at once."""
        try:
            self._table.create(self._engine, checkfirst=True)
        except SQLAlchemyError as error:
            if not self.has_table():
                raise StoreError(f"The table {self._table.fullname} cannot be made: {_first_line(error)}") from error

    def has_table(self) -> bool:
        return inspect(self._engine).has_table(self._table.name, schema=self._table.schema)

    def _prepare(self) -> None:
        c, table = self._columns, self._table
        is_key = c.session_key == bindparam("key")
        alive = _alive(c.expires)
        values: dict[str, Any] = {name: bindparam(name) for name in ("session_key", *FIELDS, "expires")}
        record = [c[name] for name in FIELDS]
        owned = (c.userid == bindparam("owner")) & alive
        # MySQL takes no LIMIT in a subquery of IN, but does in a derived table.
        expired = select(c.session_key).where(c.expires <= bindparam("now")).limit(bindparam("batch")).subquery()
        current = is_key & (c.version == bindparam("current")) & alive
        self._load = self._statement(select(*record).where(is_key))
        self._create = self._statement(insert(table).values(values))
        self._move = self._statement(update(table).values(values).where(current))
        self._delete = self._statement(delete(table).where(is_key))
        self._sessions_of = self._statement(select(c.session_key, *record).where(owned).order_by(c.created))
        self._purge = self._statement(delete(table).where(c.session_key.in_(select(expired.c.session_key))))
        self._count = self._statement(select(func.count()).select_from(table).where(alive))
        self._clear = self._statement(delete(table))

    def _statement(self, statement: Executable) -> _Statement:
        return _Statement(self._engine, statement, self._table.fullname)


class _Taken(Exception):
    """A row with this key is there already."""


class _Statement:
    """A statement compiled for the engine's dialect once, and run on a raw cursor."""

    def __init__(self, engine: Engine, statement: Executable, table: str) -> None:
        compiled = statement.compile(dialect=engine.dialect)  # type: ignore[attr-defined]
        self._engine = engine
        self._table = table
        self._sql = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup if compiled.positional else None
        self._driver: Any = engine.dialect.loaded_dbapi

    def run(self, values: dict[str, Any], again: bool) -> int:
        """Execute and return the number of rows found; ``again``: once more if the connection was dead."""
        return int(self._execute(values, again, lambda cursor: cursor.rowcount))

    def fetch(self, values: dict[str, Any], again: bool) -> Any:
        return self._execute(values, again, lambda cursor: cursor.fetchone())

    def fetch_all(self, values: dict[str, Any]) -> Any:
        return self._execute(values, True, lambda cursor: cursor.fetchall())

    def _execute(self, values: dict[str, Any], again: bool, result: Any) -> Any:
        parameters = values if self._order is None else [values[name] for name in self._order]
        connection = self._connect()
        try:
            cursor = connection.cursor()
            try:
                cursor.execute(self._sql, parameters)
                return result(cursor)
            finally:
                cursor.close()
        except self._driver.Error as error:
            if not self._drop_if_dead(connection, error):
                raise self._translated(error) from error
            if not again:
                raise StoreUnavailable("The connection to the sessions' database was lost during a write") from error
        finally:
            connection.close()
        return self._execute(values, False, result)

    def _connect(self) -> Any:
        try:
            return self._engine.raw_connection()
        except (self._driver.Error, DBAPIError, PoolTimeout) as error:
            raise StoreUnavailable(f"The sessions' database cannot be reached: {_first_line(error)}") from error

    def _drop_if_dead(self, connection: Any, error: Any) -> bool:
        """Forget the connection, and all others of the pool with it, if the server has closed it."""
        if not self._engine.dialect.is_disconnect(error, connection.dbapi_connection, None):
            return False
        connection.invalidate(error)
        self._engine.dispose()
        return True

    def _translated(self, error: Exception) -> Exception:
        text = _first_line(error)
        if isinstance(error, self._driver.IntegrityError):
            return _Taken(text)
        if _lacks_table(text):
            return StoreError(
                f"The table {self._table} is missing or has other columns ({text}): set sessionkit.sql.create_table = "
                "true to have it made, or add pyramid_sessionkit.stores.sql.sessions_table to your Alembic metadata"
            )
        if isinstance(error, self._driver.OperationalError):
            return StoreUnavailable(f"The sessions' database did not do what it was told: {text}{_advice(text)}")
        return StoreError(f"The sessions' database refused a statement: {text}")


def _alive(expires: Column[int]) -> ColumnElement[bool]:
    return or_(expires.is_(None), expires > bindparam("now"))


def _values(record: Record) -> dict[str, Any]:
    return {
        "data": record.data,
        "userid": record.userid,
        "authenticated": record.authenticated,
        "credentials": record.credentials,
        "created": record.created,
        "renewed": record.renewed,
        "timeout": record.timeout,
        "deadline": record.deadline,
        "persistent": record.persistent,
        "expires": record.expires,
    }


def _record(row: Sequence[Any]) -> Record:
    data, userid, authenticated, credentials, created, renewed, timeout, deadline, persistent, version = row
    return Record(
        bytes(data),
        userid,
        authenticated,
        credentials,
        created,
        renewed,
        timeout,
        deadline,
        bool(persistent),
        version,
    )


def _let_readers_pass_the_writer(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")


def _forget_connections_after_fork(engine: Engine) -> None:
    """A child must not talk on its parent's connections, nor close them."""
    reference = weakref.ref(engine)

    def forget() -> None:
        inherited = reference()
        if inherited is not None:
            inherited.dispose(close=False)

    os.register_at_fork(after_in_child=forget)


def _lacks_table(text: str) -> bool:
    """SQLite, PostgreSQL, and MariaDB or MySQL say it each in their own words."""
    lowered = text.lower()
    return any(
        words in lowered
        for words in (
            "no such table",
            "no such column",
            "has no column",
            "does not exist",
            "doesn't exist",
            "unknown column",
        )
    )


def _advice(text: str) -> str:
    if "database is locked" not in text:
        return ""
    return (
        "; a SQLite file has one writer at a time: keep sessions in a file of their own, and end the transaction "
        "of a view before session.save()"
    )


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
