"""The ISessionFactory: a request to its Session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyramid.interfaces import ISessionFactory
from zope.interface import implementer

from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.in_use import IN_USE, InUse
from pyramid_sessionkit.joined.mode import JoinedMode
from pyramid_sessionkit.last_callback import FINISHED, finish_later
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.saver import Saver
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id.carriers import CarrierOptions, RequestCarrier
from pyramid_sessionkit.session_id.cookie import CookieSigner
from pyramid_sessionkit.session_id.session_header import SessionHeader, is_carried_in_header

log = logging.getLogger("pyramid_sessionkit")


@implementer(ISessionFactory)
class SessionFactory:
    """Makes the session of a request, once. Nothing is read yet, neither the cookie or header nor the store.

    ``name`` is the attribute of the request that has the session; ``persistence_of(request)``, where it is set, gives a
    request a persistence of its own.
    """

    def __init__(
        self,
        name: str,
        persistence: Persistence,
        saver: Saver,
        signer: CookieSigner,
        adoption: Adoption,
        session_class: type[Session] = Session,
        key_prefix: Callable[[Any], str] | None = None,
        joined_mode: JoinedMode | None = None,
        header: SessionHeader | None = None,
    ) -> None:
        self.name = name
        self.persistence = persistence
        self.saver = saver
        self.session_class = session_class
        self.joined_mode = joined_mode
        self.persistence_of: Callable[[Any], Persistence] | None = (
            None if joined_mode is None else joined_mode.persistence_of
        )
        self.adoption = adoption
        self.header = header
        self._signer = signer
        setting = persistence.settings.name_of("key_prefix")
        self._cookies = CarrierOptions(signer, persistence.events, key_prefix, adoption, name, setting)
        self._in_header = None if header is None else self._cookies._replace(signer=header, adoption=None)
        self._one_process = getattr(persistence.store, "process_local", False)

    def __call__(self, request: Any) -> Session:
        finish_later(request)
        attributes = request.__dict__
        # Threads that share a request get one session.
        in_use: InUse = attributes.setdefault(IN_USE, {})
        if self in in_use:
            return in_use[self]
        if self._one_process and request.environ.get("wsgi.multiprocess"):
            self._warn_of_other_processes()
        if "cookies" in attributes:
            _put_cookies_in_environ(request)
        persistence = self.persistence if self.persistence_of is None else self.persistence_of(request)
        carrier = RequestCarrier(self._options_for(request), request)
        return in_use.setdefault(self, self.session_class(persistence, carrier, attributes[FINISHED]))

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
            "%s = memory, but the server runs several processes, of which each has sessions of its own: use a store "
            "that they share",
            self.persistence.settings.name_of("store"),
        )


def _put_cookies_in_environ(request: Any) -> None:
    """Of a ``DummyRequest(cookies=...)``, which has them apart. Those of a real request are a property of its class."""
    if request.cookies and "HTTP_COOKIE" not in request.environ:
        header = "; ".join(f"{name}={value}" for name, value in request.cookies.items())
        request.environ = {**request.environ, "HTTP_COOKIE": header}
