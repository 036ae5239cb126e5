"""What every store promises holds for a sealed one, and what the store behind it has is sealed."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import update
from zope.interface import providedBy

from pyramid_sessionkit.events import Events
from pyramid_sessionkit.interfaces import (
    UNREADABLE,
    IContentsUpdate,
    IJoinable,
    IListable,
    IPurgeable,
    ISessionStore,
    IUserIndex,
    Record,
)
from pyramid_sessionkit.sealing.copy_mac import CopyMac
from pyramid_sessionkit.sealing.format import MAGIC, head_in
from pyramid_sessionkit.sealing.keys import NotOpened, Sealer
from pyramid_sessionkit.sealing.store import Resealed, SealedStore, sealing
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.copies import Cache
from pyramid_sessionkit.stores.memcached import MemcachedStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, StoreConformance, make_record, numbered
from pyramid_sessionkit.testing.conformance.contents import Contents
from pyramid_sessionkit.testing.conformance.contents_update import ContentsUpdate
from pyramid_sessionkit.testing.conformance.damage import Damage
from pyramid_sessionkit.testing.conformance.hooks import Hooks
from pyramid_sessionkit.testing.conformance.listing import Listing
from pyramid_sessionkit.testing.conformance.outages import Outages
from pyramid_sessionkit.testing.conformance.purging import Purging
from pyramid_sessionkit.testing.conformance.users import Users
from pyramid_sessionkit.testing.conformance.versions import Versions
from tests.sealing.site import COPIED
from tests.sealing.site import KEY as FIRST_KEY
from tests.sealing.site import OTHER_KEY as SECOND_KEY
from tests.servers.process import free_port
from tests.stores.emptying import make_empty
from tests.stores.test_sql_joined import Committing

ONE, TWO = urlsafe_b64decode(FIRST_KEY), urlsafe_b64decode(SECOND_KEY)


def sealed(store: Any, *keys: bytes, events: Events | None = None, **options: Any) -> SealedStore:
    return sealing(store, Sealer(keys or [ONE], "session", **options), events or Events())


def with_data(store: SQLStore, key: str, change: Any) -> None:
    """Change the data of a row behind everybody's back."""
    record = store.load(key, at=0)
    assert record
    with store.engine.begin() as connection:
        table = store._table
        connection.execute(update(table).where(table.c.session_key == key).values(data=change(record.data)))


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


class TestSealedMemory(StoreConformance):
    @pytest.fixture
    def store(self) -> SealedStore:
        return sealed(MemoryStore())

    def damage(self, store: Any, key: str) -> None:
        record = store._records[key]
        store._records[key] = record.with_data(flipped(record.data))


class TestSealedSQLite(StoreConformance):
    """Without the one that waits for seconds: the store behind judges the times, and has been asked."""

    test_it_expires_in_time = None  # type: ignore[assignment]

    @pytest.fixture
    def store(self, sql_store: SQLStore) -> SealedStore:
        return sealed(sql_store)

    def damage(self, store: Any, key: str) -> None:
        with_data(store, key, flipped)

    def unreachable(self) -> SealedStore:
        return sealed(SQLStore(create_session_engine("sqlite:////no/such/folder/sessions.sqlite")))


class WhatTheSealMayBreak(Contents, Versions, ContentsUpdate, Damage, Users, Listing, Purging, Outages, Hooks):
    """For stores whose keys, times, threads and processes are asked without a seal, and on SQLite with one."""


class TestSealedJoined(WhatTheSealMayBreak):
    @pytest.fixture
    def store(self, sql_store: SQLStore) -> Iterator[Committing]:
        store = Committing(str(sql_store.engine.url))
        store.own = sealed(store.own)  # type: ignore[assignment]
        yield store
        store.own.close()
        store.engine.dispose()

    def damage(self, store: Committing, key: str) -> None:
        with_data(store.own.wrapped, key, flipped)  # type: ignore[attr-defined]

    def unreachable(self) -> Committing:
        store = Committing("sqlite:////no/such/folder/sessions.sqlite")
        store.own = sealed(store.own)  # type: ignore[assignment]
        return store


def of_server(url: str) -> Iterator[SealedStore]:
    store = SQLStore(create_session_engine(url, 20))
    make_empty(store)
    yield sealed(store)
    store.close()


@pytest.mark.servers
class TestSealedMemcached(WhatTheSealMayBreak):
    @pytest.fixture
    def store(self, memcached: Any) -> Iterator[SealedStore]:
        memcached.flush()
        store = MemcachedStore(Nodes([memcached.address], 1))
        yield sealed(store)
        store.close()

    def damage(self, store: Any, key: str) -> None:
        def flip(client: Any) -> bool:
            value, token = client.gets("sessionkit:" + key)
            return bool(client.cas("sessionkit:" + key, flipped(value), token, 100))

        assert store.nodes.call(key, flip, again=True)

    def unreachable(self) -> SealedStore:
        return sealed(MemcachedStore(Nodes(["127.0.0.1:1"], 1)))


def of_redis(url: str) -> Iterator[SealedStore]:
    store = RedisStore(url)
    store.clear()
    yield sealed(store)
    store.close()


@pytest.mark.servers
class TestSealedRedis(WhatTheSealMayBreak):
    @pytest.fixture
    def store(self, redis: Any) -> Iterator[SealedStore]:
        yield from of_redis(redis.url)

    def damage(self, store: Any, key: str) -> None:
        name = f"sessionkit:session:{key}"
        assert store.client.call("SET", name, flipped(store.client.call("GET", name, again=True)), again=False)

    def unreachable(self) -> SealedStore:
        return sealed(RedisStore(f"redis://127.0.0.1:{free_port()}"))


def cached(sql_store: SQLStore, address: str) -> CachedSQLStore:
    return CachedSQLStore(sql_store, Cache(Nodes([address], 1), "sessionkit:", 60, CopyMac([ONE], "session")))


@pytest.mark.servers
class TestSealedCachedSQL(WhatTheSealMayBreak):
    @pytest.fixture
    def store(self, sql_store: SQLStore, memcached: Any) -> Iterator[SealedStore]:
        memcached.flush()
        store = cached(sql_store, memcached.address)
        yield sealed(store)
        store.close()

    def damage(self, store: Any, key: str) -> None:
        with_data(store.sql, key, flipped)

    def unreachable(self) -> SealedStore:
        return sealed(cached(SQLStore(create_session_engine("sqlite:////no/such/folder/s.sqlite")), "127.0.0.1:1"))


@pytest.mark.servers
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("userid", "ada"),
        ("verifier", "e" * 64),
        ("credentials", "c" * 64),
        ("authenticated", 9),
        ("timeout", None),
        ("own_timeout", True),
        ("deadline", None),
        ("renewed", 2**33),
    ],
)
def test_what_is_edited_in_memcached_does_not_open(memcached: Any, name: str, value: Any) -> None:
    inner = MemcachedStore(Nodes([memcached.address], 1), f"{name}:")
    store = sealed(inner)
    for key, one in ((KEY, store), (OTHER_KEY, inner)):
        one.create(key, make_record(userid="bob", authenticated=5))
        _edit(inner, name, key, value)
    unsealed = inner.load(OTHER_KEY)
    assert unsealed
    assert getattr(unsealed, name) == value
    refused = store.load(KEY)
    assert refused
    assert refused.data == UNREADABLE
    assert refused.userid is None
    inner.close()


def _edit(store: MemcachedStore, name: str, key: str, value: Any) -> None:
    def edit(client: Any) -> bool:
        line, _, data = client.gets(f"{name}:{key}")[0].partition(b"\n")
        fields = orjson.loads(line)
        fields[COPIED.index(name)] = value
        return bool(client.set(f"{name}:{key}", orjson.dumps(fields) + b"\n" + data, 100))

    assert store.nodes.call(key, edit, again=True)


@pytest.mark.servers
def test_copies_of_sealed_sessions_answer_reads(sql_store: SQLStore, memcached: Any) -> None:
    memcached.flush()
    inner = cached(sql_store, memcached.address)
    store = sealed(inner)
    created = store.create(KEY, make_record())
    sql_store.clear()
    assert store.load(KEY) == created
    assert inner.load(KEY).data.startswith(MAGIC)
    inner.close()


@pytest.mark.servers
def test_a_copy_that_was_put_late_counts_from_its_read(
    sql_store: SQLStore, memcached: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stalls between its read and its copy, and somebody has kept its lease in place."""
    memcached.flush()
    store = cached(sql_store, memcached.address)
    store.create(KEY, make_record())
    memcached.flush()
    load, later = sql_store.load, time.time() + 61

    def stall(*args: Any, **kwargs: Any) -> Any:
        record = load(*args, **kwargs)
        for module in ("cached_sql", "copies"):
            monkeypatch.setattr(f"pyramid_sessionkit.stores.{module}.time", lambda: later)
        return record

    monkeypatch.setattr(sql_store, "load", stall)
    assert store.load(KEY)
    sql_store.clear()
    monkeypatch.setattr(sql_store, "load", load)
    assert store.load(KEY) is None
    store.close()


@pytest.mark.servers
@pytest.mark.parametrize(("ahead", "there"), [(3, True), (60, False)])
def test_a_copy_from_the_future_is_none(
    sql_store: SQLStore, memcached: Any, monkeypatch: pytest.MonkeyPatch, ahead: int, there: bool
) -> None:
    """A process whose clock is ahead must not make copies that live longer than others allow."""
    memcached.flush()
    store, now = cached(sql_store, memcached.address), time.time()
    with monkeypatch.context() as patch:
        for module in ("cached_sql", "copies"):
            patch.setattr(f"pyramid_sessionkit.stores.{module}.time", lambda: now + ahead)
        store.create(KEY, make_record())
    sql_store.clear()
    assert (store.load(KEY) is not None) is there
    store.close()


@pytest.mark.parametrize("other", [[TWO], [TWO, ONE]])
def test_a_copy_is_accepted_by_each_key(other: list[bytes]) -> None:
    made = CopyMac([ONE], "session").make("name", b"body")
    assert CopyMac(other, "session").accepts(made, "name", memoryview(b"body")) is (ONE in other)


@pytest.mark.parametrize(
    ("application", "name", "body"),
    [
        ("other", "name", b"body"),
        ("session", "eman", b"body"),
        ("session", "nam", b"e body"),
        ("session", "name", b"ydob"),
    ],
)
def test_a_mac_is_of_one_copy(application: str, name: str, body: bytes) -> None:
    made = CopyMac([ONE], "session").make("name", b"body")
    assert not CopyMac([ONE], application).accepts(made, name, body)


class Bare:
    """Provides nothing, and has nothing but what it must."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        return None

    create = update = delete = load


@pytest.mark.parametrize(
    ("store", "interfaces"),
    [
        (MemoryStore(), [ISessionStore, IUserIndex, IListable, IPurgeable]),
        (MemcachedStore(Nodes(["127.0.0.1:1"], 1)), [ISessionStore]),
        (
            SQLStore(create_session_engine("sqlite:////no/such/folder/s.sqlite")),
            [ISessionStore, IContentsUpdate, IUserIndex, IListable, IPurgeable, IJoinable],
        ),
        (Bare(), [ISessionStore]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_provides_what_the_store_provides(store: Any, interfaces: list[Any]) -> None:
    found = sealed(store)
    assert set(providedBy(found)) == set(interfaces)
    assert hasattr(found, "update_contents") is (IContentsUpdate in interfaces)


def test_the_store_sees_no_contents() -> None:
    inner = MemoryStore()
    sealed(inner).create(KEY, make_record(b'{"card":"4111"}'))
    (record,) = inner._records.values()
    assert b"4111" not in record.data
    assert record.data.startswith(MAGIC)


def test_no_nonce_is_used_twice(sql_store: SQLStore) -> None:
    store, seen = sealed(sql_store), set()
    record = store.create(KEY, make_record())
    for _ in range(20):
        assert record is not None
        found = sql_store.load(KEY)
        assert found
        seen.add(found.data[12:24])
        record = store.update_contents(KEY, record)
    assert len(seen) == 20


def test_a_sealer_binds_the_application_and_the_key() -> None:
    plain = make_record()
    record = Sealer([ONE], "session").seal(KEY, plain)
    assert Sealer([TWO, ONE], "session").open(KEY, record) == plain
    for sealer, key in ((Sealer([ONE], "other"), KEY), (Sealer([ONE], "session"), OTHER_KEY)):
        with pytest.raises(NotOpened, match="changed"):
            sealer.open(key, record)
    with pytest.raises(NotOpened, match="unknown key"):
        Sealer([TWO], "session").open(KEY, record)


def test_no_error_or_repr_shows_a_key() -> None:
    sealer = Sealer([ONE], "session")
    texts = [repr(sealer), repr(sealed(MemoryStore())), repr(CopyMac([ONE], "session"))]
    with pytest.raises(NotOpened) as refused:
        sealer.open(KEY, sealer.seal(OTHER_KEY, make_record()))
    assert not any(part in text for text in [*texts, repr(refused.value)] for part in (repr(ONE)[2:-1], FIRST_KEY))


class TestLists:
    def test_a_changed_session_is_in_no_list(self, sql_store: SQLStore) -> None:
        store = sealed(sql_store)
        for key in (KEY, OTHER_KEY):
            store.create(key, make_record(userid="ada", authenticated=5))
        with sql_store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sessions SET timeout = timeout + 1 WHERE session_key = ?", (KEY,))
        assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY]
        assert [key for key, _ in store.live_sessions(9)] == [OTHER_KEY]
        assert store.count() == 2  # which looks at nothing that is sealed

    def test_many_changed_ones_hide_no_other(self) -> None:
        inner = MemoryStore()
        store = sealed(inner)
        for number in range(20):
            inner.create(numbered(number), make_record(timeout=None, deadline=None))
        store.create(KEY, make_record())
        store.create(OTHER_KEY, make_record(timeout=60))
        assert [key for key, _ in store.live_sessions(1)] == [KEY]
        assert [key for key, _ in store.live_sessions(2)] == [KEY, OTHER_KEY]
        assert [key for key, _ in store.live_sessions(99)] == [KEY, OTHER_KEY]
        assert store.live_sessions(0) == []

    def test_a_list_is_of_one_user_whatever_the_store_says(self) -> None:
        inner = MemoryStore()
        store = sealed(inner)
        store.create(KEY, make_record(userid="bob", authenticated=5))
        inner.sessions_of = lambda userid: [(KEY, inner._records[KEY])]  # type: ignore[method-assign]
        assert store.sessions_of("ada") == []
        assert [key for key, _ in store.sessions_of("bob")] == [KEY]


class TestResealing:
    def test_nothing_but_the_seal_changes(self, sql_store: SQLStore) -> None:
        created = sealed(sql_store, TWO).create(KEY, make_record(userid="ada"))
        store = sealed(sql_store, ONE, TWO)
        assert store.reseal(KEY) is Resealed.DONE
        after = store.load(KEY)
        assert created
        assert after
        assert after.versioned(None) == created.versioned(None)
        assert store.reseal(KEY) is Resealed.GONE
        assert store.reseal(OTHER_KEY) is Resealed.GONE

    def test_what_a_request_writes_meanwhile_stays(self, sql_store: SQLStore) -> None:
        old = sealed(sql_store, TWO)
        old.create(KEY, make_record())
        store = sealed(sql_store, ONE, TWO)
        update, calls = sql_store.update, []

        def overtaken(key: str, record: Record) -> Any:
            calls.append(key)
            if len(calls) == 1:
                sql_store.update = update  # type: ignore[method-assign]
                mine = old.load(KEY)
                assert mine
                assert old.update(KEY, mine._replace(data=b'{"later":1}'))
                sql_store.update = overtaken  # type: ignore[method-assign]
            return update(key, record)

        sql_store.update = overtaken  # type: ignore[method-assign]
        assert store.reseal(KEY) is Resealed.DONE
        found = store.load(KEY)
        assert found
        assert found.data == b'{"later":1}'
        assert len(calls) == 2

    def test_what_does_not_open_stays(self, sql_store: SQLStore) -> None:
        sealed(sql_store, TWO).create(KEY, make_record())
        before = sql_store.load(KEY)
        assert sealed(sql_store, ONE).reseal(KEY) is Resealed.UNREADABLE
        assert sql_store.load(KEY) == before


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.servers),
        pytest.param("mariadb", marks=pytest.mark.servers),
        pytest.param("redis", marks=pytest.mark.servers),
    ]
)
def counted(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        yield request.getfixturevalue("sql_store")
    else:
        make = of_redis if request.param == "redis" else of_server
        for store in make(request.getfixturevalue(request.param).url):
            yield store.wrapped


def test_it_is_counted_which_key_sealed_what(counted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyramid_sessionkit.stores.sql.KEYS_BATCH", 2)
    for number, key in enumerate([ONE, ONE, ONE, TWO, TWO]):
        sealed(counted, key).create(numbered(number), make_record())
    for number in (5, 6):
        counted.create(numbered(number), make_record(b'{"number":%d}' % number))
    sealed(counted, TWO).create(numbered(7), make_record(timeout=60, renewed=5))
    heads = Sealer([ONE, TWO], "session").heads
    assert counted.count_by_seal() == {heads[0]: 3, heads[1]: 2, b"": 2}
    assert sorted(counted.keys_without_seal(heads[0])) == [numbered(number) for number in (3, 4, 5, 6)]
    assert head_in(counted.load(numbered(3)).data) == heads[1]
