"""Server-side sessions for Pyramid: ``config.include("pyramid_sessionkit")``."""

from __future__ import annotations

from pyramid.config import Configurator

from pyramid_sessionkit.adoption.directive import add_adoption
from pyramid_sessionkit.csrf.policy import add_csrf_policy
from pyramid_sessionkit.csrf.this_site import TRUST_PROXY, is_from_this_site
from pyramid_sessionkit.directives import add_security_directives, add_security_policy
from pyramid_sessionkit.events import (
    LoggedIn,
    LoggedOut,
    SessionCreated,
    SessionEnded,
    SessionEvent,
    SessionRegenerated,
    SessionTampered,
    SuspiciousCookie,
)
from pyramid_sessionkit.exceptions import (
    NotLoggedIn,
    NotOwned,
    NotSupported,
    SessionClosed,
    SessionConflict,
    SessionError,
    SessionGone,
    SessionNotSerializable,
    SessionReplaced,
    SessionTooLarge,
    StoreError,
    StoreUnavailable,
    TransactionFailed,
)
from pyramid_sessionkit.gates.logged_out import why_logged_out
from pyramid_sessionkit.gates.login import LoginRequired, add_gates, safe_next
from pyramid_sessionkit.in_force import POLICY_WANTED
from pyramid_sessionkit.in_use import FACTORIES
from pyramid_sessionkit.interfaces import (
    FIRST,
    IContentsUpdate,
    IJoinable,
    IListable,
    IPurgeable,
    ISessionStore,
    IUserIndex,
    Record,
)
from pyramid_sessionkit.joined.mode import JOINED_MODE
from pyramid_sessionkit.parts import make_factory, resolve
from pyramid_sessionkit.request import Request
from pyramid_sessionkit.second_session import add_session
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.session import SecondSession, Session
from pyramid_sessionkit.session_id.session_header import SESSION_HEADER
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.sources import BasicAuthSource, BearerTokenSource, SessionSource
from pyramid_sessionkit.store_types import ContentsUpdate, Listable, Purgeable, SessionStore, UserIndex
from pyramid_sessionkit.tweens import add_tweens
from pyramid_sessionkit.user_sessions import SessionInfo, Sessions, UserSessions, get_sessions, user_sessions

__all__ = [
    "BasicAuthSource",
    "BearerTokenSource",
    "ContentsUpdate",
    "IContentsUpdate",
    "IJoinable",
    "IListable",
    "IPurgeable",
    "ISessionStore",
    "IUserIndex",
    "Listable",
    "LoggedIn",
    "LoggedOut",
    "LoginRequired",
    "NotLoggedIn",
    "NotOwned",
    "NotSupported",
    "Purgeable",
    "Record",
    "Request",
    "SecondSession",
    "Session",
    "SessionClosed",
    "SessionConflict",
    "SessionCreated",
    "SessionEnded",
    "SessionError",
    "SessionEvent",
    "SessionGone",
    "SessionInfo",
    "SessionNotSerializable",
    "SessionRegenerated",
    "SessionReplaced",
    "SessionSecurityPolicy",
    "SessionSource",
    "SessionStore",
    "SessionTampered",
    "SessionTooLarge",
    "Sessions",
    "StoreError",
    "StoreUnavailable",
    "SuspiciousCookie",
    "TransactionFailed",
    "UserIndex",
    "UserSessions",
    "get_sessions",
    "includeme",
    "is_from_this_site",
    "safe_next",
    "user_sessions",
    "why_logged_out",
]


POLICY_PARTS = ("identity", "principals", "credentials_hash")


def includeme(config: Configurator) -> None:
    """Plug in ``request.session``, the tweens that save it, a security policy and the predicates."""
    app_settings = config.get_settings()
    settings = parse_settings(app_settings)
    # With annotate_user every request with our cookie would read its session, static files included.
    app_settings.setdefault("tm.annotate_user", "false")

    factory = make_factory(config, settings, app_settings, FIRST, Session)
    config.registry[JOINED_MODE] = factory.joined_mode
    config.registry[POLICY_WANTED] = settings.security_policy
    config.registry[SESSION_HEADER] = factory.header
    config.registry[TRUST_PROXY] = settings.trust_proxy
    config.registry.setdefault(FACTORIES, {})[FIRST] = factory
    config.set_session_factory(factory)
    config.add_directive("add_session", add_session)
    add_adoption(config, factory.adoption, settings.adopt)
    add_tweens(config)
    add_csrf_policy(config, settings.login_route, settings.confirm_route)
    add_gates(config, settings.login_route, settings.confirm_route)
    parts = {name: resolve(config, name, getattr(settings, name)) for name in POLICY_PARTS}
    add_security_directives(config, **parts)
    if settings.security_policy:
        add_security_policy(config)
