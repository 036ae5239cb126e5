from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.races.conftest import SERVERS, make_store
from tests.stores.conftest import mariadb, memcached, postgresql, redis

__all__ = ["mariadb", "memcached", "postgresql", "redis"]


@pytest.fixture(params=["memory", "sqlite", *(pytest.param(name, marks=pytest.mark.servers) for name in SERVERS)])
def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty store of each kind."""
    servers = {name: request.getfixturevalue(name) for name in SERVERS.get(request.param, ())}
    store = make_store(request.param, tmp_path, servers)
    yield store
    getattr(store, "clear", lambda: None)()
    getattr(store, "close", lambda: None)()
