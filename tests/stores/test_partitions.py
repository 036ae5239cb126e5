"""The SQL store on a table of PostgreSQL that is partitioned as the documentation shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import StoreConformance, expired_record, make_record, numbered
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import free_port
from tests.test_docs import named_blocks

pytestmark = pytest.mark.servers

SCHEMA = "partitioned"
KEPT = numbered(1)


@pytest.fixture(scope="module")
def url(postgresql: PostgreSQL) -> Iterator[str]:
    """That of a database where the table was partitioned while it had a session."""
    postgresql.execute(f"CREATE DATABASE {SCHEMA}")
    url = postgresql.url.replace("/postgres?", f"/{SCHEMA}?")
    store = SQLStore(create_session_engine(url))
    store.create_table()
    store.create(KEPT, make_record())
    partition(store)
    yield url
    postgresql.execute(f"DROP DATABASE {SCHEMA} WITH (FORCE)")


def partition(store: SQLStore) -> None:
    raw = store.engine.raw_connection()
    try:
        assert raw.dbapi_connection is not None
        for statement in named_blocks("performance.rst")["partitions"].text.split(";\n"):
            raw.dbapi_connection.execute(statement)
    finally:
        raw.close()
    store.close()
    store.engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[SQLStore]:
    store = SQLStore(create_session_engine(url))
    yield store
    store.clear()
    store.close()


def test_what_was_stored_before_is_still_there(store):
    assert store.load(KEPT) is not None
    assert store.missing_columns() == []


def test_sessions_are_spread_over_the_partitions(store):
    for number in range(64):
        store.create(numbered(number), make_record())
    with store.engine.connect() as connection:
        counts = [
            connection.exec_driver_sql(f"SELECT count(*) FROM sessions_{number}").scalar_one() for number in range(4)
        ]
    assert sum(counts) >= 64
    assert all(counts)


def test_a_purge_reaches_every_partition(store):
    for number in range(64):
        store.create(numbered(number), expired_record())
    live = "c" * 22
    store.create(live, make_record())
    assert store.purge(10) == 10
    assert store.purge() == 54
    assert list(store.all_keys()) == [live]


class TestPartitions(StoreConformance):
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; the statements are the same

    @pytest.fixture(name="store")
    def _store(self, store: SQLStore) -> SQLStore:
        store.clear()
        return store

    def damage(self, store: SQLStore, key: str) -> None:
        with store.engine.connect() as connection:
            connection.exec_driver_sql(f"UPDATE sessions SET authenticated = NULL WHERE session_key = '{key}'")

    def unreachable(self) -> SQLStore:
        return SQLStore(create_session_engine(f"postgresql+psycopg://u@127.0.0.1:{free_port()}/db"))
