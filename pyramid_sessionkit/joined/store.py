"""The store that the session of one request uses in joined mode."""

from __future__ import annotations

import contextlib
from typing import Any

from zope.interface import implementer

from pyramid_sessionkit.exceptions import SessionConflict, TransactionFailed
from pyramid_sessionkit.interfaces import ISessionStore, IUserIndex, Record
from pyramid_sessionkit.joined.transaction import RequestTransaction


@implementer(ISessionStore, IUserIndex)
class JoinedStore:
    """Runs on the connection of the request's transaction while that is open; else on those of the store itself."""

    __slots__ = ("_store", "_transaction")

    def __init__(self, store: Any, transaction: RequestTransaction) -> None:
        self._store = store
        self._transaction = transaction

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        return self._read("load", key, fresh, at)  # type: ignore[no-any-return]

    def create(self, key: str, record: Record) -> Record | None:
        return self._write("create", key, record)  # type: ignore[no-any-return]

    def update(self, key: str, record: Record) -> Record | None:
        return self._write("update", key, record)  # type: ignore[no-any-return]

    def delete(self, key: str, record: Record | None = None) -> bool:
        return self._write("delete", key, record)  # type: ignore[no-any-return]

    def sessions_of(self, userid: str) -> Any:
        return self._read("sessions_of", userid)

    def _read(self, operation: str, *args: Any) -> Any:
        if self._transaction.has_transaction:
            # After a failed statement an exception view may still ask who is logged in: what was committed answers.
            with contextlib.suppress(TransactionFailed):
                return self._in_transaction(operation, *args)
        return getattr(self._store, operation)(*args)

    def _write(self, operation: str, *args: Any) -> Any:
        if not self._transaction.has_transaction:
            return getattr(self._store, operation)(*args)
        self._transaction.will_write()
        return self._in_transaction(operation, *args)

    def _in_transaction(self, operation: str, *args: Any) -> Any:
        store = self._store.joined(self._transaction.dbsession)
        try:
            return getattr(store, operation)(*args)
        except SessionConflict as error:
            _let_retry(error)
            raise


def _let_retry(error: Exception) -> None:
    with contextlib.suppress(ImportError):
        from pyramid_retry import mark_error_retryable

        mark_error_retryable(error)
