from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.cached_sql import from_settings as cached_sql
from pyramid_sessionkit.stores.memcached import from_settings as memcached_store
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.redis import from_settings as redis_store
from pyramid_sessionkit.stores.sql import from_settings as sql
from tests.conftest import SECRET
from tests.stores.conftest import memcached, postgresql, redis

__all__ = ["memcached", "postgresql", "redis"]

SERVERS = {
    "memcached": ("memcached",),
    "postgresql": ("postgresql",),
    "mariadb": ("mariadb",),
    "cached_sql": ("memcached",),
    "redis": ("redis",),
}

STORES = [
    "memory",
    "sqlite",
    *(pytest.param(name, marks=pytest.mark.servers) for name in ("postgresql", "memcached", "cached_sql", "redis")),
]

LISTING = [name for name in STORES if "memcached" not in str(name)]


@pytest.fixture
def store(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty store of this kind."""
    servers = {name: request.getfixturevalue(name) for name in SERVERS.get(kind, ())}
    made = make_store(kind, tmp_path, servers)
    yield made
    getattr(made, "clear", lambda: None)()
    getattr(made, "close", lambda: None)()


def make_store(kind: str, folder: Path, servers: dict[str, Any]) -> Any:
    """A store of this kind, with these servers."""
    if kind == "memory":
        return MemoryStore()
    settings = {"sessionkit.secret": SECRET, "sessionkit.sql.create_table": "true"}
    settings["sessionkit.sql.url"] = (
        servers[kind].url if kind in ("postgresql", "mariadb") else f"sqlite:///{folder}/s.sqlite"
    )
    if "memcached" in servers:
        settings["sessionkit.memcached.servers"] = servers["memcached"].address
    if "redis" in servers:
        settings["sessionkit.redis.url"] = servers["redis"].url
    made: dict[str, Callable[[Any], Any]] = {
        "memcached": memcached_store,
        "cached_sql": cached_sql,
        "redis": redis_store,
    }
    make = made.get(kind, sql)
    return make(parse_settings(settings))
