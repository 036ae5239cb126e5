"""The signed session ID in a cookie: read, sign, send, delete.

The value is ``<id>.<signature>``: HMAC-SHA256 under a key derived from the secret and the cookie's name, so that a
value signed for one cookie is worth nothing in another.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256

from pyramid_sessionkit.settings import CookieSettings

MAX_AGE = 400 * 86400
"""The longest Max-Age in seconds that browsers honour (RFC 6265bis, 5.6.2)."""

_VALUE = re.compile(r"[A-Za-z0-9_-]{22,128}\.[A-Za-z0-9_-]{43}").fullmatch


class CookieSigner:
    """Signs session IDs with the first of its secrets, and believes what any of them signed."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        self._name = name
        context = f"pyramid_sessionkit cookie {name}".encode()
        self._keys = [hmac.new(hmac.digest(secret, context, "sha256"), None, sha256) for secret in secrets]

    def sign(self, session_id: str) -> str:
        return f"{session_id}.{_signature(self._keys[0], session_id)}"

    def verify(self, value: str) -> str | None:
        """The session ID in the value of a cookie, or None if we did not sign it."""
        if not _VALUE(value):
            return None
        session_id, _, signature = value.partition(".")
        for key in self._keys:
            if hmac.compare_digest(_signature(key, session_id), signature):
                return session_id
        return None

    def session_ids(self, header: str) -> Iterator[str]:
        """The session IDs that we signed in a ``Cookie`` header, in its order.

        Reads the header itself, since one undecodable byte in any cookie makes WebOb refuse all of them.
        """
        for value in self._values(header):
            session_id = self.verify(value)
            if session_id is not None:
                yield session_id

    def present(self, header: str) -> bool:
        """Whether the browser sent a cookie of our name, ours or not."""
        return next(self._values(header), None) is not None

    def _values(self, header: str) -> Iterator[str]:
        name = self._name
        if name not in header:
            return
        for pair in header.split(";"):
            found, _, value = pair.strip().partition("=")
            if found.rstrip() == name:
                yield value.strip().strip('"')


def _signature(key: hmac.HMAC, session_id: str) -> str:
    signing = key.copy()
    signing.update(session_id.encode("ascii"))
    return urlsafe_b64encode(signing.digest())[:43].decode("ascii")


class CookieHeaders:
    """``Set-Cookie`` headers for one set of attributes, with all but the value made beforehand."""

    def __init__(self, settings: CookieSettings) -> None:
        self.settings = settings
        self._attributes = {secure: _attributes(settings, secure) for secure in (False, True)}

    def refusal(self, https: bool, path: str) -> str | None:
        """Why a browser must not be sent the cookie now: None where it may be."""
        if self.settings.secure and not https:
            return (
                "sessionkit.cookie_secure is true but the request came over plain HTTP: use HTTPS, or set "
                "sessionkit.trust_proxy where a proxy ends TLS"
            )
        if not _path_matches(path, self.settings.path):
            return f"the request's path is outside sessionkit.cookie_path = {self.settings.path}"
        return None

    def set(self, value: str, https: bool, max_age: int | None = None) -> str:
        """The header that sets the cookie; for as long as the browser runs where ``max_age`` (seconds) is None."""
        age = "" if max_age is None else f"; Max-Age={min(max_age, MAX_AGE)}"
        return f"{self.settings.name}={value}{age}{self._attributes[self._secure(https)]}"

    def delete(self, https: bool) -> str:
        """The header that removes the cookie: with its own attributes, or ``__Host-`` cookies would stay."""
        expired = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        return f"{self.settings.name}={expired}{self._attributes[self._secure(https)]}"

    def _secure(self, https: bool) -> bool:
        return https if self.settings.secure is None else self.settings.secure


def _attributes(settings: CookieSettings, secure: bool) -> str:
    samesite = settings.samesite
    if samesite == "auto" or (samesite == "None" and not secure):
        samesite = "None" if secure else "Lax"
    parts = [
        f"Path={settings.path}",
        f"Domain={settings.domain}" if settings.domain else "",
        "Secure" if secure else "",
        "HttpOnly" if settings.httponly else "",
        f"SameSite={samesite}" if samesite != "off" else "",
        "Partitioned" if settings.partitioned else "",
        f"Priority={settings.priority}" if settings.priority else "",
    ]
    return "".join(f"; {part}" for part in parts if part)


def _path_matches(path: str, cookie_path: str) -> bool:
    """RFC 6265, 5.1.4."""
    return path.startswith(cookie_path) and (
        cookie_path.endswith("/") or path[len(cookie_path) : len(cookie_path) + 1] in ("", "/")
    )
