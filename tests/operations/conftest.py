from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.operations.databases import MOST_CONNECTIONS, Database, MariaDBDatabase, PostgreSQLDatabase, with_roles
from tests.operations.site import Site
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL


@pytest.fixture(scope="package", autouse=True)
def _threads_take_turns() -> Iterator[None]:
    """More often than by default: a thread that watches must not wait for a dozen that count."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(scope="package")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(tmp_path_factory.mktemp("postgresql"), max_connections=MOST_CONNECTIONS) as server:
        yield with_roles(server)


@pytest.fixture(scope="package")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mariadb"), f"--max-connections={MOST_CONNECTIONS}") as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    server = request.getfixturevalue(request.param)
    database = PostgreSQLDatabase(server) if request.param == "postgresql" else MariaDBDatabase(server)
    yield database
    database.close()
    server.thaw()


@pytest.fixture
def open_site() -> Iterator[Callable[..., Site]]:
    """Makes applications, which are closed after the test."""
    sites: list[Site] = []

    def open_(url: str, **settings: Any) -> Site:
        sites.append(Site(url, **settings))
        return sites[-1]

    yield open_
    for site in sites:
        site.close()
