"""Stores: ``memory``, ``memcached``, ``redis``, ``sql`` and ``cached_sql``. This file finds the one of the settings.

The folder ``redis`` is a store. The other files belong to the store with whose name they begin. Of the rest,
``breaker`` is for ``sql``, ``lifo`` for ``sql`` and ``redis``, ``kept_socket`` for ``memcached``, ``packed`` for
``memcached``, ``redis`` and copies, ``copies`` and ``resting_nodes`` are for ``cached_sql``, and ``home`` is for all
that keep connections.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.settings import Settings

BUILTIN = ("memory", "memcached", "redis", "sql", "cached_sql")


def extra_of(store: str) -> str:
    """The extra that has what a store needs. pip before 23.3 finds no extra that has an underscore in its name."""
    return store.replace("_", "-")


def create_store(settings: Settings, app_settings: dict[str, Any], factory: Any = None) -> Any:
    """The ISessionStore of ``sessionkit.store``; a factory of the application's own is given its settings."""
    if factory is not None:
        return factory(app_settings)
    try:
        module = import_module(f"pyramid_sessionkit.stores.{settings.store}")
    except ImportError as error:
        raise ConfigurationError(
            f"sessionkit.store = {settings.store} needs a package that is not installed ({error.name}): "
            f'pip install "pyramid_sessionkit[{extra_of(settings.store)}]"'
        ) from None
    return module.from_settings(settings)
