"""Sessions that commit and roll back with the transaction of their request: ``sessionkit.sql.dbsession``.

:class:`Joined` stands between the session of one request and the store. While pyramid_tm holds a transaction open, it
passes everything on to the connection of the application's session; before and after, to the store itself. The tweens
tell it where the transaction begins and ends, and it tells them what became of it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import IRequestExtensions, IRequestFactory
from pyramid.request import Request
from pyramid.util import DottedNameResolver
from zope.interface import implementer

from pyramid_sessionkit.exceptions import SessionConflict, StoreError, TransactionFailed
from pyramid_sessionkit.factory import work_of
from pyramid_sessionkit.interfaces import ISessionStore, Record
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.settings import PREFIX

log = logging.getLogger("pyramid_sessionkit")

JOINING = "pyramid_sessionkit.joining"
"""Where the registry holds the :class:`Joining`, if the application has one."""

_JOINED = "_sessionkit_joined"


class Joining:
    """What all requests of an application in joined mode share.

    ``attribute`` is that of a request which holds the application's SQLAlchemy session.
    """

    def __init__(self, persistence: Persistence, attribute: str, settings: dict[str, Any]) -> None:
        try:
            from sqlalchemy import event
            from transaction.interfaces import NoTransaction
            from zope.sqlalchemy import mark_changed
        except ImportError as error:
            raise ConfigurationError(
                f"{PREFIX}sql.dbsession needs a package that is not installed ({error.name}): "
                'pip install "pyramid_sessionkit[joined]"'
            ) from error
        self.persistence = persistence
        self.store = persistence.store
        self.attribute = attribute
        self.mark_changed = mark_changed
        self.no_transaction = NoTransaction
        self.listen = event.listen
        self._settings = settings

    def of(self, request: Any) -> Joined:
        """What is known about the transaction of this request."""
        joined = request.__dict__.get(_JOINED)
        if joined is None:
            joined = request.__dict__[_JOINED] = Joined(self, request)
        return joined  # type: ignore[no-any-return]

    def persistence_of(self, request: Any) -> Persistence:
        """The persistence of the session of this request."""
        joined = self.of(request)
        return Persistence(joined, self.persistence.settings, self.persistence.events, joined.defer)

    @property
    def commit_veto(self) -> Any:
        """pyramid_tm's, which decides alone where it is set."""
        named = self._settings.get("tm.commit_veto", self._settings.get("pyramid_tm.commit_veto"))
        return DottedNameResolver(None).maybe_resolve(named) if named else None

    def check(self, registry: Any) -> None:
        """Raise where requests have no such attribute."""
        extensions = registry.queryUtility(IRequestExtensions)
        added = () if extensions is None else (*extensions.descriptors, *extensions.methods)
        factory = registry.queryUtility(IRequestFactory, default=Request)
        # Nobody knows what a factory that is a function makes.
        if self.attribute not in added and isinstance(factory, type) and not hasattr(factory, self.attribute):
            raise ConfigurationError(
                f"{PREFIX}sql.dbsession = {self.attribute}, but requests have no such attribute: "
                f'config.add_request_method(..., "{self.attribute}", reify=True) adds it'
            )


@implementer(ISessionStore)
class Joined:
    """The store that one request uses, and what became of its transaction."""

    __slots__ = (
        "_aborted",
        "_committed",
        "_deferred",
        "_joining",
        "_preset",
        "_request",
        "_transaction",
    )

    def __init__(self, joining: Joining, request: Any) -> None:
        self._joining = joining
        self._request = request
        # A transaction that is older than the request is a test fixture's: nobody ends it, so it counts as committed.
        self._preset = "tm.active" in request.environ
        self._aborted = False
        self._committed = False
        self._transaction: Any = None  # the one that is open, or has just been committed
        self._deferred: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    # The store.

    def load(self, key: str, fresh: bool = False) -> Record | None:
        if self._is_open():
            # After a failed statement an exception view may still ask who is logged in: what was committed answers.
            with contextlib.suppress(TransactionFailed):
                return self._in_transaction("load", key, fresh)  # type: ignore[no-any-return]
        record: Record | None = self._joining.store.load(key, fresh)
        return record

    def create(self, key: str, record: Record) -> Record | None:
        return self._write("create", key, record)  # type: ignore[no-any-return]

    def update(self, key: str, record: Record) -> Record | None:
        return self._write("update", key, record)  # type: ignore[no-any-return]

    def move(self, key: str, new_key: str, record: Record) -> Record | None:
        return self._write("move", key, new_key, record)  # type: ignore[no-any-return]

    def delete(self, key: str) -> bool:
        return self._write("delete", key)  # type: ignore[no-any-return]

    def sessions_of(self, userid: str) -> Any:
        if self._is_open():
            with contextlib.suppress(TransactionFailed):
                return self._in_transaction("sessions_of", userid)
        return self._joining.store.sessions_of(userid)

    def _is_open(self) -> bool:
        return "tm.active" in self._request.environ

    def _write(self, operation: str, *args: Any) -> Any:
        if not self._is_open():
            return getattr(self._joining.store, operation)(*args)
        self.enter()
        dbsession: Any = self._joined_store().dbsession
        self._mark_changed(dbsession)
        if dbsession.in_nested_transaction():
            self._joining.listen(dbsession, "after_soft_rollback", self._after_rollback)
        return self._in_transaction(operation, *args)

    def _in_transaction(self, operation: str, *args: Any) -> Any:
        try:
            return getattr(self._joined_store(), operation)(*args)
        except SessionConflict as error:
            _let_retry(error)
            raise

    def _joined_store(self) -> Any:
        return self._joining.store.joined(getattr(self._request, self._joining.attribute))

    def _mark_changed(self, dbsession: Any) -> None:
        """Have pyramid_tm commit what is about to be written; raise if it would not."""
        try:
            self._joining.mark_changed(dbsession, self._request.tm)
        except AssertionError as error:
            raise StoreError(f"{self._joining.attribute} takes no writes: {error}") from error
        resources = self._request.tm.get()._resources
        joined = [resource for resource in resources if getattr(resource, "session", None) is dbsession]
        if not joined:
            raise StoreError(
                f"request.{self._joining.attribute} takes part in the transactions of another manager than request.tm: "
                "zope.sqlalchemy.register(dbsession, transaction_manager=request.tm)"
            )
        if joined[0].tx is not dbsession.get_transaction():
            raise TransactionFailed(
                "The transaction that the session is part of was ended by the application: wrap what may fail in "
                "dbsession.begin_nested() and roll that back"
            )

    def _after_commit(self, success: bool, transaction: Any) -> None:
        if transaction is self._transaction:
            self._committed = success
            if not success:
                # At once: pyramid_tm is about to ask for an exception view, which may ask who is logged in.
                self._revert()

    def _after_abort(self, transaction: Any) -> None:
        if transaction is self._transaction:
            self._revert()

    def _after_rollback(self, dbsession: Any, previous_transaction: Any) -> None:
        if previous_transaction.nested:
            log.warning("A savepoint was rolled back in which the session was saved: what was done to it is dropped")
            self._revert()

    def _revert(self) -> None:
        self._transaction, self._deferred = None, []
        work = work_of(self._request)
        if work is not None:
            work.revert()

    # For the persistence.

    def defer(self, function: Callable[..., Any], *args: Any) -> None:
        """Call ``function`` once the transaction is committed; now if none is open."""
        if self._preset or not self._is_open():
            function(*args)
        else:
            self._deferred.append((function, args))

    # For the tweens.

    def enter(self) -> None:
        """The request is in a transaction now, perhaps in another one than before."""
        if self._preset or not self._is_open():
            return
        transaction = self._request.tm.get()
        if transaction is not self._transaction:
            self._transaction, self._committed = transaction, False
            transaction.addAfterCommitHook(self._after_commit, (transaction,))
            transaction.addAfterAbortHook(self._after_abort, (transaction,))

    def will_abort(self, response: Any) -> bool:
        """Whether the transaction is sure to be rolled back. A veto is left to pyramid_tm, which is about to ask it."""
        request, veto = self._request, self._joining.commit_veto
        if not self._is_open():
            return False
        if self._preset:
            # Nobody else asks here.
            return bool(veto(request, response)) if veto else request.exception is not None
        return request.tm.isDoomed() or (veto is None and request.exception is not None)

    def abort(self) -> None:
        """The request is to leave the session as it was, if it has a transaction."""
        self._aborted = self._is_open()

    def doom(self) -> None:
        """As :meth:`abort`, where pyramid_tm would not have aborted by itself."""
        self._aborted = True
        if not self._preset:
            self._request.tm.doom()

    def leave(self) -> None:
        """The transaction has ended: forget what it took back, and do what waited for its commit."""
        self._abort_what_is_left()
        if self._aborted or (self._transaction is not None and not self._committed):
            self._revert()
            return
        self._transaction = None
        deferred, self._deferred = self._deferred, []
        for function, args in deferred:
            function(*args)

    def _abort_what_is_left(self) -> None:
        """pyramid_tm leaves a transaction open whose commit failed if an exception view answers: its locks, that of the
        session among them, would keep the visitor's next request waiting."""
        left = self._transaction
        if left is None or self._committed:
            return
        with contextlib.suppress(self._joining.no_transaction):
            if self._request.tm.get() is left:
                left.abort()


def _let_retry(error: Exception) -> None:
    with contextlib.suppress(ImportError):
        from pyramid_retry import mark_error_retryable

        mark_error_retryable(error)
