"""Where express-session keeps its sessions: in Redis (connect-redis), or in a table (connect-pg-simple and others)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.exceptions import NotSupported

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy.engine import Engine

PAGE = 500


class Records:
    """What express-session stored. A subclass needs :meth:`get`."""

    def get(self, sid: str) -> Any:
        """The record of a session, as JSON or as a dict; None if there is none, or if it has ended."""
        raise NotImplementedError

    def delete(self, sid: str) -> None:
        """Delete a record, if it is there. Here nothing is done."""

    def all(self) -> Iterator[tuple[str, Any]]:
        """Each record with the id of its session."""
        raise NotSupported(f"{type(self).__name__} cannot list its sessions: each is adopted when its visitor comes")


class RedisRecords(Records):
    """Those of connect-redis. ``redis``: a client of redis-py, or a URL. ``prefix``: as connect-redis has it."""

    def __init__(self, redis: Redis | str, prefix: str = "sess:") -> None:
        if isinstance(redis, str):
            try:
                from redis import Redis
            except ImportError as error:
                raise ConfigurationError("RedisRecords needs redis-py: pip install redis") from error
            redis = Redis.from_url(redis, socket_timeout=5, socket_connect_timeout=5)
        self._redis: Any = redis
        self._prefix = prefix

    def get(self, sid: str) -> Any:
        return self._redis.get(self._prefix + sid)

    def delete(self, sid: str) -> None:
        self._redis.delete(self._prefix + sid)

    def all(self) -> Iterator[tuple[str, Any]]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + "*"
        for key in self._redis.scan_iter(match=pattern, count=PAGE):
            name = key.decode() if isinstance(key, bytes) else key
            if (record := self._redis.get(key)) is not None:
                yield name.removeprefix(self._prefix), record


class Table(NamedTuple):
    """The table of a store, the names of its columns, and what is in the one that says when a session ends."""

    name: str
    sid: str
    contents: str
    expires: str
    unit: Literal["timestamp", "seconds", "milliseconds"]
    """``timestamp``: a date and time in the time zone of the database's session."""


CONNECT_PG_SIMPLE = Table("session", "sid", "sess", "expire", "timestamp")
EXPRESS_MYSQL_SESSION = Table("sessions", "session_id", "data", "expires", "seconds")
CONNECT_SQLITE3 = Table("sessions", "sid", "sess", "expired", "milliseconds")


class SQLRecords(Records):
    """Those in a table. ``database``: an engine of SQLAlchemy, or a URL. ``schema``: of the table, if it is not found
    without."""

    def __init__(self, database: Engine | str, table: Table, schema: str | None = None) -> None:
        try:
            import sqlalchemy as sa
        except ImportError as error:
            raise ConfigurationError("SQLRecords needs SQLAlchemy: pip install SQLAlchemy") from error
        self._engine = sa.create_engine(database, pool_pre_ping=True) if isinstance(database, str) else database
        self._table = sa.table(table.name, *(sa.column(name) for name in table[1:4]), schema=schema)
        self._sid, self._contents, self._expires = (self._table.c[name] for name in table[1:4])
        self._unit = table.unit

    def get(self, sid: str) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(self._live().where(self._sid == sid)).scalar()

    def delete(self, sid: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._table.delete().where(self._sid == sid))

    def all(self) -> Iterator[tuple[str, Any]]:
        last = ""
        while True:
            page = self._live().add_columns(self._sid).where(self._sid > last).order_by(self._sid).limit(PAGE)
            with self._engine.connect() as connection:
                rows = connection.execute(page).all()
            yield from ((sid, contents) for contents, sid in rows)
            if len(rows) < PAGE:
                return
            last = rows[-1][1]

    def _live(self) -> Any:
        import sqlalchemy as sa

        now = {"timestamp": sa.func.now(), "seconds": time(), "milliseconds": time() * 1000}[self._unit]
        return sa.select(self._contents).where(self._expires > now)
