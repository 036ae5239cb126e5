from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pyramid_sessionkit.persistence import key_of
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores import cached_sql
from pyramid_sessionkit.stores.cached_sql import Cache, CachedSQLStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import (
    KEY,
    OTHER_KEY,
    StoreConformance,
    expired_record,
    make_record,
    new_session,
    open_session,
)
from tests.conftest import SECRET
from tests.servers.memcached import Memcached

pytestmark = pytest.mark.servers


class TestCachedSQLStore(StoreConformance):
    @pytest.fixture
    def store(self, sql_store: SQLStore, memcached: Memcached) -> Iterator[CachedSQLStore]:
        memcached.flush()
        store = CachedSQLStore(sql_store, Cache(Nodes([memcached.address], 1), "sessionkit:", 60))
        yield store
        store.close()

    def unreachable(self) -> CachedSQLStore:
        sql = SQLStore(create_session_engine("sqlite:////no/such/folder/sessions.sqlite"))
        return CachedSQLStore(sql, Cache(Nodes(["127.0.0.1:1"], 1), "sessionkit:", 60))


@pytest.fixture
def store(sql_store: SQLStore, memcached: Memcached) -> Iterator[CachedSQLStore]:
    memcached.flush()
    store = CachedSQLStore(sql_store, Cache(Nodes([memcached.address], 1), "sessionkit:", 60))
    yield store
    store.close()


def beside(store: CachedSQLStore) -> CachedSQLStore:
    """The same store, as another process has it."""
    nodes = Nodes(store.cache.nodes.servers, 1)
    return CachedSQLStore(store.sql, Cache(nodes, "sessionkit:", 60))


def count_sql(store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    load = store.sql.load
    monkeypatch.setattr(store.sql, "load", lambda *args: calls.append("load") or load(*args))
    return calls


def test_reads_are_answered_by_the_cache(store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_sql(store, monkeypatch)
    first = store.create(KEY, make_record())
    assert first
    assert store.load(KEY) == first
    second = store.update(KEY, replace(store.load(KEY), data=b'{"a":2}'))
    assert store.load(KEY) == second
    third = store.update(KEY, replace(second, data=b'{"a":3}'))
    assert store.load(KEY) == third
    assert calls == []
    assert store.load(KEY, True) == third
    assert calls == ["load"]


def test_a_miss_fills_the_cache(store: CachedSQLStore, memcached: Memcached, monkeypatch: pytest.MonkeyPatch) -> None:
    created = store.create(KEY, make_record())
    memcached.flush()
    calls = count_sql(store, monkeypatch)
    assert [store.load(KEY) for _ in range(3)] == [created] * 3
    assert calls == ["load"]


@pytest.mark.parametrize("ending", ["delete", "move"])
def test_an_ending_while_a_slow_reader_holds_the_old_copy(
    store: CachedSQLStore, memcached: Memcached, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    created = store.create(KEY, make_record(userid="ada"))
    memcached.flush()
    reader = beside(store)
    fill = reader.cache.fill

    def end_before_filling(key: str, record: Any) -> bool:
        if ending == "delete":
            store.delete(KEY)
        else:
            store.move(KEY, OTHER_KEY, created)
        return fill(key, record)

    monkeypatch.setattr(reader.cache, "fill", end_before_filling)
    assert reader.load(KEY) is not None  # it had looked before the ending
    monkeypatch.undo()
    assert reader.load(KEY) is None
    assert store.load(KEY) is None
    reader.cache.nodes.close()


def test_a_slow_reader_does_not_bring_back_what_was_changed(
    store: CachedSQLStore, memcached: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = store.create(KEY, make_record())
    memcached.flush()
    reader = beside(store)
    fill = reader.cache.fill

    def change_before_filling(key: str, record: Any) -> bool:
        store.update(KEY, replace(created, data=b'{"a":2}'))
        return fill(key, record)

    monkeypatch.setattr(reader.cache, "fill", change_before_filling)
    reader.load(KEY)
    monkeypatch.undo()
    assert reader.load(KEY).data == store.load(KEY).data == b'{"a":2}'
    reader.cache.nodes.close()


@pytest.mark.parametrize("read_before", [True, False])
def test_two_writers_whose_cache_writes_cross(
    store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch, read_before: bool
) -> None:
    created = store.create(KEY, make_record())
    first = store.load(KEY) if read_before else created
    other = beside(store)
    replace_copy = store.cache.replace

    def be_overtaken(key: str, record: Any, token: bytes | None) -> None:
        other.update(KEY, replace(other.load(KEY, True), data=b'{"a":3}'))
        replace_copy(key, record, token)

    monkeypatch.setattr(store.cache, "replace", be_overtaken)
    store.update(KEY, replace(first, data=b'{"a":2}'))
    monkeypatch.undo()
    assert store.load(KEY).data == other.load(KEY).data == b'{"a":3}'
    # Neither spins on a copy that is behind.
    assert store.update(KEY, store.load(KEY)) is not None
    other.cache.nodes.close()


def test_a_stale_copy_loses_no_write(store: CachedSQLStore) -> None:
    session_id = new_session(store)
    for number in range(3):
        store.sql.update(key_of(session_id), store.sql.load(key_of(session_id)))  # behind the cache's back
        session = open_session(store, session_id)
        session[f"key{number}"] = number
        session.save()
    assert set(open_session(store, session_id)) == {"made", "key0", "key1", "key2"}


def test_a_copy_lives_no_longer_than_its_ttl(sql_store: SQLStore, memcached: Memcached) -> None:
    store = CachedSQLStore(sql_store, Cache(Nodes([memcached.address], 1), "ttl:", 2))
    store.create(KEY, make_record())
    store.sql.delete(KEY)  # as an ending whose invalidation was lost
    assert store.load(KEY) is not None
    time.sleep(3.1)
    assert store.load(KEY) is None
    store.close()


def test_an_expired_copy_is_not_the_last_word(store: CachedSQLStore) -> None:
    created = store.create(KEY, expired_record())
    assert created
    with store.sql.engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET renewed = renewed + 120, expires = expires + 120"))
    assert store.load(KEY) is not None


def test_clearing_reaches_the_copies(store: CachedSQLStore) -> None:
    store.create(KEY, make_record())
    assert store.clear() == 1
    assert store.load(KEY) is None


class TestMemcachedDown:
    @pytest.fixture
    def own(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memcached]:
        server = Memcached(tmp_path_factory.mktemp("own"))
        server.start()
        yield server
        server.stop()

    @pytest.fixture
    def store(self, sql_store: SQLStore, own: Memcached) -> Iterator[CachedSQLStore]:
        store = CachedSQLStore(sql_store, Cache(Nodes([own.address], 1), "sessionkit:", 60))
        yield store
        store.close()

    @pytest.mark.parametrize("fault", ["kill", "freeze"])
    def test_the_database_answers(
        self, store: CachedSQLStore, own: Memcached, fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        created = store.create(KEY, make_record())
        assert store.load(KEY) == created
        getattr(own, fault)()
        started = time.monotonic()
        for number in range(20):
            updated = store.update(KEY, replace(store.load(KEY, number % 2 == 0), data=b"%d" % number))
            assert store.load(KEY) == updated
        assert time.monotonic() - started < 15  # not the time-out of a second for each of sixty calls
        assert caplog.text.count("Sessions are read from the database") == 1
        assert store.delete(KEY)
        assert store.load(KEY) is None
        own.thaw()

    def test_it_is_used_again_once_it_is_back(
        self, store: CachedSQLStore, own: Memcached, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cached_sql, "PAUSE_AFTER_FAILURE", 0.1)
        store.create(KEY, make_record())
        own.kill()
        assert store.load(KEY)
        own.start()
        time.sleep(0.2)
        calls = count_sql(store, monkeypatch)
        assert store.load(KEY)
        assert store.load(KEY)
        assert calls == ["load"]

    def test_an_ending_is_told_even_while_the_node_rests(self, store: CachedSQLStore, own: Memcached) -> None:
        store.create(KEY, make_record())
        other = beside(store)
        own.freeze()
        store.load(OTHER_KEY)  # finds out
        own.thaw()
        store.delete(KEY)
        assert other.load(KEY) is None
        other.cache.nodes.close()


def test_settings(tmp_path: Path, memcached: Memcached) -> None:
    settings = {
        "sessionkit.secret": SECRET,
        "sessionkit.memcached.servers": memcached.address,
        "sessionkit.sql.url": f"sqlite:///{tmp_path}/sessions.sqlite",
        "sessionkit.sql.create_table": "true",
        "sessionkit.cached_sql.ttl": "30s",
    }
    store = cached_sql.from_settings(parse_settings(settings))
    assert store.has_table()
    assert store.create(KEY, make_record())
    assert store.load(KEY)
    store.close()
