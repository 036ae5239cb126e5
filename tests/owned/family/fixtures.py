"""A server and a world of each database. ``tests/owned/conftest.py`` has these fixtures for all tests of owned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.owned.family import worlds
from tests.owned.family.worlds import World
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.servers),
    pytest.param("mariadb", marks=pytest.mark.servers),
]


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_world(mariadb_server: MariaDB) -> Iterator[World]:
    world = worlds.mariadb(mariadb_server)
    yield world
    world.close()


@pytest.fixture(scope="session")
def postgresql_world(server: PostgreSQL) -> Iterator[World]:
    world = worlds.postgresql(server)
    yield world
    world.close()


@pytest.fixture(scope="session")
def sqlite_world() -> Iterator[World]:
    world = worlds.sqlite()
    yield world
    world.close()


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    """Of the database that the test is parametrised with."""
    world = request.getfixturevalue(f"{request.param}_world")
    assert isinstance(world, World)
    return world
