"""Statements that are built with SQLAlchemy Core, compiled once for the dialect, and run on the cursors of kept
connections: one round trip each, and none of the cost of building them for each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from random import uniform
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Executable

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.stores.sql_connections import Connections, Kept
from pyramid_sessionkit.stores.sql_errors import (
    NoAnswer,
    RolledBack,
    first_line,
    is_read_only,
    is_stale,
    translated,
)

QUICK = 0.5
"""Seconds within which a dead connection is found out; what took longer timed out, and is not tried again."""

CONFLICT_ATTEMPTS = 20

LOST = "The connection to the sessions' database was lost before it answered"

Arrange = Callable[[tuple[Any, ...]], Any]


class Statement:
    """A statement compiled for the engine's dialect once. Values are given in the order of ``names``."""

    def __init__(self, connections: Connections, statement: Executable, names: Sequence[str], table: str) -> None:
        dialect = connections.engine.dialect
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self._connections = connections
        self._table = table
        self._sql = str(compiled)
        # Literals that the dialect turned into parameters, such as an OFFSET of 0.
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._arrange = _arranging((*names, *self._constants), compiled.positiontup if compiled.positional else None)
        self._more = tuple(self._constants.values())
        self._driver: Any = dialect.loaded_dbapi

    def run(self, values: tuple[Any, ...], again: bool) -> int:
        """Execute and return the number of rows found; ``again``: once more if the connection was dead."""
        return int(self._execute(values, again, False))

    def fetch(self, values: tuple[Any, ...], again: bool) -> Any:
        """The first row, or None."""
        rows = self._execute(values, again, True)
        return rows[0] if rows else None

    def fetch_all(self, values: tuple[Any, ...]) -> Any:
        """All rows."""
        return self._execute(values, True, True)

    def _execute(self, values: tuple[Any, ...], again: bool, rows: bool) -> Any:
        connections = self._connections
        parameters = self._arrange(values + self._more)
        started = monotonic()
        if connections.breaker.timeouts:
            connections.check()  # a process that was forked begins with a breaker of its own
            with connections.breaker.permission():
                return self._repeat(parameters, again, rows, started)
        try:
            return self._attempt(parameters, again, rows, started)
        except NoAnswer:
            connections.breaker.timed_out(started)
            raise
        except RolledBack:
            sleep(uniform(0, 0.005))
            return self._repeat(parameters, again, rows, monotonic())

    def _repeat(self, parameters: Any, again: bool, rows: bool, started: float) -> Any:
        """As often as the database undoes it, within bounds."""
        for attempt in range(2, CONFLICT_ATTEMPTS + 1):
            try:
                return self._attempt(parameters, again, rows, started)
            except NoAnswer:
                self._connections.breaker.timed_out(started)
                raise
            except RolledBack as conflict:
                refused = conflict
            sleep(uniform(0, 0.005 * attempt))
            started = monotonic()
        raise StoreUnavailable(f"The sessions' database saw conflicts again and again: {refused}")

    def _attempt(self, parameters: Any, again: bool, rows: bool, started: float) -> Any:
        connections = self._connections
        kept = connections.take(started)
        try:
            cursor = kept.cursors.get(self)
            if cursor is None:
                cursor = connections.cursor(kept, self)
            cursor.execute(self._sql, parameters)
            # All rows: a SELECT that was not read to its end would keep SQLite's file open for reading.
            answer = cursor.fetchall() if rows else cursor.rowcount
            if rows and len(answer) > 1:
                del kept.cursors[self]  # it would keep the list
        except self._driver.Error as error:
            self._after(error, kept, again, started)
        except BaseException as error:
            # Interrupted, perhaps with an answer on its way that the next user of the connection would take for theirs.
            connections.drop(kept)
            if not isinstance(error, Exception):
                raise
            raise StoreError(f"A session cannot be stored: {type(error).__name__}: {first_line(error)}") from error
        else:
            connections.give_back(kept)
            breaker = connections.breaker
            if breaker.answered_at < started:
                breaker.answered_at = started
            if breaker.timeouts:
                breaker.close()
            return answer
        return self._attempt(parameters, False, rows, monotonic())

    def _after(self, error: Any, kept: Kept, again: bool, started: float) -> None:
        """Raise what an error says; return if the statement may be run once more, on another connection."""
        connections = self._connections
        if connections.is_dead(kept, error):
            connections.drop_all(kept)
            if again and monotonic() - started <= QUICK:
                return
            kind = NoAnswer if connections.is_late(started) else StoreUnavailable
            raise kind(f"{LOST}: {first_line(error)}") from error
        if is_read_only(error):
            # It was the primary once, and may stay up as a standby: connections have to be opened to find the new one.
            connections.drop_all(kept)
        elif is_stale(error):
            # So are the others: more of them may be idle than there are attempts.
            connections.drop_all(kept)
        else:
            kept.cursors = {}
            connections.give_back(kept)
        meaning = translated(error, self._driver, self._table)
        if not isinstance(meaning, StoreUnavailable):
            breaker = connections.breaker
            breaker.answered_at = max(breaker.answered_at, started)
            breaker.close()
        raise meaning from error


def _arranging(names: tuple[str, ...], positions: Sequence[str] | None) -> Arrange:
    """From values in the order of ``names`` to what the driver wants."""
    if positions is None:
        return lambda values: dict(zip(names, values, strict=True))
    if tuple(positions) == names:
        return lambda values: values
    if len(positions) == 1:
        index = names.index(positions[0])
        return lambda values: (values[index],)
    return itemgetter(*(names.index(name) for name in positions))
