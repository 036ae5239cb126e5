"""A security policy that reads the logged-in user from the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pyramid.authorization import ACLHelper, Authenticated, Everyone
from pyramid.config import PHASE2_CONFIG, Configurator
from pyramid.csrf import new_csrf_token
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ICSRFStoragePolicy, ISecurityPolicy
from pyramid.request import RequestLocalCache
from zope.interface import implementer

from pyramid_sessionkit.session import Session

Identity = Callable[[Any, str], Any]
Principals = Callable[[Any, Any], Iterable[str]]


@implementer(ISecurityPolicy)
class SessionSecurityPolicy:
    """The user of a request is the one that its session belongs to.

    - ``identity(request, userid)`` returns the application's object for that user, or None if there is no such user
      any more, who is then anonymous. It is called once per request. Without it the userid is the identity.
    - ``principals(request, identity)`` returns who the user is in the eyes of an ACL; ``Everyone`` and
      ``Authenticated`` are added.
    - ``authorizer.permits(context, principals, permission)`` decides: :class:`pyramid.authorization.ACLHelper`.
    """

    def __init__(
        self, identity: Identity | None = None, principals: Principals | None = None, authorizer: Any = None
    ) -> None:
        self._load_identity = identity or (lambda request, userid: userid)
        self._principals = principals or (lambda request, identity: ())
        self._authorizer = authorizer or ACLHelper()
        self._users: Any = RequestLocalCache(self._find_user)

    def identity(self, request: Any) -> Any:
        """The application's object for the logged-in user, or None."""
        return self._users.get_or_create(request)[1]

    def authenticated_userid(self, request: Any) -> str | None:
        """The logged-in user's id, or None; None too if that user is gone."""
        return self._users.get_or_create(request)[0]  # type: ignore[no-any-return]

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        """Whether the user may do this here."""
        identity = self.identity(request)
        principals = {Everyone}
        if identity is not None:
            principals |= {Authenticated, *self._principals(request, identity)}
        return self._authorizer.permits(context, principals, permission)

    def remember(self, request: Any, userid: Any, persistent: bool | None = None) -> list[tuple[str, str]]:
        """Log a user in: call it when he has proven who he is.

        The session gets a new ID, a new CSRF token and a new lifetime; its contents stay, unless they were another
        user's. ``persistent``: whether the cookie outlives the browser; None: as ``sessionkit.persistent`` says.
        Returns no headers, since the cookie is sent with the response.
        """
        if userid is None or not str(userid):
            raise ValueError("remember() needs the id of a user")
        _session(request).login(str(userid), persistent=persistent)
        if request.registry.queryUtility(ICSRFStoragePolicy) is not None:
            new_csrf_token(request)
        self._users.clear(request)
        return []

    def forget(self, request: Any) -> list[tuple[str, str]]:
        """Log out: the session ends, and with it all it contains."""
        _session(request).invalidate()
        self._users.clear(request)
        return []

    def _find_user(self, request: Any) -> tuple[str | None, Any]:
        userid = getattr(request.session, "userid", None)
        identity = None if userid is None else self._load_identity(request, userid)
        return (None, None) if identity is None else (userid, identity)


def _session(request: Any) -> Session:
    session = request.session
    if not isinstance(session, Session):
        raise ConfigurationError(
            f"request.session is a {type(session).__name__}, which cannot hold a login: remove the other session "
            "factory, or use pyramid_sessionkit.testing.make_session() in a unit test"
        )
    return session


def add_security_policy(config: Configurator, policy: SessionSecurityPolicy) -> None:
    """Register the policy after the application's own actions, and only if those registered none."""

    def register() -> None:
        if config.registry.queryUtility(ISecurityPolicy) is None:
            config.registry.registerUtility(policy, ISecurityPolicy)

    # After Pyramid's own policies (PHASE2), before the views that need one. No discriminator: never in conflict.
    config.action(None, register, order=PHASE2_CONFIG + 1)
