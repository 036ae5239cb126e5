"""The ISessionFactory: a request to its Session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyramid.interfaces import ISessionFactory
from zope.interface import implementer

from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.carriers import CarrierOptions, RequestCarrier
from pyramid_sessionkit.cookie import CookieSigner
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.saver import FINISHED
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_header import SessionHeader, is_carried_in_header

log = logging.getLogger("pyramid_sessionkit")


@implementer(ISessionFactory)
class SessionFactory:
    """Makes the session of a request. Nothing is read yet, neither the cookie or header nor the store.

    ``finish_later(request)`` registers the response callback that sends the cookie; ``persistence_of(request)`` gives a
    request a persistence of its own.
    """

    def __init__(
        self,
        persistence: Persistence,
        signer: CookieSigner,
        finish_later: Callable[[Any], None],
        key_prefix: Callable[[Any], str] | None = None,
        persistence_of: Callable[[Any], Persistence] | None = None,
        adoption: Adoption | None = None,
        header: SessionHeader | None = None,
    ) -> None:
        self.persistence = persistence
        self.persistence_of = persistence_of
        self.adoption = adoption
        self._signer = signer
        self._cookies = CarrierOptions(signer, persistence.events, key_prefix, adoption)
        self._in_header = None if header is None else CarrierOptions(header, persistence.events, key_prefix)
        self._finish_later = finish_later
        self._one_process = getattr(persistence.store, "process_local", False)

    def __call__(self, request: Any) -> Session:
        if self._one_process and request.environ.get("wsgi.multiprocess"):
            self._warn_of_other_processes()
        self._finish_later(request)
        persistence = self.persistence if self.persistence_of is None else self.persistence_of(request)
        return Session(persistence, RequestCarrier(self._options_for(request), request), request.__dict__[FINISHED])

    def _options_for(self, request: Any) -> CarrierOptions:
        if self._in_header is not None and is_carried_in_header(request):
            return self._in_header
        return self._cookies

    def has_cookie(self, request: Any) -> bool:
        """Whether a cookie of our name came with the request, ours or not."""
        return self._signer.is_in(request.environ.get("HTTP_COOKIE", ""))

    def _warn_of_other_processes(self) -> None:
        self._one_process = False
        log.warning(
            "sessionkit.store = memory, but the server runs several processes, of which each has sessions of its own: "
            "use a store that they share"
        )
