"""The SQL store on PostgreSQL and MariaDB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import MetaData

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores import sql
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.copies import Cache
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore, from_settings, sessions_table
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_table import row_values as values
from pyramid_sessionkit.testing.conformance import (
    KEY,
    OTHER_KEY,
    StoreConformance,
    expired_record,
    in_threads,
    make_record,
    new_session,
    numbered,
    write_key,
)
from tests.conftest import SECRET
from tests.servers.mariadb import MariaDB
from tests.servers.memcached import Memcached
from tests.servers.postgresql import PostgreSQL
from tests.stores.emptying import make_empty
from tests.test_user_sessions import ten_logins_at_once

pytestmark = pytest.mark.servers

THIRD_KEY = "c" * 22


def open_store(url: str) -> Iterator[SQLStore]:
    # Longer than the default: these tests may share a processor with others, and none of them is about time-outs.
    store = SQLStore(create_session_engine(url, 20))
    make_empty(store)
    yield store
    store.close()


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def store(self, postgresql: PostgreSQL) -> Iterator[SQLStore]:
        self.server = postgresql
        yield from open_store(postgresql.url)

    def at(self, host: str, port: int) -> SQLStore:
        return SQLStore(
            create_session_engine(self.server.url.replace(f"127.0.0.1:{self.server.port}", f"{host}:{port}"), 1)
        )

    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.port

    def damage(self, store: SQLStore, key: str) -> None:
        execute(store, f"UPDATE sessions SET authenticated = NULL WHERE session_key = '{key}'")


class TestMariaDB(StoreConformance):
    @pytest.fixture
    def store(self, mariadb: MariaDB) -> Iterator[SQLStore]:
        self.server = mariadb
        yield from open_store(mariadb.url)

    def at(self, host: str, port: int) -> SQLStore:
        return SQLStore(
            create_session_engine(self.server.url.replace(f"127.0.0.1:{self.server.port}", f"{host}:{port}"), 1)
        )

    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.port

    def damage(self, store: SQLStore, key: str) -> None:
        execute(store, f"UPDATE sessions SET persistent = 5 WHERE session_key = '{key}'")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_table_of_yesterday_is_named(kind: str, request: pytest.FixtureRequest) -> None:
    for store in open_store(request.getfixturevalue(kind).url):
        created = store.create(KEY, make_record())
        execute(store, "ALTER TABLE sessions DROP COLUMN salt, DROP COLUMN verifier")
        for operation in (lambda: store.load(KEY), lambda: store.update(KEY, created), store.create_table):  # noqa: B023
            with pytest.raises(StoreError, match=r"older version.*DROP TABLE sessions"):
                operation()
        assert store.missing_columns() == ["verifier", "salt"]
        execute(store, "DROP TABLE sessions")
        store.create_table()
        assert store.missing_columns() == []
        smaller = "MODIFY version INTEGER" if kind == "mariadb" else "ALTER COLUMN version TYPE INTEGER"
        execute(store, f"ALTER TABLE sessions {smaller}")
        assert store.missing_columns() == ["version"]
        execute(store, "DROP TABLE sessions")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_times_that_cannot_be_break_no_list(kind: str, request: pytest.FixtureRequest) -> None:
    for store in open_store(request.getfixturevalue(kind).url):
        for key, extreme in ((KEY, None), (OTHER_KEY, 2**63 - 1), (THIRD_KEY, -(2**63))):
            store.create(key, make_record(userid="ada", deadline=None))
            if extreme is not None:
                execute(
                    store, f"UPDATE sessions SET renewed = {extreme}, timeout = {extreme} WHERE session_key = '{key}'"
                )
        for listed in (store.live_sessions(9), store.sessions_of("ada")):
            assert KEY in [key for key, _ in listed]
            assert THIRD_KEY not in [key for key, _ in listed]
        assert store.count() == 2
        assert KEY in store.find_keys("", 9)
        assert store.purge() in (0, 1)


def test_postgresql_updates_in_place(postgresql: PostgreSQL) -> None:
    for store in open_store(postgresql.url):
        execute(store, "DROP TABLE sessions")  # with what was counted of it
        store.create_table()
        assert "fillfactor=80" in str(execute(store, "SELECT reloptions FROM pg_class WHERE relname = 'sessions'"))
        now = int(time.time()) // 1000 * 1000 + 10
        record = store.create(KEY, make_record(userid="ada", renewed=now, timeout=8000))
        assert record
        for number in range(20):
            record = store.update(KEY, record._replace(data=b"%d" % number, renewed=now + number))
            assert record
        assert counted_updates(store) == (20, 20)
        execute(store, "DROP TABLE sessions")


@pytest.fixture(scope="module")
def quiet_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """Of its own: where anybody has a transaction open, no room becomes free in a page."""
    with PostgreSQL(tmp_path_factory.mktemp("quiet")) as server:
        yield server


@pytest.mark.parametrize(("minutes", "apart"), [(20, 60), (5, 0)])
def test_most_writes_of_many_visitors_stay_in_place(
    quiet_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch, minutes: int, apart: int
) -> None:
    now = int(time.time()) // 600 * 600 + 30
    for store in open_store(quiet_postgresql.url):
        execute(store, "DROP TABLE sessions")  # with what was counted of it
        store.create_table()
        records = {numbered(n): make_record(b"x" * 300, userid=f"{n}", renewed=now) for n in range(200)}
        created = {key: store.create(key, record) for key, record in records.items()}
        for minute in range(1, minutes + 1):
            monkeypatch.setattr(sql, "time", lambda at=now + apart * minute: at)
            for key, record in created.items():
                assert record
                created[key] = store.update_contents(key, record.renewed_with(record.data, now + apart * minute))
        updated, in_place = counted_updates(store)
        assert updated == 200 * minutes
        assert in_place / updated > (0.8 if apart else 0.99)
        execute(store, "DROP TABLE sessions")


def counted_updates(store: SQLStore) -> tuple[int, int]:
    """How many updates there were, and how many of them in place."""
    kept = store._connections.take(time.monotonic())
    kept.raw.execute("SELECT pg_stat_force_next_flush()")  # each connection counts for itself
    store._connections.give_back(kept)
    [counts] = execute(store, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'")
    return counts[0], counts[1]


def execute(store: SQLStore, statement: str) -> Any:
    with store.engine.connect() as connection:
        result = connection.exec_driver_sql(statement)
        return result.fetchall() if result.returns_rows else None


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_start_up_leaves_nothing_open(kind: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind)
    store = from_settings(
        parse_settings(
            {"sessionkit.secret": SECRET, "sessionkit.sql.url": server.url, "sessionkit.sql.create_table": "true"}
        )
    )
    assert not store._connections._idle
    store.close()


def plan(store: SQLStore, statement: Any, parameters: dict[str, Any]) -> str:
    with store.engine.connect() as connection:
        result = connection.exec_driver_sql("EXPLAIN " + statement._sql, statement._constants | parameters)
        return str(result.fetchall())


@pytest.fixture(scope="class", params=["postgresql", "mariadb"])
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


class TestPlans:
    @pytest.mark.parametrize(
        ("name", "parameters", "index"),
        [
            ("_load", {"key": "0" * 64}, {"sessions_pkey", "PRIMARY"}),
            ("_sessions_of", {"owner": "user7", "now": 0}, {"ix_sessions_userid"}),
            ("_find_keys", {"first": "x", "last": "x{", "now": 0, "batch": 2}, {"sessions_pkey", "PRIMARY"}),
            ("_keys_after", {"key": "x", "batch": 2}, {"sessions_pkey", "PRIMARY"}),
            ("_purge", {"before": 5, "batch": 100}, {"ix_sessions_expires"}),
            ("_live_until", {"now": 5, "batch": 100, "skipped": 0}, {"ix_sessions_expires"}),
            ("_live_for_ever", {"now": 5, "batch": 100, "skipped": 0}, {"ix_sessions_expires"}),
        ],
    )
    def test_indexes_are_used(
        self, full: tuple[SQLStore, str], name: str, parameters: dict[str, Any], index: set[str]
    ) -> None:
        store, _ = full
        explained = plan(store, getattr(store, name), parameters)
        assert any(candidate in explained for candidate in index), explained

    def test_a_purge_does_not_look_through_the_whole_table(self, full: tuple[SQLStore, str]) -> None:
        store, kind = full
        for statement in (store._purge, store._purge_waiting):
            explained = plan(store, statement, {"before": 5, "batch": 100})
            assert "'sessions', 'ALL'" not in explained, explained
            if kind == "postgresql" and statement is store._purge:
                assert "Seq Scan" not in explained


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
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; with SQLite it has shown that

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


def test_purge_keeps_its_limit_whatever_the_plan(postgresql: PostgreSQL) -> None:
    """A planner that runs the subquery for each row must not make it purge more."""
    off = ("hashjoin", "mergejoin", "material", "hashagg", "sort", "memoize")
    options = "%20".join(f"-c%20enable_{name}%3Doff" for name in off)
    made = SQLStore(create_session_engine(postgresql.url), "purged")
    made.create_table()  # with its usual plans: reading the catalog without them takes seconds
    made.close()
    store = SQLStore(create_session_engine(f"{postgresql.url}&options={options}"), "purged")
    try:
        for number in range(20):
            store.create(f"{number:022}", expired_record())
        assert store.purge(2) == 2
        assert store.count(expired=True) == 18
    finally:
        store.clear()
        store.close()
