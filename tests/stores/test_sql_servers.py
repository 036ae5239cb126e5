"""The SQL store on PostgreSQL and MariaDB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import MetaData

from pyramid_sessionkit import StoreUnavailable
from pyramid_sessionkit.stores.cached_sql import Cache, CachedSQLStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore, sessions_table
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_table import row_values as values
from pyramid_sessionkit.testing.conformance import (
    KEY,
    StoreConformance,
    expired_record,
    in_threads,
    make_record,
    new_session,
    write_key,
)
from tests.servers.mariadb import MariaDB
from tests.servers.memcached import Memcached
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import free_port
from tests.test_user_sessions import ten_logins_at_once

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


@pytest.fixture(params=["postgresql", "mariadb"])
def full(request: pytest.FixtureRequest) -> Iterator[tuple[SQLStore, str]]:
    """A table with so many rows that a database would rather use its indexes."""
    server = request.getfixturevalue(request.param)
    for store in open_store(server.url):
        now = int(time.time())
        rows = [
            {
                "session_key": f"{n:064}",
                **values(make_record(userid=f"user{n % 500}", created=now - n % 100)),
                "version": 1,
            }
            for n in range(5000)
        ]
        with store.engine.connect() as connection:
            connection.execute(sessions_table(MetaData()).insert(), rows)
            connection.exec_driver_sql(
                "ANALYZE sessions" if request.param == "postgresql" else "ANALYZE TABLE sessions"
            )
        yield store, request.param


def plan(store: SQLStore, statement: Any, parameters: dict[str, Any]) -> str:
    with store.engine.connect() as connection:
        result = connection.exec_driver_sql("EXPLAIN " + statement._sql, statement._constants | parameters)
        return str(result.fetchall())


@pytest.mark.parametrize(
    ("name", "parameters", "index"),
    [
        ("_load", {"key": "0" * 64}, {"sessions_pkey", "PRIMARY"}),
        ("_sessions_of", {"owner": "user7", "now": 0}, {"ix_sessions_userid"}),
        ("_purge", {"now": 5, "batch": 100}, {"ix_sessions_expires"}),
    ],
)
def test_indexes_are_used(full: tuple[SQLStore, str], name: str, parameters: dict[str, Any], index: set[str]) -> None:
    store, _ = full
    explained = plan(store, getattr(store, name), parameters)
    assert any(candidate in explained for candidate in index), explained


def test_a_postgresql_that_takes_no_writes_for_the_moment_is_an_outage(postgresql: PostgreSQL) -> None:
    for store in open_store(postgresql.url):
        created = store.create(KEY, make_record())
        standby = SQLStore(create_session_engine(postgresql.url + "&options=-c%20default_transaction_read_only%3Don"))
        assert standby.load(KEY) == created
        with pytest.raises(StoreUnavailable, match="no writes for the moment"):
            standby.update(KEY, created)
        standby.close()


def test_a_mariadb_that_takes_no_writes_for_the_moment_is_an_outage(mariadb: MariaDB) -> None:
    for store in open_store(mariadb.url):
        created = store.create(KEY, make_record())
        mariadb.execute("SET GLOBAL read_only = 1")
        try:
            assert store.load(KEY) == created
            with pytest.raises(StoreUnavailable, match="no writes for the moment"):
                store.update(KEY, created)
        finally:
            mariadb.execute("SET GLOBAL read_only = 0")
        assert store.update(KEY, created)


class TestCachedPostgreSQL(StoreConformance):
    @pytest.fixture
    def store(self, postgresql: PostgreSQL, memcached: Memcached) -> Iterator[CachedSQLStore]:
        memcached.flush()
        for store in open_store(postgresql.url):
            cached = CachedSQLStore(store, Cache(Nodes([memcached.address], 1), "pg:", 60))
            yield cached
            cached.cache.nodes.close()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_limit_of_three_holds_for_ten_logins_at_once(
    kind: str, request: pytest.FixtureRequest, make_persistence: Any
) -> None:
    server = request.getfixturevalue(kind)
    for store in open_store(server.url):
        ten_logins_at_once(make_persistence(store, max_sessions_per_user=3))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_database_without_skip_locked_purges_too(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in open_store(request.getfixturevalue(kind).url):
        assert "SKIP LOCKED" in store._purge._sql
        monkeypatch.setattr(store._purge, "_sql", store._purge._sql.replace("SKIP LOCKED", "SKIP WHAT"))
        for _ in range(2):
            store.create(KEY, expired_record())
            assert store.purge() == 1


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_several_purge_at_once_beside_live_requests(kind: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind)
    for store in open_store(server.url):
        rows = [{"session_key": f"{n:064}", **values(expired_record()), "version": 1} for n in range(5000)]
        with store.engine.connect() as connection:
            connection.execute(sessions_table(MetaData()).insert(), rows)
        live = [new_session(store) for _ in range(4)]
        stop = time.monotonic() + 20

        def work(number: int) -> int:
            if number < 4:
                return store.purge()  # noqa: B023
            written = 0
            while store.count(True) and time.monotonic() < stop:  # noqa: B023
                write_key(store, live[number % 4], written)  # noqa: B023
                written += 1
            return 0

        assert sum(in_threads(work, 8)) == 5000
        assert store.count() == 4


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_clock_of_the_database(kind: str, request: pytest.FixtureRequest) -> None:
    for store in open_store(request.getfixturevalue(kind).url):
        assert abs(store.clock() - time.time()) < 5
