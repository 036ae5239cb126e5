"""Joined mode, ``sessionkit.sql.dbsession``: sessions that commit and roll back with the transaction of their request.

This file has what all requests of an application share. What one request knows of its transaction is in
``transaction.py``, and the store that runs on its connection in ``store.py``.
"""

from __future__ import annotations

from typing import Any

from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import IRequestExtensions, IRequestFactory
from pyramid.request import Request
from pyramid.util import DottedNameResolver

from pyramid_sessionkit.joined.store import JoinedStore
from pyramid_sessionkit.joined.transaction import TRANSACTION, RequestTransaction, follow_savepoints
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.settings import PREFIX

JOINED_MODE = "pyramid_sessionkit.joined_mode"
"""Where the registry holds the :class:`JoinedMode`, if the application has it."""


class JoinedMode:
    """What all requests of an application in joined mode share.

    ``attribute`` is that of a request which holds the application's SQLAlchemy session.
    """

    def __init__(self, persistence: Persistence, attribute: str, settings: dict[str, Any]) -> None:
        try:
            from zope.sqlalchemy import mark_changed
        except ImportError as error:
            raise ConfigurationError(
                f"{PREFIX}sql.dbsession needs a package that is not installed ({error.name}): "
                'pip install "pyramid_sessionkit[joined]"'
            ) from None
        self._persistence = persistence
        self._attribute = attribute
        self._mark_changed = mark_changed
        self._settings = settings
        follow_savepoints()

    def transaction_of(self, request: Any) -> RequestTransaction:
        """What is known about the transaction of this request."""
        found = request.__dict__.get(TRANSACTION)
        if found is None:
            found = request.__dict__[TRANSACTION] = RequestTransaction(
                request, self._attribute, self._mark_changed, self._commit_veto
            )
        return found  # type: ignore[no-any-return]

    def persistence_of(self, request: Any) -> Persistence:
        """The persistence of the session of this request."""
        shared, transaction = self._persistence, self.transaction_of(request)
        store = JoinedStore(shared.store, transaction)
        return Persistence(store, shared.settings, shared.events, shared.tokens, transaction.defer, shared.serializer)

    @property
    def _commit_veto(self) -> Any:
        """The one of pyramid_tm. Where it is set, nothing else decides."""
        named = self._settings.get("tm.commit_veto", self._settings.get("pyramid_tm.commit_veto"))
        return DottedNameResolver(None).maybe_resolve(named) if named else None

    def check(self, registry: Any) -> None:
        """Raise where requests have no such attribute."""
        extensions = registry.queryUtility(IRequestExtensions)
        added = () if extensions is None else (*extensions.descriptors, *extensions.methods)
        factory = registry.queryUtility(IRequestFactory, default=Request)
        # Nobody knows what a factory that is a function makes.
        if self._attribute not in added and isinstance(factory, type) and not hasattr(factory, self._attribute):
            raise ConfigurationError(
                f"{PREFIX}sql.dbsession = {self._attribute}, but requests have no such attribute: "
                f'config.add_request_method(..., "{self._attribute}", reify=True) adds it'
            )
