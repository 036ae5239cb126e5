"""Sessions in a SQL table, one row each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
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
from pyramid_sessionkit.stores.sql_connections import Connections, Limits
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_errors import Taken, cannot_connect, first_line, older_layout
from pyramid_sessionkit.stores.sql_joined import JoinedSQLStore
from pyramid_sessionkit.stores.sql_statements import Statement
from pyramid_sessionkit.stores.sql_table import (
    CONDITIONS,
    CONTENTS,
    NEW_ROW,
    ROW,
    SessionStatements,
    contents_of,
    first_version,
    listed_records,
    record_of,
    row_of,
    row_record,
    rows_of,
    sessions_table,
    updated,
)

log = logging.getLogger(__name__)

__all__ = ["SQLStore", "from_settings", "sessions_table"]

DEFAULT_LIMITS = Limits()

Tell = Callable[[str, Record], None]

PURGE_BATCH = 1000
TOLD_BATCH = 100
"""Fewer: they are read with their contents."""
KEYS_BATCH = 1000

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
    sql = settings.sql
    engine = create_session_engine(settings.sql.url, sql.timeout, sql.prepare)
    store = SQLStore(engine, sql.table, Limits(sql.pool_size, sql.max_age, sql.timeout))
    if sql.create_table:
        store.create_table()
    else:
        store.warn_of_older_layout()
    return store


@implementer(ISessionStore, IContentsUpdate, IUserIndex, IListable, IPurgeable, IJoinable)
class SQLStore:
    """Sessions in the table ``table`` of the database that ``engine`` reaches.

    Each statement is committed by itself, whatever ``engine`` does elsewhere. Its pool is not used: ``limits`` says how
    many connections are kept, for how long, and how long a request waits for one.
    """

    _purge: Statement
    _purge_waiting: Statement

    def __init__(self, engine: Engine, table: str = "sessions", limits: Limits = DEFAULT_LIMITS) -> None:
        self.engine = engine
        self._connections = Connections(engine, limits)
        self._table = sessions_table(MetaData(), table)
        self._sql = SessionStatements(self._table)
        self._prepare()

    def joined(self, dbsession: Any) -> JoinedSQLStore:
        """The same sessions in the transaction of a SQLAlchemy session, whose database has to be this one."""
        return JoinedSQLStore(dbsession, self._table, self._sql)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        record = record_of(key, self._load.fetch((key,), True))
        return None if record is None or record.expired(time() if at is None else at) else record

    def create(self, key: str, record: Record) -> Record | None:
        created = record.versioned(first_version())
        try:
            self._create.run((*row_of(created), key), True)
        except Taken as error:
            if self._load.fetch((key,), True) is None:
                raise StoreError(f"The sessions' database refused a new session: {error}") from error
            return None
        return created

    def update(self, key: str, record: Record) -> Record | None:
        stored = updated(record)
        if stored is None:
            return None
        values = (*row_of(stored), key, record.version, _grace())
        return stored if self._update.run(values, False) else None

    def update_contents(self, key: str, record: Record) -> Record | None:
        stored = updated(record)
        if stored is None:
            return None
        values = (*contents_of(stored), key, record.version, _grace())
        if self._update_contents_only is not None and self._update_contents_only.run(values, False):
            return stored
        return stored if self._update_contents.run(values, False) else None

    def delete(self, key: str, record: Record | None = None) -> bool:
        if record is None:
            return self._delete.run((key,), True) > 0
        return self._delete_version.run((key, record.version), True) > 0

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        return rows_of(userid, self._sessions_of.fetch_all((userid, int(time()))))

    def live_sessions(self, limit: int) -> list[tuple[str, Record]]:
        # Databases do not agree on where NULL comes in the order of an index: so two statements.
        found = self._listed(self._live_for_ever, limit)
        if len(found) < limit:
            found += self._listed(self._live_until, limit - len(found))
        return found

    def _listed(self, statement: Statement, limit: int) -> list[tuple[str, Record]]:
        """``limit`` readable records. Unreadable ones are known only after they were fetched."""
        found: dict[str, Record] = {}
        now, batch, skipped = int(time()), limit, 0
        while len(found) < limit:
            rows = statement.fetch_all((now, batch, skipped))
            found.update(listed_records(rows))
            skipped += len(rows)
            if len(rows) < batch:
                break
            # Where one row cannot be understood there may be very many.
            batch = max(limit, KEYS_BATCH)
        return list(found.items())[:limit]

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        # Keys are compared byte by byte, so that a range does what LIKE would, without its wildcards.
        values = (int(time()), prefix, prefix + ABOVE_ALL, limit)
        return [row[0] for row in self._find_keys.fetch_all(values)]

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> int:
        """Remove records that expired more than a minute ago.

        Some stay a little longer, since the column that finds them is rounded up: see ``ROUNDING``.
        """
        if tell is not None:
            return self._purge_one_by_one(limit, tell)
        purged = 0
        while limit is None or purged < limit:
            batch = PURGE_BATCH if limit is None else min(PURGE_BATCH, limit - purged)
            removed = self._purge_batch((_grace(), batch))
            purged += removed
            if removed < batch:
                break
        return purged

    def _purge_batch(self, values: tuple[int, int]) -> int:
        try:
            return self._purge.run(values, again=True)
        except StoreUnavailable:
            raise
        except StoreError:
            # MariaDB before 10.6 and MySQL before 8 know no SKIP LOCKED: there a second purge waits for the first.
            self._purge = self._purge_waiting
            return self._purge.run(values, again=True)

    def _purge_one_by_one(self, limit: int | None, tell: Tell) -> int:
        """So that the number of rows says which of several purges removed a session."""
        purged = 0
        while limit is None or purged < limit:
            batch = TOLD_BATCH if limit is None else min(TOLD_BATCH, limit - purged)
            before = _grace()
            found = self._expired.fetch_all((before, batch))
            removed = sum(self._purge_row(row, before, tell) for row in found)
            purged += removed
            # Another purge that removed all of them goes on with the rest.
            if len(found) < batch or not removed:
                break
        return purged

    def _purge_row(self, row: Sequence[Any], before: int, tell: Tell) -> bool:
        # Not by the version, which may be damaged: what expired so long ago takes no update, and is as it was read.
        # Not once more after a lost answer: nobody would know whether it was removed here.
        if not self._delete_expired.run((row[0], before), again=False):
            return False
        if type(row[0]) is str:  # SQLite takes anything as a key
            tell(row[0], row_record(row[1:]))
        return True

    def count(self, expired: bool = False) -> int:
        row = (self._count_expired if expired else self._count).fetch((int(time()),), again=True)
        return int(row[0]) if row else 0

    def clear(self) -> int:
        return self._clear.run((), again=True)

    def all_keys(self) -> Iterator[str]:
        """The keys of all rows, live or not, read a thousand at a time."""
        last = ""
        while rows := self._keys_after.fetch_all((last, KEYS_BATCH)):
            last = rows[-1][0]
            yield from _sound_keys(rows)

    def count_by_seal(self) -> dict[bytes, int]:
        """How many live sessions there are by how their data begin; empty bytes for those that are not sealed."""
        rows = self._count_by_seal.fetch_all((int(time()),))
        return {bytes(head): int(count) for head, count in rows}

    def keys_without_seal(self, head: bytes) -> Iterator[str]:
        """The keys of live sessions whose data begin otherwise, read a thousand at a time."""
        last = ""
        while rows := self._keys_without_seal.fetch_all((last, head, int(time()), KEYS_BATCH)):
            last = rows[-1][0]
            yield from _sound_keys(rows)

    def clock(self) -> float | None:
        """The database's time, in epoch seconds; None where it has no clock of its own, or one we cannot ask."""
        row = None if self._clock is None else self._clock.fetch((), again=True)
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
            raise cannot_connect(error, False, self.engine.url) from error

    def _prepare(self) -> None:
        sql = self._sql
        self._load = self._statement(sql.load, "key")
        self._create = self._statement(sql.create, *NEW_ROW)
        self._update = self._statement(sql.update, *ROW, *CONDITIONS)
        self._update_contents = self._statement(sql.update_contents, *CONTENTS, *CONDITIONS)
        self._update_contents_only = (
            self._statement(sql.update_contents_only, *CONTENTS, *CONDITIONS)
            if self.engine.dialect.name == "sqlite"
            else None
        )
        self._delete = self._statement(sql.delete, "key")
        self._delete_version = self._statement(sql.delete_version, "key", "current")
        self._sessions_of = self._statement(sql.sessions_of, "owner", "now")
        self._live_for_ever = self._statement(sql.live_for_ever, "now", "batch", "skipped")
        self._live_until = self._statement(sql.live_until, "now", "batch", "skipped")
        self._find_keys = self._statement(sql.find_keys, "now", "first", "last", "batch")
        purge, waiting = sql.purge.get(self.engine.dialect.name, sql.purge["sqlite"])
        self._purge = self._statement(purge, "before", "batch")
        self._purge_waiting = self._statement(waiting, "before", "batch")
        self._expired = self._statement(sql.expired, "before", "batch")
        self._delete_expired = self._statement(sql.delete_expired, "key", "before")
        self._count = self._statement(sql.count, "now")
        self._count_expired = self._statement(sql.count_expired, "now")
        self._keys_after = self._statement(sql.keys_after, "key", "batch")
        self._count_by_seal = self._statement(sql.count_by_seal, "now")
        self._keys_without_seal = self._statement(sql.keys_without_seal, "key", "head", "now", "batch")
        now = _NOW.get(self.engine.dialect.name)
        self._clock = None if now is None else self._statement(select(now))
        self._clear = self._statement(sql.clear)

    def _statement(self, statement: Executable, *names: str) -> Statement:
        return Statement(self._connections, statement, names, self._table.fullname)


def _sound_keys(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    # SQLite takes anything as a key. Nobody has a cookie for what is not text.
    return (row[0] for row in rows if type(row[0]) is str)


def _grace() -> int:
    """What expired before that time cannot be updated any more."""
    return int(time()) - GRACE
