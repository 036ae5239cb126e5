"""Server-side sessions for Pyramid: ``config.include("pyramid_sessionkit")``."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.add_session_type import serializer_of
from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.adoption.directive import add_adoption
from pyramid_sessionkit.arguments import check_arguments
from pyramid_sessionkit.cookie import CookieSigner
from pyramid_sessionkit.cookieless_headers import CookielessHeaders
from pyramid_sessionkit.csrf import add_csrf_policy
from pyramid_sessionkit.directives import add_security_directives, add_security_policy
from pyramid_sessionkit.events import (
    Events,
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
from pyramid_sessionkit.factory import SessionFactory
from pyramid_sessionkit.headers import SessionHeaders
from pyramid_sessionkit.in_force import POLICY_WANTED
from pyramid_sessionkit.interfaces import (
    IContentsUpdate,
    IJoinable,
    IListable,
    IPurgeable,
    ISessionStore,
    IUserIndex,
    Record,
)
from pyramid_sessionkit.joined_mode import JOINED_MODE, JoinedMode
from pyramid_sessionkit.logged_out import why_logged_out
from pyramid_sessionkit.login import LoginRequired, add_gates, safe_next
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.request import Request
from pyramid_sessionkit.saver import SAVER, Saver
from pyramid_sessionkit.sealing import sealed_store
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_header import SESSION_HEADER, SessionHeader
from pyramid_sessionkit.settings import PREFIX, Settings, parse_settings
from pyramid_sessionkit.sources import BasicAuthSource, BearerTokenSource, SessionSource
from pyramid_sessionkit.store_types import ContentsUpdate, Listable, Purgeable, SessionStore, UserIndex
from pyramid_sessionkit.stores import BUILTIN, create_store
from pyramid_sessionkit.this_site import TRUST_PROXY, is_from_this_site
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

    own_store = None if settings.store in BUILTIN else _resolve(config, "store", settings.store)
    store = create_store(settings, app_settings, own_store)
    _check_store(settings, store)
    if settings.max_sessions_per_user is not None and not IUserIndex.providedBy(store):
        raise ConfigurationError(
            f"{PREFIX}max_sessions_per_user needs a store that can list a user's sessions: "
            "memory, redis, sql or cached_sql"
        )
    events = Events(config.registry)
    store = sealed_store(store, settings, events)
    persistence = Persistence(store, settings, events, serializer=serializer_of(config))
    signer = CookieSigner(settings.cookie.name, settings.secret)
    adoption = Adoption(persistence)
    cookie_options = _resolve(config, "cookie_options", settings.cookie_options)
    headers = SessionHeaders(settings, signer, cookie_options, adoption)
    header = None if settings.header_name is None else SessionHeader(settings.header_name, settings.secret)
    saver = Saver(settings, headers, None if header is None else CookielessHeaders(settings, header, cookie_options))

    joined_mode = JoinedMode(persistence, settings.sql.dbsession, app_settings) if settings.sql.dbsession else None
    persistence_of = None if joined_mode is None else joined_mode.persistence_of
    key_prefix = _resolve(config, "key_prefix", settings.key_prefix)

    config.registry[SAVER] = saver
    config.registry[JOINED_MODE] = joined_mode
    config.registry[POLICY_WANTED] = settings.security_policy
    config.registry[SESSION_HEADER] = header
    config.registry[TRUST_PROXY] = settings.trust_proxy
    config.set_session_factory(
        SessionFactory(persistence, signer, saver.finish_later, key_prefix, persistence_of, adoption, header)
    )
    add_adoption(config, adoption, settings.adopt)
    add_tweens(config)
    add_csrf_policy(config, settings.login_route, settings.confirm_route)
    add_gates(config, settings.login_route, settings.confirm_route)
    parts = {name: _resolve(config, name, getattr(settings, name)) for name in POLICY_PARTS}
    add_security_directives(config, **parts)
    if settings.security_policy:
        add_security_policy(config)


def _check_store(settings: Settings, store: Any) -> None:
    missing = [name for name in ("load", "create", "update", "delete") if not callable(getattr(store, name, None))]
    if missing:
        raise ConfigurationError(
            f"{PREFIX}store = {settings.store} returned a {type(store).__name__}, which is no store: it has no "
            f"{', '.join(missing)}; see pyramid_sessionkit.ISessionStore"
        )


def _resolve(config: Configurator, name: str, dotted: Any) -> Any:
    """The object that a setting names, or None."""
    if dotted is None:
        return None
    cure = f"; give the dotted name of a function, such as myapp.sessions.{name}"
    if name == "store":
        stores = ", ".join(BUILTIN)
        cure = f"; give one of {stores}, or the dotted name of a function of your own, such as myapp.sessions.store"
        if isinstance(dotted, str) and dotted.isidentifier():
            raise ConfigurationError(f"{PREFIX}store = {dotted}: there is no such store{cure}")
    try:
        found = config.maybe_dotted(dotted)
    except (ImportError, AttributeError, ValueError, IndexError) as error:
        raise ConfigurationError(
            f"{PREFIX}{name} = {dotted} cannot be imported: {_why_not(dotted, error, cure)}"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"{PREFIX}{name} = {dotted} is not callable{cure}")
    check_arguments(PREFIX + name, found)
    return found


def _why_not(dotted: Any, error: Exception, cure: str) -> str:
    """Where a module does not have a function, Python says that the module is no package."""
    module, _, name = str(dotted).rpartition(".")
    if module not in sys.modules or getattr(error, "name", None) != dotted:
        return f"{error}{cure}"
    close = get_close_matches(name, vars(sys.modules[module]), n=1)
    return f"{module} has no {name}" + (f"; did you mean {close[0]}?" if close else cure)
