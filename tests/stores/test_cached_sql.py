from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import UNREADABLE
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores import cached_sql, copies, resting_nodes
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.copies import Cache
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

    def damage(self, store: CachedSQLStore, key: str) -> None:
        store.cache.settle(key)
        with store.sql.engine.connect() as connection:
            connection.exec_driver_sql("UPDATE sessions SET data = 'text' WHERE session_key = ?", (key,))

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

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append("load")
        return load(*args, **kwargs)

    monkeypatch.setattr(store.sql, "load", counted)
    return calls


def test_reads_are_answered_by_the_cache(store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_sql(store, monkeypatch)
    first = store.create(KEY, make_record())
    assert first
    assert store.load(KEY) == first
    second = store.update(KEY, store.load(KEY)._replace(data=b'{"a":2}'))
    assert store.load(KEY) == second
    third = store.update(KEY, second._replace(data=b'{"a":3}'))
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


def end(store: CachedSQLStore, how: str) -> None:
    record = store.load(KEY, True)
    assert record
    if how == "delete":
        assert store.delete(KEY)
    elif how == "delete this version":
        assert store.delete(KEY, record)
    else:
        assert store.update(KEY, record._replace(verifier="e" * 64))


def found(store: CachedSQLStore) -> Any:
    """What opens the session that is stored."""
    record = store.load(KEY)
    return record and record.verifier


@pytest.mark.parametrize("forgets", ["no", "restart", "marks expire"])
@pytest.mark.parametrize("ending", ["delete", "delete this version", "new secret"])
def test_an_ending_while_a_slow_reader_holds_the_old_copy(
    store: CachedSQLStore, memcached: Memcached, monkeypatch: pytest.MonkeyPatch, ending: str, forgets: str
) -> None:
    store.create(KEY, make_record(userid="ada"))
    memcached.flush()
    reader = beside(store)
    fill = reader.cache.fill

    def end_before_filling(*args: Any) -> None:
        end(store, ending)
        if forgets == "restart":
            memcached.flush()
        elif forgets == "marks expire":
            store.cache.nodes.call(KEY, lambda client: client.delete("sessionkit:" + KEY), again=True)
        fill(*args)

    monkeypatch.setattr(reader.cache, "fill", end_before_filling)
    assert found(reader) == "f" * 64  # it had looked before the ending
    monkeypatch.undo()
    after = "e" * 64 if ending == "new secret" else None
    assert found(reader) == after
    assert found(store) == after
    reader.cache.nodes.close()


@pytest.mark.parametrize("ending", ["delete", "delete this version", "new secret"])
def test_nobody_reads_the_old_copy_once_the_database_knows(
    store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    store.create(KEY, make_record())
    reader = beside(store)

    class Died(BaseException):
        """As if the process were killed."""

    def die(*_: Any) -> None:
        raise Died

    monkeypatch.setattr(store.cache, "settle", die)
    monkeypatch.setattr(store.cache, "end", die)
    with pytest.raises(Died):
        end(store, ending)
    after = "e" * 64 if ending == "new secret" else None
    assert [found(reader) for _ in range(3)] == [after] * 3
    reader.cache.nodes.close()


def test_an_ending_is_not_shortened_by_an_update_that_comes_late(store: CachedSQLStore, memcached: Memcached) -> None:
    created = store.create(KEY, make_record())
    assert created
    store.delete(KEY)
    name = "sessionkit:" + KEY
    assert store.update(KEY, created._replace(verifier="e" * 64)) is None
    assert store.delete(KEY, created) is False
    assert store.update(KEY, created) is None
    assert store.cache.nodes.call(KEY, lambda client: client.get(name), again=True) == copies.ENDED


def test_an_ended_session_is_not_cached_again_for_an_hour(store: CachedSQLStore) -> None:
    assert store.create(KEY, make_record())
    store.delete(KEY)
    again = store.create(KEY, make_record(verifier="e" * 64))
    assert store.load(KEY) == again
    updated = store.update(KEY, again._replace(verifier="d" * 64))
    assert store.load(KEY) == updated == store.load(KEY, True)


def test_who_was_refused_does_not_end_the_session(store: CachedSQLStore) -> None:
    first = store.create(KEY, make_record())
    assert first
    second = store.update(KEY, first)
    assert store.delete(KEY, first) is False
    assert store.update(KEY, first._replace(verifier="e" * 64)) is None
    assert store.load(KEY) == second


def test_a_slow_reader_does_not_bring_back_what_was_changed(
    store: CachedSQLStore, memcached: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = store.create(KEY, make_record())
    memcached.flush()
    reader = beside(store)
    fill = reader.cache.fill

    def change_before_filling(*args: Any) -> None:
        store.update(KEY, created._replace(data=b'{"a":2}'))
        fill(*args)

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
    settle = store.cache.settle

    def be_overtaken(*args: Any) -> None:
        other.update(KEY, other.load(KEY, True)._replace(data=b'{"a":3}'))
        settle(*args)

    monkeypatch.setattr(store.cache, "settle", be_overtaken)
    store.update(KEY, first._replace(data=b'{"a":2}'))
    monkeypatch.undo()
    assert store.load(KEY).data == other.load(KEY).data == b'{"a":3}'
    # Neither spins on a copy that is behind.
    assert store.update(KEY, store.load(KEY)) is not None
    other.cache.nodes.close()


def test_a_stale_copy_loses_no_write(store: CachedSQLStore) -> None:
    key = new_session(store)
    for number in range(3):
        store.sql.update(key, store.sql.load(key))  # behind the cache's back
        session = open_session(store, key)
        session[f"key{number}"] = number
        session.save()
    assert set(open_session(store, key)) == {"made", "key0", "key1", "key2"}


def test_a_copy_that_is_behind_goes_with_the_first_write(store: CachedSQLStore) -> None:
    store.create(KEY, make_record())
    copy = store.load(KEY)
    store.sql.delete(KEY)  # as a process that died before it could tell
    assert store.load(KEY) == copy
    assert store.update(KEY, copy) is None
    assert store.load(KEY) is None


def test_a_copy_lives_no_longer_than_its_ttl(sql_store: SQLStore, memcached: Memcached) -> None:
    store = CachedSQLStore(sql_store, Cache(Nodes([memcached.address], 1), "ttl:", 2))
    store.create(KEY, make_record())
    store.sql.delete(KEY)  # as an ending whose invalidation was lost
    assert store.load(KEY) is not None
    time.sleep(3.1)
    assert store.load(KEY) is None
    store.close()


def test_nor_if_the_servers_clock_stands_still(store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    created = store.create(KEY, make_record())
    calls = count_sql(store, monkeypatch)
    now = time.time()
    for module in (copies, cached_sql):
        monkeypatch.setattr(module, "time", lambda: now + 61)
    assert store.load(KEY) == created
    assert store.load(KEY) == created
    assert calls == ["load"]


def test_an_expired_copy_is_not_the_last_word(store: CachedSQLStore) -> None:
    created = store.create(KEY, expired_record(ago=30))
    assert created
    assert store.load(KEY) is None
    renewed = store.sql.update(KEY, created._replace(renewed=int(time.time()), version=created.version.word))
    assert renewed
    assert store.load(KEY).renewed == renewed.renewed


@pytest.mark.parametrize("cached", [True, False])
def test_a_copy_is_judged_at_the_time_that_is_asked_for(
    store: CachedSQLStore, memcached: Memcached, cached: bool
) -> None:
    now = time.time()
    created = store.create(KEY, make_record(timeout=100))
    if not cached:
        memcached.flush()
    assert store.load(KEY, at=now) == created
    assert store.load(KEY, at=now + 101) is None
    assert store.load(KEY, False, now + 101) is None
    gone = store.create(OTHER_KEY, expired_record(ago=10))
    assert store.load(OTHER_KEY) is None
    assert store.load(OTHER_KEY, at=now - 20) == gone


def truncated(copy: bytes) -> bytes:
    return copy[:-1]


def changed(copy: bytes) -> bytes:
    return copy.replace(b'{"a":1}', b'{"a":2}')


def of_another_format(copy: bytes) -> bytes:
    return copy[16:]


def a_mark_of_nobody(copy: bytes) -> bytes:
    return b"change"


def nothing(copy: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("garble", [truncated, changed, of_another_format, a_mark_of_nobody, nothing])
def test_a_garbled_copy_is_a_miss(
    store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch, garble: Callable[[bytes], bytes]
) -> None:
    created = store.create(KEY, make_record())
    name = "sessionkit:" + KEY
    copy = store.cache.nodes.call(KEY, lambda client: client.get(name), again=True)
    store.cache.nodes.call(KEY, lambda client: client.set(name, garble(copy), 0), again=True)
    calls = count_sql(store, monkeypatch)
    assert [store.load(KEY) for _ in range(3)] == [created] * 3
    assert calls == ["load"]


def test_a_damaged_row_is_not_cached(store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(KEY, make_record())
    TestCachedSQLStore().damage(store, KEY)
    calls = count_sql(store, monkeypatch)
    assert [store.load(KEY).data for _ in range(2)] == [UNREADABLE] * 2
    assert calls == ["load"] * 2


def test_a_session_too_large_for_memcached_is_read_from_the_database(store: CachedSQLStore) -> None:
    small = store.create(KEY, make_record())
    assert small
    large = store.update(KEY, small._replace(data=b"x" * 2_000_000))
    assert store.load(KEY) == large
    assert store.load(KEY) == large
    assert store.create(OTHER_KEY, make_record(b"x" * 2_000_000)) == store.load(OTHER_KEY)
    again = store.update(KEY, large._replace(data=b"{}"))
    assert store.load(KEY) == again


@pytest.mark.parametrize("operation", ["update", "delete", "delete this version"])
@pytest.mark.parametrize("made", [True, False])
def test_an_error_of_the_database_leaves_no_copy(
    store: CachedSQLStore, monkeypatch: pytest.MonkeyPatch, operation: str, made: bool
) -> None:
    created = store.create(KEY, make_record())
    assert created
    name = operation.partition(" ")[0]
    method = getattr(store.sql, name)

    def fail(*args: Any) -> None:
        if made:
            method(*args)
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(store.sql, name, fail)
    args = {"update": (created._replace(data=b"{}"),), "delete": (), "delete this version": (created,)}[operation]
    with pytest.raises(StoreUnavailable):
        getattr(store, name)(KEY, *args)
    monkeypatch.undo()
    assert store.load(KEY) == store.load(KEY, True)
    # Even if the database carries it out after the error.
    if not made:
        store.sql.delete(KEY)
        assert store.load(KEY) is None


def test_what_a_list_returns_can_be_ended(store: CachedSQLStore) -> None:
    store.create(KEY, make_record(userid="ada"))
    store.create(OTHER_KEY, make_record(userid="ada"))
    ((key, record),) = [one for one in store.sessions_of("ada") if one[0] == KEY]
    assert record == store.load(KEY)
    assert store.delete(key, record)
    ((key, record),) = store.live_sessions(9)
    assert key == OTHER_KEY
    assert record == store.load(OTHER_KEY).without_contents()  # type: ignore[union-attr]


def test_clearing_reaches_the_copies(store: CachedSQLStore) -> None:
    store.create(KEY, make_record())
    store.create(OTHER_KEY, make_record())
    assert store.load(KEY)
    assert store.clear() == 2
    assert store.load(KEY) is None
    assert store.load(OTHER_KEY) is None


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
            updated = store.update(KEY, store.load(KEY, number % 2 == 0)._replace(data=b"%d" % number))
            assert store.load(KEY) == updated
        assert time.monotonic() - started < 15  # not the time-out of a second for each of sixty calls
        assert caplog.text.count("Sessions are read from the database") == 1
        assert store.delete(KEY)
        assert store.load(KEY) is None
        own.thaw()

    def test_it_is_used_again_once_it_is_back(
        self, store: CachedSQLStore, own: Memcached, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resting_nodes, "PAUSE_AFTER_FAILURE", 0.1)
        store.create(KEY, make_record())
        own.kill()
        assert store.load(KEY)
        own.start()
        time.sleep(0.2)
        calls = count_sql(store, monkeypatch)
        assert store.load(KEY)
        assert store.load(KEY)
        assert calls == ["load"]

    @pytest.mark.parametrize("write", ["update", "delete", "new secret"])
    def test_a_write_of_meanwhile_is_seen_soon_though_the_writer_idles(
        self, store: CachedSQLStore, own: Memcached, write: str
    ) -> None:
        created = store.create(KEY, make_record())
        assert created
        other = beside(store)
        assert other.load(KEY) == created
        own.freeze()
        if write == "update":
            store.update(KEY, created._replace(data=b"{}"))
        else:
            end(store, write)
        own.thaw()
        thawed = time.monotonic()
        while other.load(KEY) == created:
            assert time.monotonic() - thawed < 10
            time.sleep(0.05)
        assert other.load(KEY) == other.load(KEY, True)
        other.cache.nodes.close()

    def test_a_command_that_a_frozen_server_carries_out_late_does_no_harm(
        self, store: CachedSQLStore, own: Memcached
    ) -> None:
        created = store.create(KEY, make_record())
        assert created
        other, third = beside(store), beside(store)
        own.freeze()
        second = store.update(KEY, created._replace(data=b'{"a":2}'))
        last = other.update(KEY, second._replace(data=b'{"a":3}'))
        own.thaw()
        end = time.monotonic() + 10
        while third.load(KEY) != last:
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(1)
        assert third.load(KEY) == last
        for store_ in (other, third):
            store_.cache.nodes.close()

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
