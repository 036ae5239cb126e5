"""What a session adds to the response for a client whose ID is in a header: that header, and no cookie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.session_id.headers import HeaderList, ResponseHeaders
from pyramid_sessionkit.session_id.session_header import SessionHeader
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import KEEP, SEND
from pyramid_sessionkit.unit_of_work import UnitOfWork

_CACHING = ("cache-control", "surrogate-control")
"""How the headers end that tell caches what they may keep, those for some caches alone included (RFC 9213)."""


class CookielessHeaders(ResponseHeaders):
    """Adds the headers of a session to a response, for the session header."""

    not_sent = "No session ID was sent in a header and no session stored"

    def __init__(
        self, settings: Settings, header: SessionHeader, overrides: Callable[[Any], dict[str, Any]] | None = None
    ) -> None:
        super().__init__(settings, overrides)
        self._header = header

    def refusal(self, request: Any) -> str | None:
        return self._cookie_for(request).refusal_over_http(self._is_https(request))

    def _sent(self, request: Any, work: UnitOfWork) -> HeaderList:
        """The header with a new ID; an empty one where the client is to forget its own."""
        if work.cookie is KEEP:
            return []
        value, known = self._value(request, work), request.environ[self._header.variable].strip(" \t")
        return [] if value is None or value == known else [(self._header.name, value)]

    def _value(self, request: Any, work: UnitOfWork) -> str | None:
        # A blank ID would only carry a CSRF token, which these clients do not need.
        if work.cookie is not SEND:
            return ""
        refusal = self.refusal(request)
        if refusal is not None:
            self.warn(refusal)
            work.note(Outcome.NOT_SENT, refusal)
            return None
        return self._header.sign(work.sent_cookie)

    def _send(self, headers: HeaderList, sent: HeaderList) -> None:
        """No cache may keep the response, whatever the view said: a client would read the ID of another in it."""
        name = self._header.name.lower()
        kept = [item for item in headers if item[0].lower() != name and not item[0].lower().endswith(_CACHING)]
        headers[:] = [*kept, *sent, ("Cache-Control", "no-store")]
