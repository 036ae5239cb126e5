"""How a session is found: by what a client sent with its request, or by its key in a script."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.events import Events, SuspiciousCookie
from pyramid_sessionkit.exceptions import SessionError, SessionGone
from pyramid_sessionkit.interfaces import FIRST
from pyramid_sessionkit.persistence import TRIED_COOKIES, Persistence
from pyramid_sessionkit.saving import STALE_SECONDS
from pyramid_sessionkit.session_id.cookie import CookieSigner
from pyramid_sessionkit.session_id.session_header import SessionHeader
from pyramid_sessionkit.session_id.tokens import KEY_LENGTH, LONGEST_KEY, opens
from pyramid_sessionkit.state import NO_COOKIE, Cookie, Found, Opened, Phase, Presented, Stored

LONGEST_PREFIX = LONGEST_KEY - KEY_LENGTH
"""Characters."""

_is_prefix = re.compile(rf"[A-Za-z0-9_-]{{0,{LONGEST_PREFIX}}}").fullmatch

STANDING = "pyramid_sessionkit.standing"
"""Where the environ of a request that pyramid_retry may repeat has its :class:`Standing`, with the session's name."""


class Standing(NamedTuple):
    """What an attempt at a request found or left, so that the next attempt does not count as another request.

    ``sent`` is the header that came with it. A copy of the request with another one, or none, is another request.
    """

    stored: Stored
    cookie: Cookie
    at: float
    sent: str | None

    def __repr__(self) -> str:
        """Pages and logs of errors show the environ."""
        return f"<Standing {self.stored.key}>"


class CarrierOptions(NamedTuple):
    """What all requests of an application share: how IDs are signed and found, and what new keys begin with."""

    signer: CookieSigner | SessionHeader
    events: Events
    key_prefix: Callable[[Any], str] | None = None
    adoption: Adoption | None = None
    name: str = FIRST
    setting: str = "sessionkit.key_prefix"
    """The setting that ``key_prefix`` comes from."""

    @property
    def standing(self) -> str:
        """Where the environ has the :class:`Standing`."""
        return f"{STANDING}.{self.name}"

    @property
    def adopts(self) -> bool:
        return self.adoption is not None and self.adoption.old is not None


class RequestCarrier:
    """The cookies of one request, or its session header."""

    __slots__ = ("_environ", "_options", "_request")

    begins = True

    def __init__(self, options: CarrierOptions, request: Any) -> None:
        self._options = options
        self._environ = request.environ
        # The request holds its session, which holds this.
        self._request = weakref.ref(request) if options.key_prefix is not None or options.adopts else None

    def presented(self) -> list[Presented]:
        """All IDs that we signed."""
        signer = self._options.signer
        return signer.presented(self._environ.get(signer.variable, ""))

    def find(self, persistence: Persistence, fresh: bool = False) -> Opened:
        environ = self._environ
        header = environ.get(self._options.signer.variable)
        retried = "retry.attempts" in environ
        if not retried and not self._options.adopts:
            return self._find(persistence, header, fresh) if header else NO_COOKIE
        opened = self._adopted(self._find(persistence, header or "", fresh))
        return self._with_standing(persistence, opened) if retried else opened

    def _adopted(self, opened: Opened) -> Opened:
        adoption, request = self._options.adoption, None if self._request is None else self._request()
        return opened if adoption is None or request is None else adoption.find(request, self.prefix, opened)

    def _find(self, persistence: Persistence, header: str, fresh: bool) -> Opened:
        presented = self._options.signer.presented(header)
        if header and not presented:
            self._tell_of_forgeries(header)
        return persistence.find(presented, fresh)

    def _tell_of_forgeries(self, header: str) -> None:
        for claimed in self._options.signer.unsigned(header)[:TRIED_COOKIES]:
            if not claimed and self._options.adopts:
                continue  # the cookie of the old library may have our name
            self._options.events.tell(SuspiciousCookie(claimed, None, "signature" if claimed else "malformed"))

    def _with_standing(self, persistence: Persistence, opened: Opened) -> Opened:
        """A retry keeps the standing of its first attempt, whatever was done to the session meanwhile."""
        standing: Standing | None = self._environ.get(self._options.standing)
        if opened.found is Found.LIVE and opened.stored is not None:
            if standing is None:
                self._environ[self._options.standing] = Standing(opened.stored, Cookie.KEEP, opened.at, self._sent())
            return opened
        if standing is None or standing.sent != self._sent():
            return opened
        if standing.stored.secret is None or opened.at - standing.at > STALE_SECONDS:
            return opened
        return _reopened(persistence, standing, opened)

    def keep(self, stored: Stored, cookie: Cookie, at: float) -> None:
        """Remember what was saved, for another attempt at the same request."""
        if "retry.attempts" in self._environ:
            self._environ[self._options.standing] = Standing(stored, cookie, at, self._sent())

    def _sent(self) -> str | None:
        sent: str | None = self._environ.get(self._options.signer.variable)
        return sent

    def forget(self) -> None:
        """What was saved was rolled back, so that the next attempt begins with what the cookie opens."""
        standing: Standing | None = self._environ.get(self._options.standing)
        if standing is not None and standing.cookie is not Cookie.KEEP:
            del self._environ[self._options.standing]

    def prefix(self) -> str:
        """What a new key begins with: of a tenant or a shard."""
        key_prefix = self._options.key_prefix
        request = None if self._request is None else self._request()
        if key_prefix is None or request is None:
            return ""
        prefix = key_prefix(request)
        if not isinstance(prefix, str) or not _is_prefix(prefix):
            raise SessionError(
                f"{self._options.setting} must return up to {LONGEST_PREFIX} characters out of A-Z, a-z, 0-9, - and _"
            )
        return prefix


def _reopened(persistence: Persistence, standing: Standing, opened: Opened) -> Opened:
    """The session of the first attempt: as that left it, or as a stale request sees it."""
    key, record, secret = standing.stored
    current = persistence.load(key, True)
    if current is None or secret is None:
        return opened
    seed = opened.seed or Presented(key, secret)
    if opens(secret, current):
        contents = persistence.decoded(key, current)
        stored = Stored(key, current, secret)
        return (
            opened
            if contents is None
            else Opened(Found.LIVE, seed, stored, contents, standing.at, Phase.OPEN, standing.cookie)
        )
    contents = persistence.decoded(key, record)
    if contents is None or opened.found is not Found.REPLACED:
        return opened
    return Opened(Found.LIVE, seed, standing.stored, contents, standing.at, Phase.STALE)


class KeyCarrier:
    """A key that a script knows. Without one the session is new."""

    __slots__ = ("_key",)

    def __init__(self, key: str | None = None) -> None:
        self._key = key

    @property
    def begins(self) -> bool:
        return self._key is None

    def presented(self) -> list[Presented]:
        return []

    def find(self, persistence: Persistence, fresh: bool = False) -> Opened:
        if self._key is None:
            return persistence.find([])
        opened = persistence.find_by_key(self._key, fresh)
        if opened.stored is None:
            raise SessionGone(f"No session that is alive has the key {self._key[:8]}")
        return opened

    def keep(self, stored: Stored, cookie: Cookie, at: float) -> None:
        """A script is not repeated."""

    def forget(self) -> None:
        """Nothing was kept."""

    def prefix(self) -> str:
        return ""
