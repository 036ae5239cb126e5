"""The transaction of one request in joined mode: where it begins and ends, and what became of it.

The tweens say where it begins and ends. Hooks of the transaction and events of SQLAlchemy say how it ended.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any

from pyramid_sessionkit.exceptions import StoreError, TransactionFailed
from pyramid_sessionkit.saver import work_of
from pyramid_sessionkit.unit_of_work import Snapshot

log = logging.getLogger("pyramid_sessionkit")

_FOLLOWED_BY = "pyramid_sessionkit.transaction"
"""Where the ``info`` of a SQLAlchemy session has the :class:`RequestTransaction` that it is part of."""


class State(Enum):
    """What became of the transaction of a request."""

    NONE = "the request is in none, or the work of the last one was taken back"
    PRESET = "it is older than the request, as a test fixture's: nobody ends it, so it counts as committed"
    OPEN = "the request is in it"
    COMMITTED = "what was saved in it is stored"
    ABORTED = "it was rolled back, or is sure to be"


class RequestTransaction:
    """What is known about the transaction of one request, and what waits for its commit."""

    __slots__ = (
        "_attribute",
        "_commit_veto",
        "_deferred",
        "_mark_changed",
        "_request",
        "_savepoints",
        "_transaction",
        "state",
    )

    def __init__(self, request: Any, attribute: str, mark_changed: Any, commit_veto: Any) -> None:
        self._request = request
        self._attribute = attribute
        self._mark_changed = mark_changed
        self._commit_veto = commit_veto
        self.state = State.PRESET if "tm.active" in request.environ else State.NONE
        self._transaction: Any = None  # the one that is open, or has just been committed
        self._deferred: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._savepoints: dict[Any, tuple[Snapshot | None, int]] = {}  # and how much was deferred

    # For the store and the persistence.

    @property
    def is_open(self) -> bool:
        return "tm.active" in self._request.environ

    @property
    def dbsession(self) -> Any:
        """The application's SQLAlchemy session, whose savepoints are followed from now on."""
        given = getattr(self._request, self._attribute)
        # A scoped_session is called for the session of this thread.
        dbsession = given() if callable(given) else given
        if dbsession.info.get(_FOLLOWED_BY) is not self:
            dbsession.info[_FOLLOWED_BY] = self
            transaction = dbsession.get_nested_transaction()
            while transaction is not None and transaction.nested:
                # It began before the session was used.
                self._savepoints[transaction] = None, 0
                transaction = transaction.parent
        return dbsession

    def will_write(self) -> None:
        """Have pyramid_tm commit what is about to be written; raise if it would not."""
        self.enter()
        request, dbsession = self._request, self.dbsession
        try:
            self._mark_changed(dbsession, request.tm)
        except AssertionError as error:
            raise StoreError(f"{self._attribute} takes no writes: {error}") from error
        resources = request.tm.get()._resources
        joined = [resource for resource in resources if getattr(resource, "session", None) is dbsession]
        if not joined:
            raise StoreError(
                f"request.{self._attribute} takes part in the transactions of another manager than request.tm: "
                "zope.sqlalchemy.register(dbsession, transaction_manager=request.tm)"
            )
        if joined[0].tx is not dbsession.get_transaction():
            raise TransactionFailed(
                "The session is part of a transaction that the application ended itself: wrap what may fail in "
                "dbsession.begin_nested() and roll that back"
            )

    def defer(self, function: Callable[..., Any], *args: Any) -> None:
        """Call ``function`` once the transaction is committed; now if none is open."""
        if self.state is State.PRESET or not self.is_open:
            function(*args)
        else:
            self._deferred.append((function, args))

    # For the tweens.

    def enter(self) -> None:
        """The request is in a transaction now, perhaps in another one than before."""
        if self.state is State.PRESET or not self.is_open:
            return
        transaction = self._request.tm.get()
        if transaction is not self._transaction:
            self._transaction, self.state = transaction, State.OPEN
            transaction.addAfterCommitHook(self._after_commit, (transaction,))
            transaction.addAfterAbortHook(self._after_abort, (transaction,))

    def will_abort(self, response: Any) -> bool:
        """Whether the transaction is sure to be rolled back. A veto is left to pyramid_tm, which is about to ask it."""
        request, veto = self._request, self._commit_veto
        if not self.is_open:
            return False
        if self.state is State.PRESET:
            # Nobody else asks here.
            return bool(veto(request, response)) if veto else request.exception is not None
        return request.tm.isDoomed() or (veto is None and request.exception is not None)

    def abort(self) -> None:
        """The request is to leave the session as it was, if it has a transaction."""
        if self.is_open:
            self.state = State.ABORTED

    def doom(self) -> None:
        """As :meth:`abort`, where pyramid_tm would not have aborted by itself."""
        if self.state is not State.PRESET:
            self._request.tm.doom()
        self.state = State.ABORTED

    def leave(self) -> None:
        """The transaction has ended: forget what it took back, and do what waited for its commit."""
        self._abort_what_is_left()
        self._stop_following()
        if self.state in (State.OPEN, State.ABORTED):
            self._revert()
            return
        self._transaction = None
        deferred, self._deferred = self._deferred, []
        for function, args in deferred:
            function(*args)

    def _abort_what_is_left(self) -> None:
        """pyramid_tm leaves a transaction open whose commit failed if an exception view answers: its locks, that of the
        session among them, would keep the visitor's next request waiting."""
        from transaction.interfaces import NoTransaction

        left = self._transaction
        if left is None or self.state is State.COMMITTED:
            return
        with contextlib.suppress(NoTransaction):
            if self._request.tm.get() is left:
                left.abort()

    def _stop_following(self) -> None:
        self._savepoints.clear()
        given = self._request.__dict__.get(self._attribute)
        dbsession = given() if callable(given) else given
        if dbsession is not None:
            dbsession.info.pop(_FOLLOWED_BY, None)

    # What the transaction tells.

    def _after_commit(self, success: bool, transaction: Any) -> None:
        if transaction is not self._transaction:
            return
        if success:
            self.state = State.COMMITTED
        else:
            # At once: pyramid_tm is about to ask for an exception view, which may ask who is logged in.
            self._revert()

    def _after_abort(self, transaction: Any) -> None:
        if transaction is self._transaction:
            self._revert()

    def _revert(self) -> None:
        self._transaction, self._deferred = None, []
        if self.state is not State.ABORTED:
            self.state = State.NONE
        work = work_of(self._request)
        if work is not None:
            work.revert()

    # What SQLAlchemy tells.

    def savepoint_begins(self, transaction: Any) -> None:
        work = work_of(self._request)
        snapshot = None if work is None or not work.used else work.snapshot()
        self._savepoints[transaction] = snapshot, len(self._deferred)

    def savepoint_rolled_back(self, transaction: Any) -> None:
        """Restore the state of that savepoint: what was saved since is not stored any more."""
        work = work_of(self._request)
        if work is None or transaction not in self._savepoints:
            return
        snapshot, deferred = self._savepoints.pop(transaction)
        del self._deferred[deferred:]
        if snapshot is None:
            work.revert()
        else:
            work.restore(snapshot)


def follow_savepoints() -> None:
    """Have all SQLAlchemy sessions of the process tell of their savepoints; what is not joined takes no notice."""
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    if not event.contains(Session, "after_transaction_create", _transaction_begins):
        event.listen(Session, "after_transaction_create", _transaction_begins)
        event.listen(Session, "after_soft_rollback", _transaction_rolled_back)


def _transaction_begins(dbsession: Any, transaction: Any) -> None:
    if transaction.nested and (followed_by := dbsession.info.get(_FOLLOWED_BY)) is not None:
        followed_by.savepoint_begins(transaction)


def _transaction_rolled_back(dbsession: Any, previous_transaction: Any) -> None:
    if previous_transaction.nested and (followed_by := dbsession.info.get(_FOLLOWED_BY)) is not None:
        followed_by.savepoint_rolled_back(previous_transaction)
