from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.scripts.test_psessions import place, run  # noqa: F401
from tests.sealing.site import Site
from tests.servers.mariadb import MariaDB
from tests.servers.memcached import Memcached
from tests.servers.postgresql import PostgreSQL
from tests.stores.conftest import redis

__all__ = ["redis"]


@pytest.fixture(scope="session")
def memcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memcached]:
    with Memcached(tmp_path_factory.mktemp("memcached")) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def make_site(request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A site whose store is ``sql``, ``joined`` or ``cached_sql``."""
    made: list[Site] = []

    def make(kind: str = "sql", **settings: Any) -> Site:
        address = request.getfixturevalue("memcached").address if kind == "cached_sql" else None
        made.append(Site(kind, tmp_path / "sessions.sqlite", address, monkeypatch, settings))
        return made[-1]

    yield make
    for site in made:
        site.close()


Make = Callable[..., Site]
