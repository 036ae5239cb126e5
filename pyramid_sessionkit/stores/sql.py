"""Sessions in a SQL table, one row each."""

from __future__ import annotations

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
    Select,
    String,
    Table,
    bindparam,
    delete,
    extract,
    func,
    insert,
    inspect,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine
from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.sql_engine import (
    Connections,
    Statement,
    Taken,
    create_session_engine,
    first_line,
)

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

_NOW: dict[str, ColumnElement[Any]] = {
    "postgresql": extract("epoch", func.clock_timestamp()),
    "mysql": func.unix_timestamp(),
    "mariadb": func.unix_timestamp(),
}


def from_settings(settings: Settings) -> SQLStore:
    """The store of ``sessionkit.sql.*``, with an engine of its own."""
    if not settings.sql.url:
        raise ConfigurationError("sessionkit.store = sql needs a database: set sessionkit.sql.url or sqlalchemy.url")
    store = SQLStore(create_session_engine(settings.sql.url, settings.sql.timeout), settings.sql.table)
    if settings.sql.create_table:
        store.create_table()
    return store


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

    _purge: Statement
    _purge_waiting: Statement

    def __init__(self, engine: Engine, table: str = "sessions") -> None:
        self.engine = engine
        self._connections = Connections(engine)
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
        except Taken as error:
            if self._load.fetch({"key": key}, again=True) is None:
                raise StoreError(f"The sessions' database refused a new session: {error}") from error
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
        except Taken as error:
            raise StoreError("A session cannot be moved to a key that is taken") from error
        return record.versioned(version) if moved else None

    def delete(self, key: str) -> bool:
        return self._delete.run({"key": key}, again=True) > 0

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        rows = self._sessions_of.fetch_all({"owner": userid, "now": int(time())})
        found = [(row[0], _record(row[1:])) for row in rows]
        # MariaDB's binary collations ignore spaces at the end.
        return [(key, record) for key, record in found if record.userid == userid]

    def live_sessions(self, limit: int | None = None) -> list[tuple[str, Record]]:
        rows = self._live_sessions.fetch_all({"now": int(time()), "batch": 2**31 - 1 if limit is None else limit})
        return [(row[0], _record(row[1:])) for row in rows]

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        # Keys are hex, so that a range does what LIKE would, without its wildcards.
        values = {"now": int(time()), "first": prefix, "last": prefix + "g", "batch": limit}
        return [row[0] for row in self._find_keys.fetch_all(values)]

    def purge(self, limit: int | None = None) -> int:
        purged = 0
        while limit is None or purged < limit:
            batch = PURGE_BATCH if limit is None else min(PURGE_BATCH, limit - purged)
            removed = self._purge_batch({"now": int(time()), "batch": batch})
            purged += removed
            if removed < batch:
                break
        return purged

    def _purge_batch(self, values: dict[str, Any]) -> int:
        try:
            return self._purge.run(values, again=True)
        except StoreUnavailable:
            raise
        except StoreError:
            # MariaDB before 10.6 and MySQL before 8 know no SKIP LOCKED: there a second purge waits for the first.
            self._purge = self._purge_waiting
            return self._purge.run(values, again=True)

    def count(self, expired: bool = False) -> int:
        row = (self._count_expired if expired else self._count).fetch({"now": int(time())}, again=True)
        return int(row[0]) if row else 0

    def clear(self) -> int:
        return self._clear.run({}, again=True)

    def all_keys(self) -> list[str]:
        """The keys of all rows, live or not."""
        return [row[0] for row in self._keys.fetch_all({})]

    def clock(self) -> float | None:
        """The database's time, in epoch seconds; None where it has no clock of its own, or one we cannot ask."""
        now = _NOW.get(self.engine.dialect.name)
        row = None if now is None else self._statement(select(now)).fetch({}, again=True)
        return None if row is None else float(row[0])

    def close(self) -> None:
        """Close all connections; the next operation opens new ones."""
        self._connections.close()

    def create_table(self) -> None:
        """Make the table where it is missing; harmless when several processes do it at once."""
        try:
            self._table.create(self.engine, checkfirst=True)
        except SQLAlchemyError as error:
            if not self.has_table():
                raise StoreError(f"The table {self._table.fullname} cannot be made: {first_line(error)}") from error

    def has_table(self) -> bool:
        """Whether the database has the table."""
        try:
            return self._inspect_table()
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"The sessions' database cannot be reached: {first_line(error)}") from error

    def _inspect_table(self) -> bool:
        return inspect(self.engine).has_table(self._table.name, schema=self._table.schema)

    def _prepare(self) -> None:
        c, table = self._columns, self._table
        is_key = c.session_key == bindparam("key")
        alive = _alive(c.expires)
        values: dict[str, Any] = {name: bindparam(name) for name in ("session_key", *FIELDS, "expires")}
        record = [c[name] for name in FIELDS]
        owned = (c.userid == bindparam("owner")) & alive
        dead = c.expires <= bindparam("now")
        batch: Any = bindparam("batch")
        expired = select(c.session_key).where(dead).limit(batch)
        in_range = (c.session_key >= bindparam("first")) & (c.session_key < bindparam("last"))
        current = is_key & (c.version == bindparam("current")) & alive
        self._load = self._statement(select(*record).where(is_key))
        self._create = self._statement(insert(table).values(values))
        self._move = self._statement(update(table).values(values).where(current))
        self._delete = self._statement(delete(table).where(is_key))
        by_age = c.created, c.session_key
        self._sessions_of = self._statement(select(c.session_key, *record).where(owned).order_by(*by_age))
        newest = select(c.session_key, *record).where(alive).order_by(*(column.desc() for column in by_age))
        self._live_sessions = self._statement(newest.limit(batch))
        self._find_keys = self._statement(select(c.session_key).where(in_range & alive).limit(batch))
        self._purge = self._statement(_delete_all(table, expired.with_for_update(skip_locked=True)))
        self._purge_waiting = self._statement(_delete_all(table, expired))
        self._count = self._statement(select(func.count()).select_from(table).where(alive))
        self._count_expired = self._statement(select(func.count()).select_from(table).where(dead))
        self._keys = self._statement(select(c.session_key))
        self._clear = self._statement(delete(table))

    def _statement(self, statement: Executable) -> Statement:
        return Statement(self._connections, statement, self._table.fullname)


def _delete_all(table: Table, keys: Select[Any]) -> Executable:
    # MySQL takes no LIMIT in a subquery of IN, but does in a derived table.
    derived = keys.subquery()
    return delete(table).where(table.c.session_key.in_(select(derived.c.session_key)))


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
