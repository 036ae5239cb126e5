"""The SQL store on PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import StoreConformance
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import free_port

pytestmark = pytest.mark.servers


def open_store(url: str) -> Iterator[SQLStore]:
    store = SQLStore(create_session_engine(url))
    store.create_table()
    store.clear()
    yield store
    store.close()


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def store(self, postgresql: PostgreSQL) -> Iterator[SQLStore]:
        yield from open_store(postgresql.url)

    def unreachable(self) -> SQLStore:
        return SQLStore(create_session_engine(f"postgresql+psycopg://u@127.0.0.1:{free_port()}/db"))


class TestMariaDB(StoreConformance):
    @pytest.fixture
    def store(self, mariadb: MariaDB) -> Iterator[SQLStore]:
        yield from open_store(mariadb.url)

    def unreachable(self) -> SQLStore:
        return SQLStore(create_session_engine(f"mariadb+pymysql://u@127.0.0.1:{free_port()}/db"))
