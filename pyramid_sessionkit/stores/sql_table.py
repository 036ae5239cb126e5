"""The table of the sessions, its rows, and the statements that the stores run on it."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import Any

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
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

from pyramid_sessionkit.interfaces import Record

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


class SessionStatements:
    """What the stores ask of a table, as SQLAlchemy Core; :func:`row_values` has the parameters of a row."""

    def __init__(self, table: Table) -> None:
        c = table.c
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
        self.load = select(*record).where(is_key)
        self.load_and_lock = self.load.with_for_update()
        self.load_and_share = self.load.with_for_update(read=True)
        self.create = insert(table).values(values)
        unless_taken = postgresql.insert(table).values(values).on_conflict_do_nothing()
        self.create_unless_taken = unless_taken.returning(c.session_key)
        self.move = update(table).values(values).where(current)
        self.delete = delete(table).where(is_key)
        by_age = c.created, c.session_key
        self.sessions_of = select(c.session_key, *record).where(owned).order_by(*by_age)
        newest = select(c.session_key, *record).where(alive).order_by(*(column.desc() for column in by_age))
        self.live_sessions = newest.limit(batch)
        self.find_keys = select(c.session_key).where(in_range & alive).limit(batch)
        self.purge = _delete_all(table, expired.with_for_update(skip_locked=True))
        self.purge_waiting = _delete_all(table, expired)
        self.count = select(func.count()).select_from(table).where(alive)
        self.count_expired = select(func.count()).select_from(table).where(dead)
        self.keys = select(c.session_key)
        self.clear = delete(table)


def _delete_all(table: Table, keys: Select[Any]) -> Executable:
    # MySQL takes no LIMIT in a subquery of IN, but does in a derived table.
    derived = keys.subquery()
    return delete(table).where(table.c.session_key.in_(select(derived.c.session_key)))


def _alive(expires: Column[int]) -> ColumnElement[bool]:
    return or_(expires.is_(None), expires > bindparam("now"))


def row_values(record: Record) -> dict[str, Any]:
    """What goes into the columns of a row beside its key and version."""
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


def moved_values(key: str, new_key: str, record: Record) -> dict[str, Any]:
    """The parameters of the statement ``move``."""
    return {
        "session_key": new_key,
        **row_values(record),
        "version": record.version + 1,
        "key": key,
        "current": record.version,
        "now": int(time()),
    }


def row_record(row: Sequence[Any]) -> Record:
    """The record in a row of :data:`FIELDS`."""
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


def keyed_record(row: Sequence[Any]) -> tuple[str, Record]:
    """The key and the record in a row of ``session_key`` and :data:`FIELDS`."""
    return row[0], row_record(row[1:])


def rows_of(userid: str, rows: Sequence[Sequence[Any]]) -> list[tuple[str, Record]]:
    """Those that are this user's, byte by byte: MariaDB's binary collations ignore spaces at the end."""
    return [(key, record) for key, record in map(keyed_record, rows) if record.userid == userid]
