"""Where a security policy can learn who sends a request: each source is a callable ``(request) -> userid or None``.

Only the session ends with ``forget()``. What another source reads, the client sends again: a logout has to delete the
cookie that a source reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pyramid.authentication import extract_http_basic_credentials
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.in_use import find_session

Source = Callable[[Any], "str | None"]

_bearer_token = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE).fullmatch


class SessionSource:
    """The user that the session belongs to."""

    def __call__(self, request: Any) -> str | None:
        session = find_session(request)
        # A session in an application's unit test may be anything that has a user.
        return getattr(request.session, "userid", None) if session is None else session.userid


class BasicAuthSource:
    """The user of an ``Authorization: Basic`` header (RFC 7617).

    ``check(request, username, password)`` returns the userid, or None if they are wrong. Browsers send what was typed
    once with every request by themselves, so these requests are checked for CSRF as any other.
    """

    def __init__(self, check: Callable[[Any, str, str], str | None], realm: str = "Realm") -> None:
        if not re.fullmatch(r"[ !#-\[\]-~]*", realm):
            raise ConfigurationError(f"The realm of BasicAuthSource is printable ASCII without quotes: {realm!r}")
        self._check = check
        self.challenge = f'Basic realm="{realm}", charset="UTF-8"'

    def __call__(self, request: Any) -> str | None:
        given = extract_http_basic_credentials(request)
        return None if given is None else self._check(request, given.username, given.password)

    def refusal(self, request: Any) -> str | None:
        """The challenge for a wrong password; None if the request has none."""
        return self.challenge if _scheme(request) == "basic" else None


class BearerTokenSource:
    """The user of an ``Authorization: Bearer`` header (RFC 6750).

    ``check(request, token)`` returns the userid, or None if the token is wrong. No browser sends such a header by
    itself, so a request that has one, and not our cookie, needs no CSRF token.
    """

    challenge = "Bearer"
    exempt_from_csrf = True

    def __init__(self, check: Callable[[Any, str], str | None]) -> None:
        self._check = check

    def __call__(self, request: Any) -> str | None:
        match = _bearer_token(request.headers.get("Authorization", ""))
        return self._check(request, match[1]) if match else None

    def refusal(self, request: Any) -> str | None:
        """The challenge for a token that is wrong, or malformed (RFC 6750 §3.1); None if the request has none."""
        return 'Bearer error="invalid_token"' if _scheme(request) == "bearer" else None


def _scheme(request: Any) -> str:
    """Of the header ``Authorization``, in small letters; "" without one."""
    scheme: str = request.headers.get("Authorization", "").partition(" ")[0].lower()
    return scheme
