"""The ISessionFactory: a request to its Session."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from pyramid.interfaces import ISessionFactory
from zope.interface import implementer

from pyramid_sessionkit.cookie import CookieSigner
from pyramid_sessionkit.events import SuspiciousCookie
from pyramid_sessionkit.exceptions import SessionError
from pyramid_sessionkit.persistence import TRIED_COOKIES, Persistence, key_of
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.unit_of_work import UnitOfWork, generate_id

log = logging.getLogger("pyramid_sessionkit")

FINISHED = "_sessionkit_finished"
"""Set in the ``__dict__`` of a request whose response callbacks have run."""

FINISHER = "_sessionkit_finisher"
"""Set in the ``__dict__`` of a request that has the response callback."""

_valid_id = re.compile(r"[A-Za-z0-9_-]{22,128}").fullmatch

Callback = Callable[[Any, Any], None]


@implementer(ISessionFactory)
class SessionFactory:
    """Makes the session of a request. Nothing is read yet, neither the cookie nor the store.

    ``on_response`` is the response callback that sends the cookie; ``persistence_of(request)`` gives a request a
    persistence of its own.
    """

    def __init__(
        self,
        persistence: Persistence,
        signer: CookieSigner,
        on_response: Callback,
        generate: Callable[[Any], str] | None = None,
        persistence_of: Callable[[Any], Persistence] | None = None,
    ) -> None:
        self.persistence = persistence
        self._persistence_of = persistence_of
        self._signer = signer
        self._on_response = on_response
        self._generate = generate
        self._one_process = getattr(persistence.store, "process_local", False)

    def __call__(self, request: Any) -> Session:
        environ = request.environ
        if self._one_process and environ.get("wsgi.multiprocess"):
            self._warn_of_other_processes()

        def find_ids() -> list[str]:
            header = environ.get("HTTP_COOKIE", "")
            session_ids = self._signer.session_ids(header)
            if not session_ids and header:
                self._tell_of_forgeries(header)
            return session_ids

        new_id = generate_id if self._generate is None else lambda: self._own_id(request)
        if FINISHER not in request.__dict__:
            request.__dict__[FINISHER] = True
            request.add_response_callback(self._on_response)
        persistence = self.persistence if self._persistence_of is None else self._persistence_of(request)
        return Session(persistence, find_ids, new_id, FINISHED in request.__dict__)

    def _tell_of_forgeries(self, header: str) -> None:
        for claimed in self._signer.unsigned(header)[:TRIED_COOKIES]:
            kind, key = ("signature", key_of(claimed)) if claimed else ("malformed", "")
            self.persistence.events.tell(SuspiciousCookie(key, None, kind))

    def has_cookie(self, request: Any) -> bool:
        """Whether a cookie of our name came with the request, ours or not."""
        return self._signer.present(request.environ.get("HTTP_COOKIE", ""))

    def _own_id(self, request: Any) -> str:
        assert self._generate is not None
        session_id = self._generate(request)
        if not isinstance(session_id, str) or not _valid_id(session_id):
            raise SessionError(
                "sessionkit.generate_id must return 22 to 128 characters out of A-Z, a-z, 0-9, - and _ "
                "(128 bits or more, from the secrets module)"
            )
        return session_id

    def _warn_of_other_processes(self) -> None:
        self._one_process = False
        log.warning(
            "sessionkit.store = memory, but the server runs several processes, of which each has sessions of its own: "
            "use a store that they share"
        )


def work_of(request: Any) -> UnitOfWork | None:
    """What the request does to its session; None if it asked for none, or another factory made it."""
    session = request.__dict__.get("session")
    return session.work if type(session) is Session else None
