"""Sessions in a SQL table, one row each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

from pyramid.exceptions import ConfigurationError
from sqlalchemy import BigInteger, ColumnElement, Executable, Integer, MetaData, extract, func, inspect, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import (
    GRACE,
    IContentsUpdate,
    IJoinable,
    IListable,
    IPurgeable,
    ISessionStore,
    IUserIndex,
    Record,
)
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.sql_engine import (
    Connections,
    Statement,
    Taken,
    create_session_engine,
    first_line,
    older_layout,
)
from pyramid_sessionkit.stores.sql_joined import JoinedSQLStore
from pyramid_sessionkit.stores.sql_table import (
    SessionStatements,
    contents_values,
    first_version,
    listed_records,
    row_record,
    row_values,
    rows_of,
    sessions_table,
    updated,
)

log = logging.getLogger(__name__)

__all__ = ["SQLStore", "from_settings", "sessions_table"]

PURGE_BATCH = 1000

ABOVE_ALL = "{"
"""The character after ``z``, which is the last one that keys have."""

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
    else:
        store.warn_of_older_layout()
    return store


@implementer(ISessionStore, IContentsUpdate, IUserIndex, IListable, IPurgeable, IJoinable)
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
        self._sql = SessionStatements(self._table)
        self._prepare()

    def joined(self, dbsession: Any) -> JoinedSQLStore:
        """The same sessions in the transaction of a SQLAlchemy session, whose database has to be this one."""
        return JoinedSQLStore(dbsession, self._table, self._sql)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        row = self._load.fetch({"key": key}, again=True)
        if row is None:
            return None
        record = row_record(row)
        return None if record.expired(time() if at is None else at) else record

    def create(self, key: str, record: Record) -> Record | None:
        created = record.versioned(first_version())
        try:
            self._create.run({"session_key": key, **row_values(created)}, again=True)
        except Taken as error:
            if self._load.fetch({"key": key}, again=True) is None:
                raise StoreError(f"The sessions' database refused a new session: {error}") from error
            return None
        return created

    def update(self, key: str, record: Record) -> Record | None:
        return self._updated(self._update, row_values, key, record)

    def update_contents(self, key: str, record: Record) -> Record | None:
        return self._updated(self._update_contents, contents_values, key, record)

    def _updated(
        self, statement: Statement, values_of: Callable[[Record], dict[str, Any]], key: str, record: Record
    ) -> Record | None:
        stored = updated(record)
        if stored is None:
            return None
        values = {**values_of(stored), "key": key, "current": record.version, "before": _grace()}
        return stored if statement.run(values, again=False) else None

    def delete(self, key: str, record: Record | None = None) -> bool:
        if record is None:
            return self._delete.run({"key": key}, again=True) > 0
        return self._delete_version.run({"key": key, "current": record.version}, again=True) > 0

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        return rows_of(userid, self._sessions_of.fetch_all({"owner": userid, "now": int(time())}))

    def live_sessions(self, limit: int) -> list[tuple[str, Record]]:
        # Databases do not agree on where NULL comes in the order of an index: so two statements.
        values = {"now": int(time()), "batch": limit}
        rows = list(self._live_for_ever.fetch_all(values))
        if len(rows) < limit:
            rows += self._live_until.fetch_all({**values, "batch": limit - len(rows)})
        return listed_records(rows)

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        # Keys are compared byte by byte, so that a range does what LIKE would, without its wildcards.
        values = {"now": int(time()), "first": prefix, "last": prefix + ABOVE_ALL, "batch": limit}
        return [row[0] for row in self._find_keys.fetch_all(values)]

    def purge(self, limit: int | None = None) -> int:
        """Remove records that expired more than a minute ago.

        Some stay a little longer, since the column that finds them is rounded up: see ``ROUNDING``.
        """
        purged = 0
        while limit is None or purged < limit:
            batch = PURGE_BATCH if limit is None else min(PURGE_BATCH, limit - purged)
            removed = self._purge_batch({"before": _grace(), "batch": batch})
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
        """Make the table where it is missing; harmless when several processes do it at once. Leaves nothing open."""
        try:
            self._make_table()
            missing = self.missing_columns()
        finally:
            self.close()
        if missing:
            raise StoreError(older_layout(self._table.fullname, f"without {', '.join(missing)}"))

    def warn_of_older_layout(self) -> None:
        """Log if the table is one of an older layout. A database that is not there yet is left to the first request."""
        if self.engine.dialect.name == "sqlite" and not Path(self.engine.url.database or "").is_file():
            return
        with contextlib.suppress(StoreUnavailable):
            missing = self.missing_columns() if self.has_table() else []
            if missing:
                log.error("%s", older_layout(self._table.fullname, f"without {', '.join(missing)}"))
        self.close()

    def has_table(self) -> bool:
        """Whether the database has the table."""
        return bool(self._inspected(lambda inspector, name, schema: inspector.has_table(name, schema=schema)))

    def missing_columns(self) -> list[str]:
        """The columns that the table lacks, or that are too small in it: those of a table of an older layout."""
        columns = self._inspected(lambda inspector, name, schema: inspector.get_columns(name, schema=schema))
        there = {column["name"]: column["type"] for column in columns}
        names = (column.name for column in self._table.columns)
        return [name for name in names if name not in there or self._is_small(name, there[name])]

    def _is_small(self, name: str, found: Any) -> bool:
        """Whether versions are too large for it; an INTEGER of SQLite takes any."""
        if name != "version" or self.engine.dialect.name == "sqlite":
            return False
        return isinstance(found, Integer) and not isinstance(found, BigInteger) and "BIGINT" not in str(found)

    def _make_table(self) -> None:
        self._connections.check()
        try:
            self._table.create(self.engine, checkfirst=True)
        except SQLAlchemyError as error:
            if not self.has_table():
                raise StoreError(f"The table {self._table.fullname} cannot be made: {first_line(error)}") from error

    def _inspected(self, question: Callable[[Any, str, str | None], Any]) -> Any:
        self._connections.check()
        try:
            return question(inspect(self.engine), self._table.name, self._table.schema)
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"The sessions' database cannot be reached: {first_line(error)}") from error

    def _prepare(self) -> None:
        sql = self._sql
        self._load = self._statement(sql.load)
        self._create = self._statement(sql.create)
        self._update = self._statement(sql.update)
        self._update_contents = self._statement(sql.update_contents)
        self._delete = self._statement(sql.delete)
        self._delete_version = self._statement(sql.delete_version)
        self._sessions_of = self._statement(sql.sessions_of)
        self._live_for_ever = self._statement(sql.live_for_ever)
        self._live_until = self._statement(sql.live_until)
        self._find_keys = self._statement(sql.find_keys)
        purge, waiting = sql.purge.get(self.engine.dialect.name, sql.purge["sqlite"])
        self._purge = self._statement(purge)
        self._purge_waiting = self._statement(waiting)
        self._count = self._statement(sql.count)
        self._count_expired = self._statement(sql.count_expired)
        self._keys = self._statement(sql.keys)
        self._clear = self._statement(sql.clear)

    def _statement(self, statement: Executable) -> Statement:
        return Statement(self._connections, statement, self._table.fullname)


def _grace() -> int:
    """What expired before that time cannot be updated any more."""
    return int(time()) - GRACE
