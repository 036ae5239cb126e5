"""``config.add_session("basket")``: a second session on requests, with its own cookie, store and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from keyword import iskeyword
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request

from pyramid_sessionkit.factory import SessionFactory
from pyramid_sessionkit.in_use import FACTORIES, factory_of
from pyramid_sessionkit.parts import make_factory
from pyramid_sessionkit.session import SecondSession, Session
from pyramid_sessionkit.settings import PREFIX, Settings, parse_settings, renamed

_LOGS_NOBODY_IN = "request.session is the one that logs in"
REFUSED = {
    "security_policy": _LOGS_NOBODY_IN,
    "identity": _LOGS_NOBODY_IN,
    "principals": _LOGS_NOBODY_IN,
    "credentials_hash": _LOGS_NOBODY_IN,
    "login_route": _LOGS_NOBODY_IN,
    "confirm_route": _LOGS_NOBODY_IN,
    "max_sessions_per_user": _LOGS_NOBODY_IN,
    "adopt": "old sessions go on in request.session",
    "header_name": "request.session alone can be carried in a header",
    "sql.dbsession": "request.session alone can be a part of the application's transaction, and this one is checked "
    "before the commit and saved after it",
}
"""The settings that only the first session has, and why."""

SET_BY_PYRAMID = frozenset(
    {"context", "environ", "registry", "root", "subpath", "traversed", "view_name", "virtual_root", "virtual_root_path"}
)
"""What a request has while it runs: it would take the place of the session, or the session its place."""

INHERITED = ("secret", "seal_key", "trust_proxy")
"""What is as for the first session unless it is set."""


def add_session(config: Configurator, name: str, prefix: str | None = None) -> None:
    """``config.add_session("basket")``: ``request.basket``, a second session whose settings begin with ``basket.``

    ``prefix``: what the settings begin with instead.
    """
    prefix = f"{name}." if prefix is None else prefix
    _check_name(name, prefix)
    with _errors_name(prefix):
        app_settings = _settings_of(config.get_settings(), name, prefix)
        settings = replace(parse_settings(app_settings), begin_with=prefix)

    def register() -> None:
        factories: dict[str, SessionFactory] = config.registry[FACTORIES]
        others = [factory for factory in factories.values() if factory.name != name]
        with _errors_name(prefix):
            for other in others:
                _check_apart(settings, other)
            factory = make_factory(config, settings, app_settings, name, SecondSession)
            for other in others:
                _check_not_same_store(factory, other)
        factories[name] = factory

    def session(request: Any) -> Session:
        return factory_of(request.registry, name)(request)

    config.add_request_method(session, name, reify=True)
    config.action(("pyramid_sessionkit session", name), register)


def _check_name(name: str, prefix: str) -> None:
    has_already = hasattr(Request, name) or name in SET_BY_PYRAMID
    if not name.isidentifier() or iskeyword(name) or name.startswith("_") or has_already:
        raise ConfigurationError(
            f"add_session: {name!r} cannot be the name of a session: give the name of an attribute that requests do "
            "not have yet, such as 'basket'"
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*\.", prefix) or prefix.startswith(PREFIX):
        raise ConfigurationError(
            f"add_session: {prefix!r} cannot be what settings begin with: give a word with a dot at its end, such as "
            f"{name + '.'!r}. {PREFIX!r} is for request.session"
        )


def _settings_of(app_settings: Mapping[str, Any], name: str, prefix: str) -> dict[str, Any]:
    """The application's settings as they would be if this session were the only one."""
    given = {key[len(prefix) :]: value for key, value in app_settings.items() if key.startswith(prefix)}
    for setting, why in REFUSED.items():
        if setting in given:
            raise ConfigurationError(f"{prefix}{setting} cannot be set: {why}")
    others = {key: value for key, value in app_settings.items() if not key.startswith(PREFIX)}
    inherited = {key: app_settings[PREFIX + key] for key in INHERITED if PREFIX + key in app_settings}
    named = {
        "cookie_name": name,
        "sql.table": f"{name}_sessions",
        "memcached.prefix": f"{name}:",
        "redis.prefix": f"{name}:",
    }
    return {**others, **{PREFIX + key: value for key, value in {**inherited, **named, **given}.items()}}


@contextmanager
def _errors_name(prefix: str) -> Iterator[None]:
    """Let errors at start-up name the settings of this session."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(renamed(str(error), prefix)) from error


def _check_apart(settings: Settings, other: SessionFactory) -> None:
    """Two sessions in one place would take each other's records for their own."""
    others = other.persistence.settings
    if settings.cookie.name == others.cookie.name:
        raise ConfigurationError(
            f"{PREFIX}cookie_name = {settings.cookie.name} is the cookie of request.{other.name} too: give each its own"
        )
    for setting, value, _ in _places(settings) & _places(others):
        raise ConfigurationError(
            f"{PREFIX}{setting} = {value} is where request.{other.name} is stored too: give each its own"
        )


def _check_not_same_store(factory: SessionFactory, other: SessionFactory) -> None:
    if _innermost(factory.persistence.store) is _innermost(other.persistence.store):
        raise ConfigurationError(f"{PREFIX}store returned the store of request.{other.name}: give each its own")


def _innermost(store: Any) -> Any:
    while hasattr(store, "wrapped"):
        store = store.wrapped
    return store


def _places(settings: Settings) -> set[tuple[str, str, str]]:
    """Where the sessions are stored: the setting and its value, and the server."""
    places: set[tuple[str, str, str]] = set()
    if settings.store in ("sql", "cached_sql"):
        places.add(("sql.table", settings.sql.table.lower(), settings.sql.url or ""))
    if settings.store in ("memcached", "cached_sql"):
        places |= {("memcached.prefix", settings.memcached.prefix, server) for server in settings.memcached.servers}
    if settings.store == "redis":
        places.add(("redis.prefix", settings.redis.prefix, settings.redis.url))
    return places
