"""Sessions in the transaction of an application: the SQL store's statements on the connection of its session."""

from __future__ import annotations

from time import time
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.exc import DBAPIError, PendingRollbackError, UnboundExecutionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from zope.interface import implementer

from pyramid_sessionkit.exceptions import SessionConflict, StoreError, StoreUnavailable, TransactionFailed
from pyramid_sessionkit.interfaces import GRACE, ISessionStore, Record
from pyramid_sessionkit.stores.sql_errors import UNKNOWN_PREPARED, RolledBack, Taken, codes_of, first_line, translated
from pyramid_sessionkit.stores.sql_table import (
    OF_SESSIONS,
    SessionStatements,
    first_version,
    record_of,
    row_values,
    rows_of,
    updated,
)

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

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        # A plain read of a transaction that has a snapshot would show the same again, and a write fail again.
        row = self._execute(self._sql.load_and_lock if fresh else self._sql.load, {"key": key}).fetchone()
        record = record_of(key, row)
        return None if record is None or record.expired(time() if at is None else at) else record

    def create(self, key: str, record: Record) -> Record | None:
        created = record.versioned(first_version())
        values = {"session_key": key, **row_values(created)}
        # A refused INSERT would cost the application its transaction on PostgreSQL, and on no other database.
        if self._bind().dialect.name == "postgresql":
            return None if self._execute(self._sql.create_unless_taken, values).fetchone() is None else created
        try:
            self._execute(self._sql.create, values)
        except Taken as error:
            if self._execute(self._sql.load_and_share, {"key": key}).fetchone() is None:
                raise StoreError(f"The sessions' database refused a new session: {error}") from error
            return None
        return created

    def update(self, key: str, record: Record) -> Record | None:
        stored = updated(record)
        if stored is None:
            return None
        values = {**row_values(stored), "key": key, "current": record.version, "before": int(time()) - GRACE}
        return stored if self._execute(self._sql.update, values).rowcount else None

    def delete(self, key: str, record: Record | None = None) -> bool:
        # On MariaDB and MySQL a DELETE that finds nothing keeps others from adding rows beside it until the commit.
        finds_gaps = self._bind().dialect.name in ("mysql", "mariadb")
        if finds_gaps and self._execute(self._sql.load, {"key": key}).fetchone() is None:
            return False
        if record is None:
            return bool(self._execute(self._sql.delete, {"key": key}).rowcount)
        return bool(self._execute(self._sql.delete_version, {"key": key, "current": record.version}).rowcount)

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        return rows_of(userid, self._execute(self._sql.sessions_of, {"owner": userid, "now": int(time())}).fetchall())

    def _execute(self, statement: Executable, values: dict[str, Any]) -> Any:
        try:
            connection = self.dbsession.connection(bind_arguments={"clause": self._table})
            return connection.execute(statement, values, execution_options={OF_SESSIONS: True})
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
        if codes_of(original) & UNKNOWN_PREPARED:
            return StoreError(
                f"The application's database lost a prepared statement ({first_line(original)}): behind a pooler that "
                "lends connections for a transaction, give the application's engine "
                'connect_args={"prepare_threshold": None}'
            )
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
