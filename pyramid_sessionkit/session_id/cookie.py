"""The signed session ID in a cookie: read, send, delete."""

from __future__ import annotations

from collections.abc import Sequence

from pyramid_sessionkit.session_id.signed_id import IDSigner, claimed_key
from pyramid_sessionkit.settings import CookieSettings
from pyramid_sessionkit.state import Presented

MAX_AGE = 400 * 86400
"""The longest Max-Age in seconds that browsers honour (RFC 6265bis, 5.6.2)."""


class CookieSigner(IDSigner):
    """Signs what is in cookies of one name, and finds it in a ``Cookie`` header."""

    variable = "HTTP_COOKIE"
    """Where the environ has that header."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        super().__init__(f"cookie {name}", secrets)
        self._name = name
        self._prefix = f"{name}="

    def presented(self, header: str) -> list[Presented]:
        """What we signed in a ``Cookie`` header, in its order and each once.

        Reads the header itself, since one undecodable byte in any cookie makes WebOb refuse all of them.
        """
        if ";" not in header and header.startswith(self._prefix):  # nothing but our cookie, as most browsers have it
            one = self.verify(header[len(self._prefix) :].strip(' \t"'))
            return [] if one is None else [one]
        verified = [self.verify(value) for value in dict.fromkeys(self._values(header))]
        return list(dict.fromkeys(one for one in verified if one is not None))

    def unsigned(self, header: str) -> list[str]:
        """The keys that cookies of our name claim which we did not sign; "" for one that does not look like ours."""
        return [claimed_key(value) for value in self._values(header) if self.verify(value) is None]

    def is_in(self, header: str) -> bool:
        """Whether the browser sent a cookie of our name, ours or not."""
        return bool(self._values(header))

    def _values(self, header: str) -> list[str]:
        name = self._name
        if name not in header:
            return []
        # Only these two are white space to a browser: "\xa0__Host-x" is a name that anyone may set.
        pairs = [pair.strip(" \t").partition("=") for pair in header.split(";")]
        return [value.strip(" \t").strip('"') for found, _, value in pairs if found.rstrip(" \t") == name]


class CookieHeaders:
    """``Set-Cookie`` headers for one set of attributes, with all but the value made beforehand."""

    def __init__(self, settings: CookieSettings) -> None:
        self.settings = settings
        self._attributes = {secure: _attributes(settings, secure) for secure in (False, True)}

    def refusal(self, https: bool, path: str) -> str | None:
        """Why a browser must not be sent the cookie now: None where it may be."""
        if (refusal := self.refusal_over_http(https)) is not None:
            return refusal
        if not _path_matches(path, self.settings.path):
            return f"the request's path is outside sessionkit.cookie_path = {self.settings.path}"
        return None

    def refusal_over_http(self, https: bool) -> str | None:
        """Why no ID may be sent over this connection: None where one may be."""
        if https or not self.settings.always_secure:
            return None
        return (
            "sessionkit.cookie_secure is true but the request came over plain HTTP: use HTTPS, or set "
            "sessionkit.trust_proxy where a proxy ends TLS"
        )

    def set(self, value: str, https: bool, max_age: int | None = None) -> str:
        """The header that sets the cookie; for as long as the browser runs where ``max_age`` (seconds) is None."""
        age = "" if max_age is None else f"; Max-Age={min(max_age, MAX_AGE)}"
        return f"{self.settings.name}={value}{age}{self._attributes[self._secure(https)]}"

    def delete(self, https: bool) -> str:
        """The header that removes the cookie: with its own attributes, or ``__Host-`` cookies would stay."""
        expired = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        return f"{self.settings.name}={expired}{self._attributes[self._secure(https)]}"

    def _secure(self, https: bool) -> bool:
        return self.settings.always_secure or (https and self.settings.secure is None)


def is_same_cookie(one: str, other: str) -> bool:
    """Whether two ``Set-Cookie`` values are about one cookie: name, path and domain say which (RFC 6265, 5.3)."""
    return _identity(one) == _identity(other)


def _identity(header: str) -> tuple[str, str, str]:
    pair, *attributes = header.split(";")
    named = {name.strip().lower(): value.strip().lower() for name, _, value in (a.partition("=") for a in attributes)}
    return pair.partition("=")[0].strip(), named.get("path", ""), named.get("domain", "").lstrip(".")


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
