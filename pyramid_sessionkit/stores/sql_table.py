"""The table of the sessions, its rows, and the statements that the stores run on it."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import randbits
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Executable,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    delete,
    event,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import NullType, TypeEngine

from pyramid_sessionkit.interfaces import NOT_READ, UNREADABLE, Record, is_sound, lasting, unreadable
from pyramid_sessionkit.sealing.format import HEAD_SIZE, MAGIC

FIELDS = Record._fields
"""The columns of a record, in the order of its fields."""

OF_SESSIONS = "pyramid_sessionkit_sessions"
"""The execution option of their statements on the connection of an application.

These find out who is logged in, so a guard with policies must not ask that before it lets them pass.
"""

ROUNDING = 600
"""The column ``expires`` is rounded up to so many seconds, and to an eighth of a long idle timeout."""

_EXACT = literal_column("0e0", BigInteger)
"""Added to a sum, it cannot overflow: one damaged time must not break the list of all."""


ROW = (*FIELDS, "expires")
"""The columns of a row, without its key."""

CONTENTS = ("data", "renewed", "timeout", "version", "expires")
"""The columns that change with the contents."""

NEW_ROW = (*ROW, "session_key")
CONDITIONS = ("key", "current", "before")
"""Names of parameters: of the statement that creates, and of what an update asks for."""


def sessions_table(metadata: MetaData, name: str = "sessions") -> Table:
    """The table of the sessions, in the ``MetaData`` of an application so that Alembic sees it.

    ``name`` may have a schema: ``web.sessions``.
    """
    schema, _, bare = name.rpartition(".")
    table = Table(
        bare,
        metadata,
        Column("session_key", _exact(64), primary_key=True),
        Column("data", LargeBinary(2**24 - 1), nullable=False),
        Column("verifier", String(64), nullable=False),
        Column("salt", String(64), nullable=False),
        Column("replaced", BigInteger),
        Column("userid", _exact(255), index=True),
        Column("authenticated", BigInteger),
        Column("credentials", String(64)),
        Column("created", BigInteger, nullable=False),
        Column("renewed", BigInteger, nullable=False),
        Column("timeout", BigInteger),
        Column("deadline", BigInteger),
        Column("persistent", Boolean, nullable=False),
        Column("own_timeout", Boolean, nullable=False),
        Column("expires", BigInteger, index=True),
        Column("version", BigInteger, nullable=False),
        schema=schema or None,
    )
    # Room in each page lets PostgreSQL update a row in place, without touching the indexes.
    roomy = DDL("ALTER TABLE %(fullname)s SET (fillfactor = 80)")  # type: ignore[no-untyped-call]
    event.listen(table, "after_create", roomy.execute_if(dialect="postgresql"))
    return table


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
        now, before = _parameter("now"), _parameter("before")
        batch, skipped = _parameter("batch"), _parameter("skipped")
        record = [_as_it_is(c[name]) for name in FIELDS]
        keyed = [c.session_key, *record]
        changed: dict[str, Any] = {name: bindparam(name) for name in ROW}
        values = {"session_key": bindparam("session_key"), **changed}

        is_key = c.session_key == bindparam("key")
        is_version = is_key & (c.version == bindparam("current"))
        in_range = (c.session_key >= bindparam("first")) & (c.session_key < bindparam("last"))
        # The column alone would be enough for what we wrote; it finds the rows, and they say whether it is right.
        over = (c.expires <= before) & _expired(c, before)
        expired = select(c.session_key).where(over).limit(batch)
        self.expired = select(*keyed).where(over).limit(batch)
        self.delete_expired = delete(table).where(is_key & _expired(c, before))

        self.load = select(*keyed).where(is_key)
        self.load_and_lock = self.load.with_for_update()
        self.load_and_share = self.load.with_for_update(read=True)
        self.create = insert(table).values(values)
        unless_taken = postgresql.insert(table).values(values).on_conflict_do_nothing()
        self.create_unless_taken = unless_taken.returning(c.session_key)
        self.update = update(table).values(changed).where(is_version & _alive(c, before))
        contents = {name: changed[name] for name in CONTENTS}
        self.update_contents = update(table).values(contents).where(is_version & _alive(c, before))
        # SQLite writes to an index even if the value in it stays.
        expires = contents.pop("expires")
        same_expiry = is_version & c.expires.is_not_distinct_from(expires)
        self.update_contents_only = update(table).values(contents).where(same_expiry & _alive(c, before))
        self.delete = delete(table).where(is_key)
        self.delete_version = delete(table).where(is_version)

        owned = select(*keyed).where((c.userid == bindparam("owner")) & _alive(c, now))
        self.sessions_of = owned.order_by(c.authenticated, c.session_key)
        # Without contents, which would be most of the work; without the key in the order, which has no index for it.
        without = [_as_it_is(c[name]) for name in FIELDS if name != "data"]
        listed = select(c.session_key, *without).where(_alive(c, now)).limit(batch).offset(skipped)
        self.live_for_ever = listed.where(c.expires.is_(None))
        # The index stops at those that have expired: there may be a million that wait to be purged.
        self.live_until = listed.where(c.expires > now).order_by(c.expires.desc())
        self.find_keys = select(c.session_key).where(in_range & _alive(c, now)).limit(batch)
        self.count = select(func.count()).select_from(table).where(_alive(c, now) & (c.verifier != ""))
        self.count_expired = select(func.count()).select_from(table).where(_expired(c, now))
        unlocked = expired.with_for_update(skip_locked=True)
        joined = _delete_joined(table, unlocked), _delete_joined(table, expired)
        self.purge = {
            "postgresql": (_delete_all_at_once(table, unlocked), _delete_all(table, expired)),
            "mysql": joined,
            "mariadb": joined,
            "sqlite": (_delete_all(table, unlocked), _delete_all(table, expired)),
        }
        """For each database: one that leaves out what another purge has locked, and one that waits for it."""
        self.keys_after = (
            select(c.session_key).where(c.session_key > bindparam("key")).order_by(c.session_key).limit(batch)
        )
        self.clear = delete(table)

        head = func.substr(c.data, 1, HEAD_SIZE)
        is_sealed = func.substr(c.data, 1, len(MAGIC)) == literal(MAGIC, LargeBinary)
        heads = select(case((is_sealed, head), else_=literal(b"", LargeBinary)).label("head"))
        found = heads.where(_alive(c, now)).subquery()
        self.count_by_seal = select(found.c.head, func.count()).group_by(found.c.head)
        begins_otherwise = head != bindparam("head", type_=LargeBinary)
        self.keys_without_seal = (
            select(c.session_key)
            .where((c.session_key > bindparam("key")) & begins_otherwise & _alive(c, now))
            .order_by(c.session_key)
            .limit(batch)
        )


def _parameter(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


def _as_it_is(column: Column[Any]) -> Any:
    """What the driver returns, since SQLAlchemy's own conversions fail on a damaged row."""
    return type_coerce(column, NullType())


def _delete_all(table: Table, keys: Select[Any]) -> Executable:
    return delete(table).where(table.c.session_key.in_(keys))


def _delete_joined(table: Table, keys: Select[Any]) -> Executable:
    # MySQL and MariaDB look through all rows for those that are IN a subquery.
    derived = keys.subquery()
    return delete(table).where(table.c.session_key == derived.c.session_key)


def _delete_all_at_once(table: Table, keys: Select[Any]) -> Executable:
    # PostgreSQL may run the subquery of an IN once for each row: a LIMIT in it then limits nothing. A WITH that locks
    # rows runs once.
    once = keys.cte("expired")
    return delete(table).where(table.c.session_key.in_(select(once.c.session_key)))


def _alive(c: Any, at: Any) -> ColumnElement[bool]:
    """Whether a record has not expired at that time, by its own times."""
    return and_(or_(c.timeout.is_(None), _idle(c) > at), or_(c.deadline.is_(None), c.deadline > at))


def _expired(c: Any, at: Any) -> ColumnElement[bool]:
    return or_(_idle(c) <= at, c.deadline <= at)


def _idle(c: Any) -> ColumnElement[int]:
    idle: ColumnElement[int] = c.renewed + _EXACT + c.timeout
    return idle


def row_values(record: Record) -> dict[str, Any]:
    """The columns of a row, without its key, by name."""
    return dict(zip(ROW, row_of(record), strict=True))


def row_of(record: Record) -> tuple[Any, ...]:
    """The values of :data:`ROW`."""
    return (*record, _rounded(record))


def contents_of(record: Record) -> tuple[Any, ...]:
    """The values of :data:`CONTENTS`."""
    return record.data, record.renewed, record.timeout, record.version, _rounded(record)


_END_OF_VERSIONS = 2**62
"""The next version has to fit into 64 bits."""


def first_version() -> int:
    """Random, so that a key that is created again does not repeat one. Forks may share the state of ``random``."""
    return randbits(52) + 1


def _rounded(record: Record) -> int | None:
    """When the record expires or a little later, so that most writes change no column that is indexed.

    A session that is written to once a minute changes it once in a step: so a step has to be many minutes, though not
    more than half of the timeout, since so much longer an expired row may stay.
    """
    timeout, deadline = record.timeout, record.deadline
    if timeout is None:
        return deadline
    step = max(1, timeout // 8, min(timeout // 2, ROUNDING))
    idle = -(-(record.renewed + timeout) // step) * step
    return idle if deadline is None or idle < deadline else deadline


def updated(record: Record) -> Record | None:
    """The record as it is after an update; None if its version is not one that a row can have."""
    return record.versioned(record.version + 1) if type(record.version) is int else None


def record_of(key: str, row: Sequence[Any] | None) -> Record | None:
    """The record in a row of ``session_key`` and :data:`FIELDS`; None if the key in it is another.

    MariaDB and MySQL ignore spaces at the end of a key. Nobody finds such a row by its user, so that it must not open.
    """
    return None if row is None or row[0] != key else row_record(row[1:])


def row_record(row: Sequence[Any]) -> Record:
    """The record in a row of :data:`FIELDS`, whatever is in it."""
    if type(row[0]) is not bytes or type(row[_PERSISTENT]) is not bool:
        row = _bytes(row[0]), *row[1:_PERSISTENT], _bool(row[_PERSISTENT]), row[_VERSION], _bool(row[_OWN_TIMEOUT])
    record = Record._make(row)
    return record if _is_version(record.version) and is_sound(record) else unreadable(record.version)


_PERSISTENT, _VERSION, _OWN_TIMEOUT = map(FIELDS.index, ("persistent", "version", "own_timeout"))


def _is_version(version: Any) -> bool:
    return type(version) is int and version < _END_OF_VERSIONS


def _bytes(data: Any) -> Any:
    return bytes(data) if isinstance(data, (memoryview, bytearray)) else data


def _bool(value: Any) -> Any:
    """Two of our databases have numbers for it."""
    return bool(value) if type(value) is int and value in (0, 1) else value


def keyed_records(rows: Sequence[Sequence[Any]]) -> list[tuple[str, Record]]:
    """The key and the record of each row of ``session_key`` and :data:`FIELDS` that can be understood."""
    found = [(row[0], row_record(row[1:])) for row in rows]
    return [(key, record) for key, record in found if type(key) is str and record.data != UNREADABLE]


def listed_records(rows: Sequence[Sequence[Any]]) -> list[tuple[str, Record]]:
    """As :func:`keyed_records`, of rows without contents, and in the order of ``live_sessions``."""
    found = keyed_records([(row[0], NOT_READ, *row[1:]) for row in rows])
    return sorted(((key, record.without_contents()) for key, record in found), key=lasting, reverse=True)


def rows_of(userid: str, rows: Sequence[Sequence[Any]]) -> list[tuple[str, Record]]:
    """Those that are this user's, byte by byte: MariaDB's binary collations ignore spaces at the end."""
    return [(key, record) for key, record in keyed_records(rows) if record.userid == userid]
