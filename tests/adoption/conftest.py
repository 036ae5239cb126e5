from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.adoption.old_pyramid import LOCAL, ON_SERVERS
from tests.adoption.old_site import made
from tests.servers.memcached import Memcached
from tests.servers.redis import Redis

SETTINGS: dict[str, dict[str, Any]] = {
    "memory": {},
    "sqlite": {"store": "sql", "sql.url": "sqlite:///{folder}/s.sqlite", "sql.create_table": "true"},
}


@pytest.fixture(params=SETTINGS)
def settings(request: pytest.FixtureRequest, tmp_path: Any) -> dict[str, Any]:
    return {name: value.format(folder=tmp_path) for name, value in SETTINGS[request.param].items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Starts a server once for a module."""
    started: dict[str, Any] = {}
    with ExitStack() as stack:

        def start(name: str) -> Any:
            if name not in started:
                kind = {"redis": Redis, "memcached": Memcached}[name]
                started[name] = stack.enter_context(kind(tmp_path_factory.mktemp(name)))
            return started[name]

        yield start


@pytest.fixture(
    params=[*LOCAL, *(pytest.param(kind, marks=pytest.mark.servers) for kind in ON_SERVERS)],
    ids=lambda kind: kind.__name__,
)
def library(request: pytest.FixtureRequest, tmp_path: Any, server: Callable[[str], Any]) -> Any:
    """Each old library, and each way that it stores."""
    return request.param(tmp_path / "old", server)


@pytest.fixture(autouse=True)
def close_sites() -> Iterator[None]:
    yield
    while made:
        getattr(made.pop().store, "close", lambda: None)()
