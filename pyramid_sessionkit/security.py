"""The security policy: who sends a request, and what they may do."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from pyramid.authorization import ACLHelper, Authenticated, Everyone
from pyramid.interfaces import ICSRFStoragePolicy, ISecurityPolicy
from pyramid.request import RequestLocalCache
from zope.interface import implementer

from pyramid_sessionkit.csrf.policy import SessionCSRFStoragePolicy
from pyramid_sessionkit.in_use import find_session, session_of
from pyramid_sessionkit.interfaces import CREDENTIALS_NOT_KNOWN
from pyramid_sessionkit.sources import SessionSource, Source
from pyramid_sessionkit.userid import as_userid

Identity = Callable[[Any, str], Any]
Principals = Callable[[Any, Any], Iterable[str]]
CredentialsHash = Callable[[Any, Any], str]


class User(NamedTuple):
    """Who sends a request; ``source`` is the one that named them."""

    userid: str | None
    identity: Any
    source: Source | None


NOBODY = User(None, None, None)


@implementer(ISecurityPolicy)
class SessionSecurityPolicy:
    """Reads the logged-in user from the session, or from other sources.

    - ``sources``: each ``source(request)`` returns a userid or None; the first that answers wins.
    - ``identity(request, userid)`` returns the application's object for that user, or None if there is no such user
      any more: then the session is ended. ``userid`` is text. It is called once per request. Without this function the
      userid is the identity.
    - ``principals(request, identity)`` returns who the user is in the eyes of an ACL; ``Everyone`` and
      ``Authenticated`` are added.
    - ``authorizer.permits(context, principals, permission)`` decides: :class:`pyramid.authorization.ACLHelper`.
    - ``credentials_hash(request, identity)`` returns what a login depends on, such as the hash of the password. A
      session whose login depended on something else is ended (OWASP ASVS 3.3.3). Only its SHA-256 is stored. Let it
      depend on the user alone, and not on their browser: ``user_sessions(request).list()`` leaves out those of which
      it differs.
    """

    def __init__(
        self,
        identity: Identity | None = None,
        principals: Principals | None = None,
        authorizer: Any = None,
        sources: Sequence[Source] | None = None,
        credentials_hash: CredentialsHash | None = None,
    ) -> None:
        self._load_identity = identity or (lambda request, userid: userid)
        self._principals = principals or (lambda request, identity: ())
        self._authorizer = authorizer or ACLHelper()
        self.sources = (SessionSource(),) if sources is None else tuple(sources)
        self._credentials_hash = credentials_hash
        self._users: Any = RequestLocalCache(self._find_user)
        self._claims: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def identity(self, request: Any) -> Any:
        """The application's object for the user, or None."""
        return self.user(request).identity

    def authenticated_userid(self, request: Any) -> str | None:
        """The user's id, as text; None if nobody is logged in or that user is gone."""
        return self.user(request).userid

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        """Whether the user may do this here."""
        identity = self.identity(request)
        principals = {Everyone}
        if identity is not None:
            principals |= {Authenticated, *self._principals(request, identity)}
        return self._authorizer.permits(context, principals, permission)

    def remember(self, request: Any, userid: Any, persistent: bool | None = None, **kw: Any) -> list[tuple[str, str]]:
        """Log a user in: call it when they have proven who they are.

        The session gets a new secret, another CSRF token and a new lifetime; its contents stay, unless they were
        another user's. ``userid`` is text, a number or a UUID. ``persistent``: whether the cookie outlives the browser;
        None: as ``sessionkit.persistent`` says. Other keyword arguments are refused. Returns no headers, since the
        cookie is sent with the response.
        """
        _refuse("remember", kw)
        text = as_userid(userid, "remember() was given")
        session = session_of(request)
        session.login(text, self.credentials_of(request, text), persistent)
        policy = request.registry.queryUtility(ICSRFStoragePolicy)
        if policy is not None and not isinstance(policy, SessionCSRFStoragePolicy):
            # Ours follows the login by itself.
            policy.new_csrf_token(request)
        self._users.clear(request)
        return []

    def forget(self, request: Any, **kw: Any) -> list[tuple[str, str]]:
        """Log out: the session ends, and with it all it contains."""
        _refuse("forget", kw)
        session_of(request).invalidate()
        self._users.clear(request)
        return []

    @property
    def compares_credentials(self) -> bool:
        """Whether a session is ended whose login depended on something else than it would now."""
        return self._credentials_hash is not None

    def credentials_of(self, request: Any, userid: str) -> str | None:
        """What a login of this user depends on, as it is stored; None without ``credentials_hash``."""
        if self._credentials_hash is None:
            return None
        with self._claim(request, userid):
            identity = self._load_identity(request, userid)
            if identity is None:
                raise ValueError("The identity function knows no such user; flush a new one first")
            return _digest(self._credentials_hash(request, identity))

    def unauthenticated_userid(self, request: Any) -> str | None:
        """Whose identity and credentials are being found out right now: nobody knows yet if they exist."""
        return self._claims.get(request)

    def user(self, request: Any) -> User:
        """Who sends this request, and which source named them."""
        user: User = self._users.get_or_create(request)
        if isinstance(user.source, SessionSource) and user.source(request) != user.userid:
            # A view has ended the session itself.
            self._users.clear(request)
            user = self._users.get_or_create(request)
        return user

    def _find_user(self, request: Any) -> User:
        for source in self.sources:
            found = source(request)
            if found is None:
                continue
            userid = as_userid(found, f"{type(source).__name__} returned")
            with self._claim(request, userid):
                identity = self._load_identity(request, userid)
                ended = self._why_ended(request, source, identity)
            if ended is not None:
                session_of(request).work.end_as_judged(ended)
            return NOBODY if identity is None or ended is not None else User(userid, identity, source)
        return NOBODY

    @contextmanager
    def _claim(self, request: Any, userid: str) -> Iterator[None]:
        self._claims[request] = userid
        try:
            yield
        finally:
            self._claims.pop(request, None)

    def _why_ended(self, request: Any, source: Source, identity: Any) -> str | None:
        """Why the session of this user has to end; None if it may go on, or another source named the user."""
        session = find_session(request) if isinstance(source, SessionSource) else None
        if session is None:
            return None
        if identity is None:
            # The next user who is given this id must not find it.
            return "user_gone"
        if self._credentials_hash is None:
            return None
        at_login, now = session.credentials or "", _digest(self._credentials_hash(request, identity))
        if at_login == CREDENTIALS_NOT_KNOWN:
            session.work.set_credentials(now)
            return None
        return None if hmac.compare_digest(at_login, now) else "credentials_changed"


def _digest(credentials: str) -> str:
    return sha256(credentials.encode()).hexdigest()


def _refuse(method: str, kw: dict[str, Any]) -> None:
    if kw:
        name = min(kw)
        raise TypeError(f"{method}() takes no {name}{_INSTEAD.get(name, '')}")


_INSTEAD = {
    "max_age": (
        ": pass persistent=True for a cookie that outlives the browser. How long a login lasts is set by "
        "sessionkit.lifetime and, while it is not used, by sessionkit.timeout; for this login alone by calling then "
        "session.set_expiry(lifetime=seconds, timeout=seconds)"
    ),
    "tokens": ": return principals from sessionkit.principals",
}
