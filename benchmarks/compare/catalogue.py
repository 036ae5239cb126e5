"""What is compared. Nothing is imported here: a library that is not installed costs its own rows and no others."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

WSGIApplication = Any
OURS, FLOOR, BARE = "pyramid_sessionkit", "twenty lines", "bare view"
SQL = ("sqlite", "postgresql", "mariadb")


class App(NamedTuple):
    """An application to measure: the same five views, with the sessions of one library on one store."""

    library: str
    store: str
    """As the tables name it; empty for a bare view."""
    framework: str
    maker: str
    """``module:function``, called with the addresses of the servers and the store."""
    needs: tuple[str, ...] = ()
    """The servers that have to run."""
    packages: tuple[str, ...] = ()
    """What its versions are told of."""

    @property
    def name(self) -> str:
        return f"{self.library}, {self.store}" if self.store else f"{self.library}, {self.framework}"

    @property
    def bare(self) -> bool:
        return self.library == BARE

    def make(self, addresses: dict[str, str]) -> WSGIApplication:
        module, _, function = self.maker.partition(":")
        return getattr(import_module(f"benchmarks.compare.{module}"), function)(addresses, self.store)


def _needs(store: str) -> tuple[str, ...]:
    """The servers of one of our stores."""
    if store == "cached_sql":
        return ("postgresql", "memcached")
    return () if store in ("memory", "sqlite") else (store,)


CATALOGUE = (
    App(BARE, "", "Pyramid", "pyramid_apps:bare", packages=("pyramid",)),
    App(BARE, "", "Django", "django_apps:bare", packages=("Django",)),
    App(BARE, "", "Flask", "flask_apps:bare", packages=("Flask",)),
    *(
        App(OURS, store, "Pyramid", "pyramid_apps:ours", _needs(store))
        for store in ("memory", "memcached", *SQL, "cached_sql")
    ),
    *(
        App(FLOOR, store, "Pyramid", "pyramid_apps:floor", _needs(store))
        for store in ("memory", "memcached", *SQL, "redis")
    ),
    App("SignedCookieSessionFactory", "cookie", "Pyramid", "pyramid_apps:signed_cookie"),
    App(
        "pyramid_session_redis",
        "redis",
        "Pyramid",
        "pyramid_apps:session_redis",
        ("redis",),
        ("pyramid_session_redis", "redis"),
    ),
    App("pyramid_beaker", "redis", "Pyramid", "pyramid_apps:beaker", ("redis",), ("pyramid_beaker", "Beaker")),
    App("Django db", "postgresql", "Django", "django_apps:sessions", ("postgresql",), ("Django", "psycopg")),
    App(
        "Django cached_db",
        "cached_sql",
        "Django",
        "django_apps:sessions",
        ("postgresql", "memcached"),
        ("Django", "psycopg", "pymemcache"),
    ),
    App("Flask-Session", "redis", "Flask", "flask_apps:sessions", ("redis",), ("Flask-Session", "redis")),
    App(
        "Flask-Session",
        "postgresql",
        "Flask",
        "flask_apps:sessions",
        ("postgresql",),
        ("Flask-Session", "Flask-SQLAlchemy", "psycopg"),
    ),
)


def chosen(only: Iterable[str] | None, there: Iterable[str]) -> list[App]:
    """Those on the stores named (``sql`` is all databases), as far as their servers are there."""
    apps = [app for app in CATALOGUE if set(app.needs) <= set(there)]
    if only is None:
        return apps
    stores = {store for name in only for store in (SQL if name == "sql" else (name,))}
    found = [app for app in apps if app.store in stores]
    # The floor of memory is the measure of what does not touch its session.
    measure = [app for app in apps if (app.library, app.store) == (FLOOR, "memory") and app not in found]
    frameworks = {app.framework for app in (*found, *measure)}
    return [*(app for app in apps if app.bare and app.framework in frameworks), *measure, *found]


def find(library: str, store: str, framework: str) -> App:
    return next(app for app in CATALOGUE if app[:3] == (library, store, framework))
