"""What one session of the requests is made of, out of its settings: its store, its cookie, its keys."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.add_session_type import serializer_of
from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.arguments import check_arguments
from pyramid_sessionkit.events import Events
from pyramid_sessionkit.factory import SessionFactory
from pyramid_sessionkit.interfaces import IUserIndex
from pyramid_sessionkit.joined.mode import JoinedMode
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.saver import Saver
from pyramid_sessionkit.sealing import sealed_store
from pyramid_sessionkit.session import SecondSession, Session
from pyramid_sessionkit.session_id.cookie import CookieSigner
from pyramid_sessionkit.session_id.cookieless_headers import CookielessHeaders
from pyramid_sessionkit.session_id.headers import SessionHeaders
from pyramid_sessionkit.session_id.session_header import SessionHeader
from pyramid_sessionkit.session_id.tokens import Tokens
from pyramid_sessionkit.settings import PREFIX, Settings
from pyramid_sessionkit.stores import BUILTIN, create_store
from pyramid_sessionkit.stores.renaming import RenamingStore


def make_factory(
    config: Configurator, settings: Settings, app_settings: dict[str, Any], name: str, base: type[Session]
) -> SessionFactory:
    """The factory of the session with this name. ``base``: what ``session_class`` has to derive from, and defaults to.

    ``app_settings`` are what a store of the application's own is given.
    """
    own_store = None if settings.store in BUILTIN else resolve(config, "store", settings.store)
    store = create_store(settings, app_settings, own_store)
    _check_store(settings, store)
    if settings.begin_with != PREFIX:
        store = RenamingStore(store, settings)
    events = Events(config.registry, name)
    sealed = sealed_store(store, settings, events)
    tokens = Tokens(settings.secret, name)
    persistence = Persistence(sealed, settings, events, tokens, serializer=serializer_of(config))
    adoption = Adoption(persistence)
    signer = CookieSigner(settings.cookie.name, settings.secret)
    header = None if settings.header_name is None else SessionHeader(settings.header_name, settings.secret)
    cookie_options = resolve(config, "cookie_options", settings.cookie_options)
    headers = SessionHeaders(settings, signer, cookie_options, adoption)
    saver = Saver(settings, headers, None if header is None else CookielessHeaders(settings, header, cookie_options))
    return SessionFactory(
        name,
        persistence,
        saver,
        signer,
        adoption,
        _session_class(config, settings.session_class, base),
        resolve(config, "key_prefix", settings.key_prefix),
        JoinedMode(persistence, settings.sql.dbsession, app_settings) if settings.sql.dbsession else None,
        header,
    )


def _check_store(settings: Settings, store: Any) -> None:
    missing = [name for name in ("load", "create", "update", "delete") if not callable(getattr(store, name, None))]
    if missing:
        raise ConfigurationError(
            f"{PREFIX}store = {settings.store} returned a {type(store).__name__}, which is no store: it has no "
            f"{', '.join(missing)}; see pyramid_sessionkit.ISessionStore"
        )
    if settings.max_sessions_per_user is not None and not IUserIndex.providedBy(store):
        raise ConfigurationError(
            f"{PREFIX}max_sessions_per_user needs a store that can list a user's sessions: "
            "memory, redis, sql or cached_sql"
        )


def _session_class(config: Configurator, dotted: Any, base: type[Session]) -> type[Session]:
    if dotted is None:
        return base
    found: Any = _imported(config, "session_class", dotted)
    named, wanted = f"{PREFIX}session_class = {dotted}", f"pyramid_sessionkit.{base.__name__}"
    if not isinstance(found, type) or not issubclass(found, base):
        raise ConfigurationError(f"{named} is not a subclass of {wanted}: derive it from that")
    if issubclass(found, SecondSession) and base is not SecondSession:
        raise ConfigurationError(
            f"{named} is a subclass of pyramid_sessionkit.SecondSession, with which nobody can log in: derive it from "
            f"{wanted}"
        )
    check_arguments(f"{PREFIX}session_class", found)
    return found


def resolve(config: Configurator, name: str, dotted: Any) -> Any:
    """The function that a setting names, or None."""
    if dotted is None:
        return None
    found = _imported(config, name, dotted)
    check_arguments(PREFIX + name, found)
    return found


def _imported(config: Configurator, name: str, dotted: Any) -> Any:
    cure = f"; give the dotted name of a function, such as myapp.sessions.{name}"
    if name == "session_class":
        cure = "; give the dotted name of a class, such as myapp.sessions.MySession"
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
    return found


def _why_not(dotted: Any, error: Exception, cure: str) -> str:
    """Where a module does not have a function, Python says that the module is no package."""
    module, _, name = str(dotted).rpartition(".")
    if module not in sys.modules or getattr(error, "name", None) != dotted:
        return f"{error}{cure}"
    close = get_close_matches(name, vars(sys.modules[module]), n=1)
    return f"{module} has no {name}" + (f"; did you mean {close[0]}?" if close else cure)
