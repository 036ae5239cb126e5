"""Sessions in the transaction of an application: the SQL store's statements on the connection of its session."""

from __future__ import annotations

from time import time
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.exc import DBAPIError, PendingRollbackError, UnboundExecutionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from zope.interface import implementer

from pyramid_sessionkit.exceptions import SessionConflict, StoreError, StoreUnavailable, TransactionFailed
from pyramid_sessionkit.interfaces import ISessionStore, Record
from pyramid_sessionkit.stores.sql_engine import RolledBack, Taken, codes_of, first_line, translated
from pyramid_sessionkit.stores.sql_table import SessionStatements, moved_values, row_record, row_values, rows_of

FAILED = frozenset(("25P02",))
"""PostgreSQL takes no more statements: an earlier one of the transaction failed."""


@implementer(ISessionStore)
class JoinedSQLStore:
    """The sessions of a :class:`~pyramid_sessionkit.stores.sql.SQLStore`, as the transaction of ``dbsession`` sees and
    changes them. Nothing here commits."""

    def __init__(self, dbsession: Any, table: Table, statements: SessionStatements) -> None:
        # A scoped_session is called for the session of this thread.
        self.dbsession = dbsession() if callable(dbsession) else dbsession
        self._table = table
        self._sql = statements

    def load(self, key: str, fresh: bool = False) -> Record | None:
        # A plain read of a transaction that has a snapshot would show the same again, and a write fail again.
        row = self._execute(self._sql.load_and_lock if fresh else self._sql.load, {"key": key}).fetchone()
        record = None if row is None else row_record(row)
        return None if record is None or record.expired(time()) else record

    def create(self, key: str, record: Record) -> Record | None:
        values = {"session_key": key, **row_values(record), "version": 1}
        # A refused INSERT would cost the application its transaction on PostgreSQL, and on no other database.
        if self._bind().dialect.name == "postgresql":
            created = self._execute(self._sql.create_unless_taken, values).fetchone()
            return None if created is None else record.versioned(1)
        try:
            self._execute(self._sql.create, values)
        except Taken as error:
            if self._execute(self._sql.load_and_share, {"key": key}).fetchone() is None:
                raise StoreError(f"The sessions' database refused a new session: {error}") from error
            return None
        return record.versioned(1)

    def update(self, key: str, record: Record) -> Record | None:
        return self.move(key, key, record)

    def move(self, key: str, new_key: str, record: Record) -> Record | None:
        values = moved_values(key, new_key, record)
        try:
            moved = self._execute(self._sql.move, values).rowcount
        except Taken as error:
            raise StoreError("A session cannot be moved to a key that is taken") from error
        return record.versioned(values["version"]) if moved else None

    def delete(self, key: str) -> bool:
        # On MariaDB and MySQL a DELETE that finds nothing keeps others from adding rows beside it until the commit.
        finds_gaps = self._bind().dialect.name in ("mysql", "mariadb")
        if finds_gaps and self._execute(self._sql.load, {"key": key}).fetchone() is None:
            return False
        return bool(self._execute(self._sql.delete, {"key": key}).rowcount)

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        return rows_of(userid, self._execute(self._sql.sessions_of, {"owner": userid, "now": int(time())}).fetchall())

    def _execute(self, statement: Executable, values: dict[str, Any]) -> Any:
        try:
            connection = self.dbsession.connection(bind_arguments={"clause": self._table})
            return connection.execute(statement, values)
        except UnboundExecutionError as error:
            raise StoreError(f"The application's session needs a default bind, a database: {error}") from error
        except PendingRollbackError as error:
            raise _transaction_failed(error) from error
        except DBAPIError as error:
            raise self._translated(error) from error
        except PoolTimeout as error:
            raise StoreUnavailable(f"The application's database cannot be reached: {first_line(error)}") from error

    def _translated(self, error: DBAPIError) -> Exception:
        original: Any = error.orig
        if error.connection_invalidated:
            return StoreUnavailable("The connection to the application's database was lost")
        if codes_of(original) & FAILED:
            return _transaction_failed(original)
        meaning = translated(original, self._bind().dialect.loaded_dbapi, self._table.fullname)
        if isinstance(meaning, RolledBack):
            return SessionConflict(f"The database refused the transaction, since another was first: {meaning}")
        return meaning

    def _bind(self) -> Any:
        # A subclass of Session may choose the database by the table.
        return self.dbsession.get_bind(clause=self._table)


def _transaction_failed(error: BaseException) -> TransactionFailed:
    return TransactionFailed(
        "The session is part of a transaction in which a statement failed, and can only be rolled back with it "
        f"({first_line(error)}): wrap what may fail in dbsession.begin_nested()"
    )
