"""What a session adds to a response: its cookie, ``Vary`` and ``Cache-Control``."""

from __future__ import annotations

import logging
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from time import time
from typing import Any
from urllib.parse import quote

from pyramid.threadlocal import manager
from webob import Response

from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.session_id.cookie import MAX_AGE, CookieHeaders, CookieSigner, is_same_cookie
from pyramid_sessionkit.settings import Settings, override_cookie
from pyramid_sessionkit.state import BLANK, DELETE, KEEP
from pyramid_sessionkit.unit_of_work import UnitOfWork

log = logging.getLogger("pyramid_sessionkit")

_CHOSEN = "_sessionkit_cookie_headers"
"""Set in the ``__dict__`` of a request, with the cookie's name, where ``sessionkit.cookie_options`` was asked."""

FORMER = "_sessionkit_cookie"
"""Set in the ``__dict__`` of a response that sends an ID for us: the headers that do, and for whom."""

RETURNED = "_sessionkit_returned"
"""Set in the ``__dict__`` of a response that a view returned."""

HeaderList = list[tuple[str, str]]

_headers_for = lru_cache(maxsize=64)(CookieHeaders)


class ResponseHeaders(ABC):
    """Adds the headers of a session to a response. ``overrides`` is ``sessionkit.cookie_options``."""

    not_sent: str
    """What is logged where no ID could be sent."""

    def __init__(self, settings: Settings, overrides: Callable[[Any], dict[str, Any]] | None) -> None:
        self._settings = settings
        self._overrides = overrides
        self._cookie = CookieHeaders(settings.cookie)
        # Whether the client sent the one decides whether the other was looked at.
        self._vary = ("Cookie",) if settings.header_name is None else ("Cookie", settings.header_name)
        self._chosen = f"{_CHOSEN}_{settings.cookie.name}"
        self._warned: set[str] = set()

    @abstractmethod
    def refusal(self, request: Any) -> str | None:
        """Why no ID can be sent in answer to this request; None if it can."""

    @abstractmethod
    def _sent(self, request: Any, work: UnitOfWork) -> HeaderList:
        """The headers that tell the client its new ID, or to forget the one it has."""

    @abstractmethod
    def _send(self, headers: HeaderList, sent: HeaderList) -> None:
        """Add them to a response, and keep it from caches."""

    def add(self, request: Any, response: Any, work: UnitOfWork) -> None:
        """Called once, when the response is otherwise ready."""
        headers = response.headerlist
        _vary_on(headers, self._vary)
        sent = self._sent(request, work)
        if sent:
            work.note(Outcome.SENT, sent[0][0])
            # In this order: another thread may be about to copy the response.
            response.__dict__[FORMER] = _sent_before(request, response) + sent, weakref.ref(_outermost(request))
            self._send(headers, sent)
        elif work.shows_a_user:
            _keep_private(headers)

    def warn(self, refusal: str) -> None:
        """Log once for each reason that a session was not stored, since no ID could be sent for it."""
        if refusal not in self._warned:
            self._warned.add(refusal)
            log.warning("%s: %s", self.not_sent, refusal)

    def _cookie_for(self, request: Any) -> CookieHeaders:
        if self._overrides is None:
            return self._cookie
        chosen: CookieHeaders | None = request.__dict__.get(self._chosen)
        if chosen is None:
            # Once for each response: the function may ask a database.
            chosen = _headers_for(override_cookie(self._settings.cookie, self._overrides(request)))
            request.__dict__[self._chosen] = chosen
        return chosen

    def _is_https(self, request: Any) -> bool:
        return is_https(request, self._settings.trust_proxy)


class SessionHeaders(ResponseHeaders):
    """The same for a session whose ID is in a cookie."""

    not_sent = "No session cookie was sent and no session stored"

    def __init__(
        self,
        settings: Settings,
        signer: CookieSigner,
        overrides: Callable[[Any], dict[str, Any]] | None = None,
        adoption: Adoption | None = None,
    ) -> None:
        super().__init__(settings, overrides)
        self._signer = signer
        self._adoption = adoption

    def refusal(self, request: Any) -> str | None:
        return self._refusal(self._cookie_for(request), self._is_https(request), request)

    def _sent(self, request: Any, work: UnitOfWork) -> HeaderList:
        cookie = None if work.cookie is KEEP else self._cookie_header(request, work)
        cookies = [] if cookie is None else [cookie]
        if self._adoption is not None:
            deletions = self._adoption.deletions(request, ends=work.left, sends=cookie is not None)
            # A cookie of the same name that was only replaced must not be deleted.
            cookies += [value for value in deletions if cookie is None or not is_same_cookie(value, cookie)]
        return [("Set-Cookie", value) for value in cookies]

    def _send(self, headers: HeaderList, sent: HeaderList) -> None:
        headers.extend(sent)
        _keep_from_shared_caches(headers)

    def _cookie_header(self, request: Any, work: UnitOfWork) -> str | None:
        deletes = work.cookie is DELETE
        if deletes and not self._signer.is_in(request.environ.get("HTTP_COOKIE", "")):
            return None
        cookie, https = self._cookie_for(request), self._is_https(request)
        refusal = self._refusal(cookie, https, request)
        if refusal is not None:
            self.warn(refusal)
            work.note(Outcome.NOT_SENT, refusal)
            return None
        if deletes:
            return cookie.delete(https)
        max_age = None if work.cookie is BLANK else self._max_age(work.metadata())
        return cookie.set(self._signer.sign(work.sent_cookie), https, max_age)

    def _refusal(self, cookie: CookieHeaders, https: bool, request: Any) -> str | None:
        # A cookie for / needs no path to be looked at, which would have to be quoted.
        refusal = cookie.refusal(https, "/" if cookie.settings.path == "/" else _path(request))
        return None if refusal is None else self._settings.renamed(refusal)

    def _max_age(self, record: Record) -> int | None:
        """Seconds, for a cookie that outlives the browser: to the session's deadline, which renewals do not move.

        With ``rolling`` it is the time until the session expires, since then the cookie is sent each time.
        """
        if not record.persistent:
            return None
        end = record.expires if self._settings.rolling else record.deadline
        return MAX_AGE if end is None else max(0, end - int(time()))


def copied(response: Any) -> Any:
    """A copy that shares the body, if the body can be sent twice, without the cookies of an earlier visitor."""
    if type(response.app_iter) not in (list, tuple) or not isinstance(response, Response):
        return without_former_cookies(response)
    headers = list(response.headerlist)
    copied = response.__class__.__new__(response.__class__)
    copied.__dict__.update(response.__dict__)
    copied._headers = None
    copied._headerlist = headers
    return without_former_cookies(copied)


def without_former_cookies(response: Any) -> Any:
    """Some views return one response object to everybody: take the cookies of its last visitor out of it.

    The response of a subrequest keeps its cookies: they are this visitor's.
    """
    former = response.__dict__.get(FORMER)
    if former is not None and former[1]() is not _outermost(None):
        del response.__dict__[FORMER]
        response.headerlist = [item for item in response.headerlist if item not in former[0]]
    return response


def _sent_before(request: Any, response: Any) -> HeaderList:
    """What the other sessions of this request have sent with the response."""
    former = response.__dict__.get(FORMER)
    return [] if former is None or former[1]() is not _outermost(request) else former[0]


def is_https(request: Any, trust_proxy: bool) -> bool:
    """Whether the browser sent the request over HTTPS; ``trust_proxy``: to a proxy, which says so."""
    environ = request.environ
    if trust_proxy and "HTTP_X_FORWARDED_PROTO" in environ:
        return bool(environ["HTTP_X_FORWARDED_PROTO"].split(",")[0].strip().lower() == "https")
    return bool(environ.get("wsgi.url_scheme") == "https")


def _outermost(request: Any) -> Any:
    """The request that the server began in this thread, of which ``request`` may be a subrequest."""
    requests = [entry.get("request") for entry in manager.stack]
    return next((found for found in requests if found is not None), request)


def _path(request: Any) -> str:
    environ = request.environ
    return (
        quote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), safe="/!$&'()*+,;=:@~", encoding="latin-1")
        or "/"
    )


def _vary_on(headers: HeaderList, names: tuple[str, ...]) -> None:
    """Caches must not give one visitor's page to another (RFC 9110, 12.5.5)."""
    vary = [header for header in headers if len(header[0]) == 4 and header[0].lower() == "vary"]
    if not vary:
        headers.append(("Vary", ", ".join(names)))
        return
    there = {field.strip().lower() for _, value in vary for field in value.split(",")}
    missing = [] if "*" in there else [name for name in names if name.lower() not in there]
    if missing:
        name, value = vary[0]
        headers[headers.index(vary[0])] = (name, ", ".join([value, *missing]))


def _keep_from_shared_caches(headers: HeaderList) -> None:
    """A response with a session cookie is nobody else's (OWASP ASVS 8.2.1), however long it is fresh."""
    chosen = [(index, value) for index, (name, value) in enumerate(headers) if name.lower() == "cache-control"]
    if not chosen:
        headers.append(("Cache-Control", "no-store"))
    for index, value in chosen:
        directives = [directive.strip() for directive in value.split(",")]
        names = {directive.partition("=")[0].strip().lower() for directive in directives}
        kept = [d for d in directives if d.partition("=")[0].strip().lower() not in ("public", "s-maxage")]
        if names & {"public", "s-maxage", "max-age"} and not {"private", "no-store"} & {d.lower() for d in kept}:
            kept.insert(0, "private")
        if kept != directives:
            headers[index] = ("Cache-Control", ", ".join(kept))


def _keep_private(headers: HeaderList) -> None:
    """What a logged-in visitor sees is nobody else's, and many caches ignore ``Vary``."""
    if not any(name.lower() == "cache-control" for name, _ in headers):
        headers.append(("Cache-Control", "private"))
