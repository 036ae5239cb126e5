"""What is written for a session library that a site comes from: where its sessions are found, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.exceptions import NotSupported


class Adopted(NamedTuple):
    """An old session, as it goes on in ours. Times are in epoch seconds."""

    contents: Mapping[str, Any]
    userid: Any = None
    """Who is logged in: text, a number or a UUID. None for nobody."""
    authenticated: float | None = None
    """When that user logged in. None: not known, so that ``fresh_login`` asks for the password."""
    expires: float | None = None
    """When the old session ends even if it is used. None: ``sessionkit.lifetime`` alone limits it, from now on."""
    persistent: bool | None = None
    """Whether its cookie outlives the browser. None: as ``sessionkit.persistent`` says."""


class OldSessions:
    """The sessions of another library. A subclass needs ``cookie`` and :meth:`read`.

    ``keep``: the old cookie and the old record stay when a session is adopted, so that the site can go back. At logout
    the old cookie goes in any case.

    No method may use ``request.session`` or ``request.authenticated_userid``: they are just being loaded.
    """

    cookie: str = ""
    """The name of the old cookie."""
    cookie_path: str = "/"
    cookie_domain: str | None = None
    keep: bool = False

    def token(self, request: Any) -> str | None:
        """What names the old session of this browser; None if it has none. Here the value of the cookie.

        It is asked for without a look at any record, and must be the same in all requests of one browser.
        """
        return next(iter(cookie_values(request, self.cookie)), None)

    def read(self, request: Any, token: str) -> Adopted | None:
        """The old session; None if there is none, since it has ended, or since the token was not signed as it should.

        Whatever this raises is an outage: the request is answered with 503, and nobody is logged out.
        """
        raise NotImplementedError

    def forget(self, token: str) -> None:
        """Delete the old record, since its session has been adopted. Here nothing is done."""

    def deletions(self, request: Any) -> list[str]:
        """The values of the ``Set-Cookie`` headers that delete the old cookies which this browser has."""
        if not cookie_values(request, self.cookie):
            return []
        domain = f"; Domain={self.cookie_domain}" if self.cookie_domain else ""
        return [f"{self.cookie}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path={self.cookie_path}{domain}"]

    def all(self) -> Iterator[tuple[str, Adopted]]:
        """Each old session with its token, for ``psessions import``."""
        raise NotSupported(f"{type(self).__name__} cannot list its sessions: each is adopted when its visitor comes")


def cookie_values(request: Any, name: str) -> list[str]:
    """The values of all cookies of this name. One undecodable byte in any other makes ``request.cookies`` raise."""
    header = request.environ.get("HTTP_COOKIE", "")
    pairs = [pair.strip(" \t").partition("=") for pair in header.split(";")] if name in header else []
    return [value.strip(" \t").strip('"') for found, _, value in pairs if found.rstrip(" \t") == name]


def check_secret(secret: Any) -> None:
    """Refuse a secret that is missing: whoever signs a cookie with none would get in."""
    if not secret:
        raise ConfigurationError("The secret of the old library is empty: give the one that the old site signed with")
