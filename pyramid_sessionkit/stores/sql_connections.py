"""Connections of our own: a few that are kept, each with its cursors, and no pool in between.

A SQLAlchemy engine makes them, with its events, its dialect and its driver. Then they leave its pool, whose checkout
and proxies would cost more than what we do ourselves.
"""

from __future__ import annotations

import contextlib
from os import getpid
from random import uniform
from sys import maxsize
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pyramid_sessionkit.stores.breaker import Breaker
from pyramid_sessionkit.stores.home import Home, keep_inherited
from pyramid_sessionkit.stores.lifo import Lifo
from pyramid_sessionkit.stores.sql_errors import NoAnswer, cannot_connect, is_shutdown

JITTER = 0.1
"""Connections that were opened together are not renewed together: each lives up to this part shorter."""


class Limits(NamedTuple):
    """``sessionkit.sql.*``, as far as connections are concerned."""

    pool_size: int = 15
    max_age: int | None = 600
    timeout: float = 5


class Kept:
    """The place of a connection, and the connection when it is open."""

    __slots__ = ("__weakref__", "cursors", "generation", "pid", "raw", "until")

    def __init__(self) -> None:
        self.raw: Any = None
        self.cursors: dict[object, Any] = {}
        """One for each statement: psycopg prepares less work for a statement that its cursor ran before."""
        self.until = 0.0
        """By ``monotonic()``: then it is renewed."""
        self.generation: object = None
        self.pid = 0

    def __del__(self) -> None:
        # Nobody closed the store. A connection that another process opened stays.
        try:
            if self.raw is not None and self.pid == getpid():
                self.raw.close()
        except Exception:  # noqa: S110 - the connection may be dead, and at the end of Python functions are gone
            pass


class Connections:
    """Up to ``limits.pool_size`` connections of an engine, for one thread or greenlet at a time each."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self._limits = limits
        self._start()
        self._home = Home(self._leave)
        self.check = self._home.check
        """Give up the connections that another process opened. To be called before any other use of the engine."""

    def _start(self) -> None:
        self._pid = getpid()
        # SQLite's readers pass the writer, so that they must not wait for the place of one who waits for its lock.
        sqlite = self.engine.dialect.name == "sqlite"
        self._lifo = Lifo(maxsize if sqlite else self._limits.pool_size, Kept)
        self._idle = self._lifo.idle
        self._generation = object()
        self.breaker = Breaker()

    def take(self, now: float) -> Kept:
        """A connection, to be given back or dropped in any case. ``now`` is by ``monotonic()``."""
        self.check()
        try:
            kept = self._idle.pop()
        except IndexError:
            kept = self._wait()
        if kept.until > now and kept.generation is self._generation:
            return kept
        return self._renew(kept)

    def give_back(self, kept: Kept) -> None:
        if kept.generation is not self._generation:
            self.drop(kept)
            return
        # The list and the count are looked at in this order, see lifo.py.
        self._idle.append(kept)
        if self._lifo.waiting:
            self._lifo.wake()

    def cursor(self, kept: Kept, statement: object) -> Any:
        """The first cursor of a statement on this connection."""
        options = {"binary": True} if self._has_binary_results(kept.raw) else {}
        cursor = kept.cursors[statement] = kept.raw.cursor(**options)
        return cursor

    def _has_binary_results(self, raw: Any) -> bool:
        if self.engine.dialect.driver != "psycopg":
            return False
        from psycopg import ClientCursor

        # An engine of the application's own may have these.
        return not issubclass(raw.cursor_factory, ClientCursor)

    def is_late(self, started: float) -> bool:
        """Whether what failed now was given up. What took less was refused: by a server that starts, for example."""
        return monotonic() - started > self._limits.timeout / 2

    def is_dead(self, kept: Kept, error: Any) -> bool:
        """Whether the server has closed the connection."""
        return is_shutdown(error) or bool(self.engine.dialect.is_disconnect(error, kept.raw, None))

    def drop(self, kept: Kept) -> None:
        """Close a connection for good."""
        self._close(kept)
        self._lifo.discard(kept)

    def drop_all(self, kept: Kept) -> None:
        """Close this connection, all that are idle, and those in use when they come back: the server is another now."""
        self.drop(kept)
        self.close()

    def close(self) -> None:
        """Close all that are idle; those in use are closed when they come back."""
        self.check()
        self._generation = object()
        with contextlib.suppress(IndexError):
            while True:
                self.drop(self._idle.pop())
        self.engine.dispose()

    def _wait(self) -> Kept:
        kept = self._lifo.take(self._limits.timeout)
        if kept is None:
            raise NoAnswer(
                f"All {self._limits.pool_size} connections to the sessions' database were in use for "
                f"{self._limits.timeout} seconds: the database is slow, or sessionkit.sql.pool_size is too small"
            )
        return kept

    def _renew(self, kept: Kept) -> Kept:
        self._close(kept)
        try:
            self._open(kept)
        except BaseException:
            self.drop(kept)
            raise
        return kept

    def _open(self, kept: Kept) -> None:
        started = monotonic()
        kept.generation = self._generation  # of before: what is closed meanwhile closes this one too
        dialect = self.engine.dialect
        try:
            proxy = self.engine.raw_connection()
            kept.raw, kept.pid = proxy.dbapi_connection, getpid()
            proxy.detach()
            # An engine of the application's own may not do it: nothing that we write would ever be committed.
            dialect.set_isolation_level(kept.raw, "AUTOCOMMIT")
        except (dialect.loaded_dbapi.Error, DBAPIError, PoolTimeout) as error:
            raise cannot_connect(error, self.is_late(started), self.engine.url) from error
        max_age = self._limits.max_age
        kept.until = float("inf") if max_age is None else monotonic() + max_age * uniform(1 - JITTER, 1)

    def _close(self, kept: Kept) -> None:
        raw, kept.raw = kept.raw, None
        kept.cursors = {}
        if raw is None:
            return
        if kept.pid != getpid():
            keep_inherited(raw)
            return
        with contextlib.suppress(Exception):  # it may be dead
            self.engine.dialect.do_close(raw)

    def _leave(self) -> None:
        opened = list(self._lifo.all)
        keep_inherited(opened, [kept.raw for kept in opened], self.engine.pool)
        if self._pid != getpid() and self.engine.dialect.name == "sqlite":
            _close_inherited_files(opened)
        self._start()
        self.engine.dispose(close=False)


def _close_inherited_files(opened: list[Kept]) -> None:
    """Close what a parent opened, in this process alone.

    SQLite counts the locks of its process on a file, and takes those of a parent for ours. While an inherited
    connection is there, ours do not lock the file: once the parent has ended, another process may remove the log of
    what we write. A connection that the parent is writing on stays, since to close it would roll back.
    """
    for kept in opened:
        if kept.raw is not None and not kept.raw.in_transaction:
            with contextlib.suppress(Exception):
                kept.raw.close()
