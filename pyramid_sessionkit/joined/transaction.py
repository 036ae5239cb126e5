"""The transaction of one request in joined mode: where it begins and ends, and what became of it.

The tweens say where it begins and ends. Hooks of the transaction and events of SQLAlchemy say how it ended.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any

from pyramid.threadlocal import manager

from pyramid_sessionkit.exceptions import StoreError, TransactionFailed
from pyramid_sessionkit.in_use import work_of
from pyramid_sessionkit.unit_of_work import Snapshot, UnitOfWork

log = logging.getLogger("pyramid_sessionkit")

TRANSACTION = "_sessionkit_transaction"
"""Where a request's ``__dict__`` has its :class:`RequestTransaction`."""

_FOLLOWED_BY = "pyramid_sessionkit.transaction"
"""Where the ``info`` of a SQLAlchemy session has the :class:`RequestTransaction` that it is part of."""


class State(Enum):
    """What became of the transaction of a request."""

    NONE = "the request is in none, or the last one was rolled back"
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
        "_request_ref",
        "_savepoints",
        "_transaction",
        "state",
    )

    def __init__(self, request: Any, attribute: str, mark_changed: Any, commit_veto: Any) -> None:
        self._request_ref = weakref.ref(request)  # the request holds this
        self._attribute = attribute
        self._mark_changed = mark_changed
        self._commit_veto = commit_veto
        self.state = State.PRESET if "tm.active" in request.environ else State.NONE
        self._transaction: Any = None  # the one that is open, or has just been committed
        self._deferred: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._savepoints: dict[Any, tuple[Snapshot | None, int]] = {}  # and how much was deferred

    @property
    def _request(self) -> Any:
        """The request; None once that is gone, while somebody still holds its session."""
        return self._request_ref()

    @property
    def _work(self) -> UnitOfWork | None:
        request = self._request
        return None if request is None else work_of(request)

    # For the store and the persistence.

    @property
    def has_transaction(self) -> bool:
        request = self._request
        return request is not None and "tm.active" in request.environ

    @property
    def dbsession(self) -> Any:
        """The application's SQLAlchemy session, whose savepoints are followed from now on."""
        dbsession = _called(getattr(self._request, self._attribute))
        if dbsession.info.get(_FOLLOWED_BY) is not self:
            dbsession.info[_FOLLOWED_BY] = self
            transaction = dbsession.get_nested_transaction()
            while transaction is not None and transaction.nested:
                if transaction not in self._savepoints:
                    # Its beginning was not noticed: now is as near to that as can be had.
                    self.savepoint_begins(transaction)
                transaction = transaction.parent
        return dbsession

    def takes_part_in(self, dbsession: Any) -> bool:
        """Whether the request has made this SQLAlchemy session already."""
        return _called(self._request.__dict__.get(self._attribute)) is dbsession

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
        if self.state is State.PRESET or not self.has_transaction:
            function(*args)
        else:
            self._deferred.append((function, args))

    # For the tweens.

    def enter(self) -> None:
        """The request is in a transaction now, perhaps in another one than before."""
        if self.state is State.PRESET or not self.has_transaction:
            return
        transaction = self._request.tm.get()
        if transaction is not self._transaction:
            self._transaction, self.state = transaction, State.OPEN
            transaction.addAfterCommitHook(self._after_commit, (transaction,))
            transaction.addAfterAbortHook(self._after_abort, (transaction,))

    def will_abort(self, response: Any) -> bool:
        """Whether the transaction is sure to be rolled back. A veto is left to pyramid_tm, which is about to ask it."""
        request, veto = self._request, self._commit_veto
        if not self.has_transaction:
            return False
        if self.state is State.PRESET:
            # Nobody else asks here.
            return bool(veto(request, response)) if veto else request.exception is not None
        return request.tm.isDoomed() or (veto is None and request.exception is not None)

    def count_as_aborted(self) -> None:
        """The request is to leave the session as it was, if it has a transaction."""
        if self.has_transaction:
            self.state = State.ABORTED

    def doom(self) -> None:
        """As :meth:`count_as_aborted`, where pyramid_tm would not have aborted by itself."""
        if self.state is not State.PRESET:
            self._request.tm.doom()
        self.state = State.ABORTED

    def leave(self) -> None:
        """The transaction has ended: forget what was rolled back, and do what waited for the commit."""
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
        """Where a commit failed and an exception view answered, pyramid_tm leaves the transaction open: its locks, that
        of the session too, would make the visitor's next request wait."""
        from transaction.interfaces import NoTransaction

        left = self._transaction
        if left is None or self.state is State.COMMITTED:
            return
        with contextlib.suppress(NoTransaction):
            if self._request.tm.get() is left:
                left.abort()

    def _stop_following(self) -> None:
        self._savepoints.clear()
        dbsession = _called(self._request.__dict__.get(self._attribute))
        if dbsession is not None:
            dbsession.info.pop(_FOLLOWED_BY, None)

    # Hooks of the transaction.

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
        work = self._work
        if work is not None:
            work.revert()

    # Events of SQLAlchemy.

    def savepoint_begins(self, transaction: Any) -> None:
        work = self._work
        snapshot = None if work is None or not work.used else work.snapshot()
        self._savepoints[transaction] = snapshot, len(self._deferred)

    def savepoint_rolled_back(self, transaction: Any) -> None:
        """Restore the state of that savepoint: what was saved since is not stored any more."""
        work = self._work
        if work is None or transaction not in self._savepoints:
            return
        snapshot, deferred = self._savepoints.pop(transaction)
        del self._deferred[deferred:]
        if snapshot is None:
            work.revert()
        else:
            work.restore(snapshot)


def follow_savepoints() -> None:
    """Listen for the savepoints of all SQLAlchemy sessions of the process; those that are not joined are ignored."""
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    if not event.contains(Session, "after_transaction_create", _transaction_begins):
        event.listen(Session, "after_transaction_create", _transaction_begins)
        event.listen(Session, "after_soft_rollback", _transaction_rolled_back)


def _transaction_begins(dbsession: Any, transaction: Any) -> None:
    if transaction.nested:
        for followed_by in _followers(dbsession):
            followed_by.savepoint_begins(transaction)


def _transaction_rolled_back(dbsession: Any, previous_transaction: Any) -> None:
    if previous_transaction.nested:
        for followed_by in _followers(dbsession):
            followed_by.savepoint_rolled_back(previous_transaction)


def _followers(dbsession: Any) -> list[RequestTransaction]:
    """The transactions of those requests of this thread whose SQLAlchemy session this is: a subrequest may share it."""
    requests = [entry.get("request") for entry in manager.stack]
    found = [request.__dict__.get(TRANSACTION) for request in requests if request is not None]
    followers = [one for one in found if one is not None and one.takes_part_in(dbsession)]
    known = dbsession.info.get(_FOLLOWED_BY)
    return followers if known is None or known in followers else [*followers, known]


def _called(dbsession: Any) -> Any:
    """A scoped_session is called for the session of this thread."""
    return dbsession() if callable(dbsession) else dbsession
