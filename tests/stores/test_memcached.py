from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pymemcache import Client

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import GRACE, Record, unreadable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.memcached import MemcachedStore, expiry, from_settings
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, StoreConformance, make_record
from tests.conftest import SECRET
from tests.servers.memcached import Memcached
from tests.servers.process import Server, free_port, program

pytestmark = pytest.mark.servers

MONTH = 30 * 86400
LONG_AGO = 1_700_000_000


class TestMemcachedStore(StoreConformance):
    @pytest.fixture
    def store(self, memcached: Memcached) -> Iterator[MemcachedStore]:
        memcached.flush()
        self.port = memcached.port
        store = MemcachedStore(Nodes([memcached.address], 1))
        yield store
        store.close()

    def at(self, host: str, port: int) -> MemcachedStore:
        return MemcachedStore(Nodes([f"{host}:{port}"], 0.5))

    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def damage(self, store: MemcachedStore, key: str) -> None:
        put(store, b'["word", 1, 2, 3]\n{}', key)


def put(store: MemcachedStore, value: bytes, key: str = KEY) -> None:
    """As somebody else who can reach memcached."""
    assert store.nodes.call(key, lambda client: client.set(f"sessionkit:{key}", value, 0), again=False)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Memcached]]:
    folder: Path = tmp_path_factory.mktemp("three")
    servers = [Memcached(folder) for _ in range(3)]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()


class TestThreeNodes(TestMemcachedStore):
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; each node does what one alone does

    def address(self) -> tuple[str, int]:
        pytest.skip("there are three")

    @pytest.fixture
    def store(self, three: list[Memcached]) -> Iterator[MemcachedStore]:
        for server in three:
            server.flush()
        store = MemcachedStore(Nodes([server.address for server in three], 1))
        yield store
        store.close()


@pytest.fixture
def store(memcached: Memcached) -> Iterator[MemcachedStore]:
    memcached.flush()
    store = MemcachedStore(Nodes([memcached.address], 1))
    yield store
    store.close()


def test_too_large_is_refused_with_the_sizes_and_the_old_stays(store: MemcachedStore) -> None:
    first = store.create(KEY, make_record())
    assert first
    with pytest.raises(
        StoreError, match=r"items of up to 1048576 bytes, and this session has 2\d{6}.*max_size"
    ) as caught:
        store.update(KEY, first._replace(data=b"x" * 2_000_000))
    assert not isinstance(caught.value, StoreUnavailable)
    assert store.load(KEY) == first
    with pytest.raises(StoreError, match="items of up to"):
        store.create(OTHER_KEY, make_record(b"x" * 2_000_000))
    assert store.load(OTHER_KEY) is None


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"timeout": None, "deadline": None}, lambda now: {0}),
        ({"timeout": 1200, "deadline": None}, lambda now: {1200 + GRACE, 1201 + GRACE}),
        ({"timeout": MONTH - 1 - GRACE, "deadline": None}, lambda now: {MONTH - 1, MONTH}),
        ({"timeout": 31 * 86400, "deadline": None}, lambda now: {now + 31 * 86400 + GRACE + 1}),
        ({"timeout": None, "deadline": LONG_AGO + 86400 * 10**5}, lambda now: {LONG_AGO + 86400 * 10**5 + GRACE + 1}),
        ({"timeout": 1, "renewed": 5, "deadline": None}, lambda now: {1}),
    ],
)
def test_the_expiry_that_memcached_is_told(limits: dict[str, Any], expected: Any) -> None:
    record = make_record(**limits)
    assert expiry(record) in expected(record.created)
    assert type(expiry(record)) is int


def test_a_session_of_forty_days_is_there(store: MemcachedStore) -> None:
    store.create(KEY, make_record(timeout=40 * 86400, deadline=None))
    assert store.load(KEY) is not None


HEAD: list[Any] = ["word", "f" * 64, "", None, "ada", 5, None, 5, 5, None, None, False]


def with_head(*changes: tuple[int, Any]) -> bytes:
    head = list(HEAD)
    for index, value in changes:
        head[index] = value
    return orjson.dumps(head) + b"\n{}"


NO_RECORDS = {
    "empty": b"",
    "junk": b"junk",
    "binary": bytes(range(256)),
    "a number": b"5\n{}",
    "an object": b'{"a":1}\n{}',
    "too short": orjson.dumps(HEAD[:-1]) + b"\n{}",
    "too long": orjson.dumps([*HEAD, None]) + b"\n{}",
    "of another version": b'["word",null,null,null,5,5,1200,null,false]\n{}',
    **{f"a list at {index}": with_head((index, ["x"])) for index in range(len(HEAD))},
    **{f"a float at {index}": with_head((index, 1.5)) for index in range(len(HEAD))},
    **{f"None at {index}": with_head((index, None)) for index in (0, 1, 2, 5, 7, 8, 11)},
    "a huge time": b'["word","","",null,null,null,null,99999999999999999999,5,null,null,false]\n{}',
}


@pytest.mark.parametrize("value", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_no_record_is_unreadable_and_stays(store: MemcachedStore, value: bytes) -> None:
    put(store, value)
    record = store.load(KEY)
    assert record is not None
    assert record == unreadable(record.version)
    assert store.load(KEY) == record
    assert store.create(KEY, make_record()) is None
    put(store, value)
    assert store.delete(KEY, record) is False
    again = store.load(KEY)
    assert again is not None
    assert store.delete(KEY, again) is True
    assert store.load(KEY) is None


@pytest.mark.parametrize("word", ["0f" * 8, -1, 2**62, 2**64 - 1])
def test_a_session_of_an_earlier_release_can_be_changed(store: MemcachedStore, word: Any) -> None:
    put(store, orjson.dumps([word, *make_record()[1 : Record._fields.index("version")]]) + b"\n{}")
    record = store.load(KEY)
    assert record is not None
    assert record.version.word == word
    updated = store.update(KEY, record._replace(data=b'{"n":1}'))
    assert updated is not None
    assert type(updated.version.word) is int
    again = store.load(KEY)
    assert again == updated
    assert store.update(KEY, record) is None


def test_a_version_that_was_deleted_leaves_nothing(store: MemcachedStore, memcached: Memcached) -> None:
    created = store.create(KEY, make_record())
    assert store.delete(KEY, created)
    assert store.nodes.call(KEY, lambda client: client.get(f"sessionkit:{KEY}"), again=False) is None


def test_an_answer_that_came_too_late_is_not_taken_for_the_next(store: MemcachedStore) -> None:
    created = store.create(KEY, make_record())

    def interrupted(client: Client) -> None:
        client._socket.socket.sendall(b"get nothing\r\n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.nodes.call(KEY, interrupted, again=False)
    assert store.load(KEY) == created


def answer(address: str) -> None:
    client = Client(address, connect_timeout=1)
    try:
        client.version()
    finally:
        client.close()


def test_closing_leaves_a_command_of_another_thread_its_connection(store: MemcachedStore) -> None:
    put(store, b"x" * 100_000)

    def read_while_closing(client: Any) -> Any:
        assert client.get(f"sessionkit:{KEY}")
        connected = client._socket.socket
        closing = threading.Thread(target=store.close)
        closing.start()
        closing.join()
        assert client._socket.socket is connected
        return client.get(f"sessionkit:{KEY}")

    assert store.nodes.call(KEY, read_while_closing, again=False) == b"x" * 100_000


def test_unix_sockets_and_ipv6(tmp_path: Path) -> None:
    socket = Path(tempfile.mkdtemp()) / "memcached.sock"
    address = f"unix:{socket}"
    command = [program("memcached", "memcached"), "-s", str(socket), "-u", "root"]
    server = Server(command, lambda: answer(address), tmp_path / "memcached.log")
    server.start()
    store = MemcachedStore(Nodes([address], 1))
    assert store.create(KEY, make_record())
    assert store.load(KEY)
    store.close()
    server.kill()
    port = free_port()
    command = [program("memcached", "memcached"), "-l", "::1", "-p", str(port), "-u", "nobody"]
    server = Server(command, lambda: answer(f"[::1]:{port}"), tmp_path / "memcached.log")
    server.start()
    store = MemcachedStore(Nodes([f"[::1]:{port}"], 1))
    assert store.create(KEY, make_record())
    store.close()
    server.kill()


def test_keys_are_spread_and_stay_where_they_are(three: list[Memcached]) -> None:
    nodes = Nodes([server.address for server in three], 1)
    homes = [nodes.node_of(f"{number:064}") for number in range(300)]
    assert {homes.count(server.address) > 50 for server in three} == {True}
    fewer = Nodes([server.address for server in three[:2]], 1)
    moved = [home for number, home in enumerate(homes) if fewer.node_of(f"{number:064}") != home]
    assert set(moved) == {three[2].address}


def test_a_dead_node_is_an_outage_of_its_keys_alone(three: list[Memcached]) -> None:
    store = MemcachedStore(Nodes([server.address for server in three], 1))
    keys = [f"{number:064}" for number in range(30)]
    for key in keys:
        store.create(key, make_record())
    three[0].kill()
    for key in keys:
        if store.nodes.node_of(key) == three[0].address:
            with pytest.raises(StoreUnavailable, match=three[0].address):
                store.load(key)
        else:
            assert store.load(key)
    three[0].start()
    store.close()


def test_settings(memcached: Memcached) -> None:
    settings = parse_settings(
        {
            "sessionkit.secret": SECRET,
            "sessionkit.memcached.servers": memcached.address,
            "sessionkit.memcached.prefix": "mine:",
        }
    )
    store = from_settings(settings)
    store.create(KEY, make_record())
    client = Client(memcached.address)
    assert client.get(f"mine:{KEY}")
    client.close()
    store.close()
