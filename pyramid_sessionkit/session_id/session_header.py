"""The session ID in a header of its own, for clients that keep no cookies: ``sessionkit.header_name``.

A client that sends this header, empty at first, gets its ID in the same header of the response. For such a request
cookies are neither read nor sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyramid_sessionkit.session_id.signed_id import IDSigner, claimed_key
from pyramid_sessionkit.state import Presented

SESSION_HEADER = "pyramid_sessionkit.session_header"
"""Where the registry holds the :class:`SessionHeader`; None without ``sessionkit.header_name``."""


class SessionHeader(IDSigner):
    """Signs what is in the header of this name, and finds it there."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        super().__init__(f"header {name.lower()}", secrets)
        self.name = name
        self.variable = f"HTTP_{name.upper().replace('-', '_')}"
        """Where the environ has the header."""

    def presented(self, header: str) -> list[Presented]:
        """What we signed. Several IDs, which a server has joined by commas, are none."""
        one = self.verify(header.strip(" \t"))
        return [] if one is None else [one]

    def unsigned(self, header: str) -> list[str]:
        """The key that the header claims if we did not sign it; "" for what does not look like ours."""
        value = header.strip(" \t")
        return [claimed_key(value)] if value and self.verify(value) is None else []


def is_carried_in_header(request: Any) -> bool:
    """Whether the client of this request wants its session ID in a header, and not in a cookie."""
    header: SessionHeader | None = request.registry.get(SESSION_HEADER)
    return header is not None and header.variable in request.environ
