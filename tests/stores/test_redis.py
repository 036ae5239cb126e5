from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.exceptions import ConfigurationError
from redis import Redis as Driver
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as NoAnswer

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import GRACE, unreadable
from pyramid_sessionkit.scripts.commands import purge
from pyramid_sessionkit.scripts.redis_checks import redis_checks
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.redis import RedisStore, from_settings
from pyramid_sessionkit.stores.redis.connections import ServerConnections
from pyramid_sessionkit.stores.redis.index import HEAL_EVERY
from pyramid_sessionkit.stores.redis.scripts import CLOCKS
from pyramid_sessionkit.stores.redis.urls import parse
from pyramid_sessionkit.stores.redis.writes import WritesApart
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, StoreConformance, in_threads, make_record, numbered
from tests.conftest import SECRET
from tests.servers.process import free_port
from tests.servers.redis import Redis

NAME = f"sessionkit:session:{KEY}"
ADA = "sessionkit:user:ada"


@pytest.fixture
def driver(redis: Redis) -> Iterator[Driver]:
    """As somebody else who can reach Redis."""
    with Driver.from_url(redis.url) as driver:
        driver.flushall()
        yield driver


@pytest.fixture
def store(redis: Redis, driver: Driver) -> Iterator[RedisStore]:
    store = RedisStore(redis.url)
    yield store
    store.close()


@pytest.mark.servers
class TestRedisStore(StoreConformance):
    @pytest.fixture
    def store(self, store: RedisStore) -> RedisStore:
        return store

    @pytest.fixture(autouse=True)
    def _where(self, redis: Redis) -> None:
        self.port = redis.port

    def unreachable(self) -> RedisStore:
        return RedisStore(f"redis://127.0.0.1:{free_port()}")

    def at(self, host: str, port: int) -> RedisStore:
        return RedisStore(f"redis://{host}:{port}", 0.5)

    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def damage(self, store: RedisStore, key: str) -> None:
        store.client.call("SET", f"sessionkit:session:{key}", b'["word",1,2,3]\n{}', again=False)


class TestRecordAndSetApart(TestRedisStore):
    """As on a Cluster."""

    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; the scripts are the same

    @pytest.fixture
    def store(self, apart: RedisStore) -> RedisStore:
        return apart


@pytest.fixture
def apart(store: RedisStore) -> RedisStore:
    store._writes = WritesApart(store.client, store._index)
    return store


NO_RECORDS = [b"", b"x", b"junk" * 10, bytes(range(256)), b"\xff" * 40, b'["0123456789abcdef",1]\n{}', b"\n" * 20]


@pytest.mark.servers
@pytest.mark.parametrize("value", NO_RECORDS)
def test_what_is_no_record_is_unreadable_and_stays(store: RedisStore, driver: Driver, value: bytes) -> None:
    driver.set(NAME, value)
    driver.zadd(ADA, {KEY: time()})
    record = store.load(KEY)
    assert record is not None
    assert record == unreadable(record.version)
    assert store.create(KEY, make_record()) is None
    assert store.sessions_of("ada") == store.live_sessions(9) == []
    assert store.count() == store.count(expired=True) == 0
    assert driver.get(NAME) == value
    assert driver.zscore(ADA, KEY)  # whose it is cannot be said
    assert store.delete(KEY, record) is True
    assert store.update(KEY, record) is None
    assert store.load(KEY) is None


@pytest.mark.servers
def test_a_key_of_another_type_says_what_to_do(store: RedisStore, driver: Driver) -> None:
    driver.rpush(NAME, "a")
    driver.zadd(ADA, {KEY: 5})
    for use in (lambda: store.load(KEY), lambda: store.update(KEY, store.create(OTHER_KEY, make_record()))):  # type: ignore[arg-type]
        with pytest.raises(StoreError, match=r"set another sessionkit\.redis\.prefix") as caught:
            use()
        assert not isinstance(caught.value, StoreUnavailable)
    assert store.sessions_of("ada") == []
    assert [key for key, _ in store.live_sessions(9)] == [OTHER_KEY]


@pytest.mark.servers
@pytest.mark.parametrize("limit", ["timeout", "deadline"])
def test_redis_removes_a_session_a_minute_after_its_end(store: RedisStore, driver: Driver, limit: str) -> None:
    ends = {"timeout": 100, "deadline": int(time()) + 100}[limit]
    record = make_record(**{"timeout": None, "deadline": None, limit: ends})
    created = store.create(KEY, record)
    assert driver.expiretime(NAME) - (record.expires + GRACE) in range(3)
    for after in (record._replace(timeout=9999, deadline=None), record._replace(timeout=50)):
        created = store.update(KEY, after.versioned(created.version))
        assert driver.expiretime(NAME) - (after.expires + GRACE) in range(3)
    created = store.update(KEY, created._replace(timeout=None, deadline=None))
    assert driver.ttl(NAME) == -1
    assert store.update(KEY, record.versioned(created.version))
    assert driver.expiretime(NAME) - (record.expires + GRACE) in range(3)


@pytest.mark.servers
def test_scripts_are_sent_again_after_a_flush_and_a_restart(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        store = RedisStore(server.url)
        created = store.create(KEY, make_record(userid="ada"))
        store.client.call("SCRIPT", "FLUSH", again=False)
        updated = store.update(KEY, created._replace(data=b"{}"))
        store.client.call("SCRIPT", "FLUSH", again=False)
        assert store.delete(KEY, updated)
        server.stop()
        with pytest.raises(StoreUnavailable):
            store.load(KEY)
        server.start()
        created = store.create(KEY, make_record(userid="ada"))
        assert store.update(KEY, created) is not None
        assert len(store.sessions_of("ada")) == 1
        store.close()


@pytest.mark.servers
def test_a_closed_connection_does_not_fail_a_write(store: RedisStore, driver: Driver) -> None:
    created = store.create(KEY, make_record())
    driver.client_kill_filter(_type="normal", skipme=True)
    assert store.update(KEY, created) is not None


@pytest.mark.servers
def test_a_set_forgets_what_is_not_its_users(store: RedisStore, driver: Driver) -> None:
    store.create(KEY, make_record(userid="ada"))
    store.create(OTHER_KEY, make_record(userid="bob"))
    later = int(time()) + 5000
    driver.zadd(ADA, {OTHER_KEY: later, numbered(1): later})
    assert [key for key, _ in store.sessions_of("ada")] == [KEY]
    assert driver.zrange(ADA, 0, -1) == [KEY.encode()]
    store.delete(KEY)
    assert store.sessions_of("ada") == []
    assert not driver.exists(ADA)


@pytest.mark.servers
def test_a_set_follows_logins_and_logouts(store: RedisStore, driver: Driver) -> None:
    record = store.create(KEY, make_record())
    assert not driver.exists(ADA)
    record = store.update(KEY, record._replace(userid="ada", authenticated=5))
    assert driver.zrange(ADA, 0, -1) == [KEY.encode()]
    record = store.update(KEY, record._replace(userid="bob", authenticated=6))
    assert not driver.exists(ADA)
    assert driver.zrange("sessionkit:user:bob", 0, -1) == [KEY.encode()]
    assert store.delete(KEY, record)
    assert driver.keys() == []


@pytest.mark.servers
@pytest.mark.parametrize("together", [True, False])
def test_a_set_lives_as_long_as_its_sessions(redis: Redis, driver: Driver, together: bool) -> None:
    store = RedisStore(redis.url)
    if not together:
        store._writes = WritesApart(store.client, store._index)
    record = store.create(KEY, make_record(userid="ada", timeout=100, deadline=None))
    assert record.expires + GRACE <= driver.expiretime(ADA) <= record.expires + GRACE + 101 + CLOCKS
    record = store.update(KEY, record._replace(timeout=9 * CLOCKS))
    assert record.expires + GRACE <= driver.expiretime(ADA)
    store.create(OTHER_KEY, make_record(userid="ada", timeout=None, deadline=None))
    assert driver.ttl(ADA) == -1
    store.close()


@pytest.mark.servers
def test_users_whose_names_are_alike_have_sets_of_their_own(store: RedisStore, driver: Driver) -> None:
    users = ["a:b", "a%3Ab", "a%253Ab", "*", "[ab]", "{a}", "a b\n", "é\0", "x" * 255]
    for number, userid in enumerate(users):
        store.create(numbered(number), make_record(userid=userid))
    for _ in range(2):
        for number, userid in enumerate(users):
            assert [key for key, _ in store.sessions_of(userid)] == [numbered(number)]
    assert store.clear() == len(users)
    assert driver.keys() == []


@pytest.mark.servers
def test_a_set_that_nobody_reads_is_healed_as_it_grows(store: RedisStore, driver: Driver) -> None:
    for number in range(HEAL_EVERY * 2):
        store.create(numbered(number), make_record(userid="ada"))
        store.delete(numbered(number))
    assert driver.zcard(ADA) < HEAL_EVERY


@pytest.mark.servers
def test_a_reader_leaves_the_entry_of_a_login_under_way(apart: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    created = apart.create(KEY, make_record())
    run = apart.client.run

    def run_and_read(script: Any, names: list[str], arguments: list[Any], again: bool) -> Any:
        if names == [NAME]:
            assert apart.sessions_of("ada") == []  # just before the record says it
        return run(script, names, arguments, again)

    monkeypatch.setattr(apart.client, "run", run_and_read)
    # The process ends before the entry becomes an ordinary one.
    monkeypatch.setattr(WritesApart, "_confirm", lambda *_: None)
    assert apart.update(KEY, created._replace(userid="ada", authenticated=5))
    assert [key for key, _ in apart.sessions_of("ada")] == [KEY]


@pytest.mark.servers
def test_a_login_that_is_done_is_no_longer_under_way(apart: RedisStore, driver: Driver) -> None:
    created = apart.create(KEY, make_record())
    apart.update(KEY, created._replace(userid="ada", authenticated=5))
    apart.create(OTHER_KEY, make_record(userid="ada"))
    assert min(driver.zscore(ADA, key) for key in (KEY, OTHER_KEY)) > time()


@pytest.mark.servers
def test_an_entry_of_a_login_that_never_came_goes(apart: RedisStore, driver: Driver) -> None:
    driver.zadd(ADA, {KEY: -(time() - GRACE - 5), OTHER_KEY: -time()})
    assert apart.sessions_of("ada") == []
    assert driver.zrange(ADA, 0, -1) == [OTHER_KEY.encode()]


@pytest.mark.servers
def test_a_login_whose_process_died_gets_its_entry(apart: RedisStore, driver: Driver) -> None:
    apart.create(KEY, make_record(userid="ada"))
    driver.zadd(ADA, {KEY: -(time() - GRACE - 5)})
    driver.persist(ADA)
    assert len(apart.sessions_of("ada")) == 1
    assert driver.zscore(ADA, KEY) > time()
    assert driver.ttl(ADA) > 0


@pytest.mark.servers
@pytest.mark.parametrize("kind", ["store", "apart"])
def test_a_reader_leaves_what_a_login_put_there_meanwhile(
    kind: str, request: pytest.FixtureRequest, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: RedisStore = request.getfixturevalue(kind)
    store.create(KEY, make_record(userid="ada"))
    store.delete(KEY)  # its entry stays
    load_all = store._load_all

    def load_and_log_in(keys: list[str]) -> Any:
        found = load_all(keys)
        store.create(KEY, make_record(userid="ada"))
        return found

    monkeypatch.setattr(store._index, "_load_all", load_and_log_in)
    assert store.sessions_of("ada") == []
    monkeypatch.undo()
    assert [key for key, _ in store.sessions_of("ada")] == [KEY]


@pytest.mark.servers
def test_clear_leaves_the_keys_of_others(redis: Redis, driver: Driver) -> None:
    store, other = RedisStore(redis.url, prefix="a*[x]:"), RedisStore(redis.url, prefix="a*[x]:b:")
    store.create(KEY, make_record(userid="ada"))
    other.create(KEY, make_record(userid="ada"))
    beside_users = RedisStore(redis.url, prefix="a*[x]:user:b:")
    beside_users.create(KEY, make_record(userid="ada"))
    store.create(OTHER_KEY, make_record(userid="b:user:ada%3A"))
    driver.mset({"axx:1": "", "ab[x]:1": "", "elsewhere": ""})
    assert (store.count(), other.count()) == (2, 1)
    assert len(store.sessions_of("b:user:ada%3A")) == 1
    assert store.clear() == 2
    assert driver.dbsize() == 7
    assert len(other.sessions_of("ada")) == len(beside_users.sessions_of("ada")) == 1
    for opened in (store, other, beside_users):
        opened.close()


@pytest.mark.servers
@pytest.mark.parametrize("more", ["user:", "session:", "user:user:", "session:user:"])
def test_no_prefix_reaches_into_another_site(redis: Redis, driver: Driver, more: str) -> None:
    store, other = RedisStore(redis.url, prefix="a:"), RedisStore(redis.url, prefix=f"a:{more}")
    userid = KEY  # as it may be where users have the longer IDs
    created = store.create(KEY, make_record(userid=userid))
    for of_other in (KEY, OTHER_KEY):
        assert other.create(of_other, make_record(userid=userid)) is not None
    assert (store.count(), other.count()) == (1, 2)
    assert [key for key, _ in store.sessions_of(userid)] == [KEY]
    assert other.clear() == 2
    assert driver.keys("a:*:*:*") == []
    assert [record for _, record in store.sessions_of(userid)] == [store.load(KEY)] == [created]
    for opened in (store, other):
        opened.close()


@pytest.mark.servers
@pytest.mark.parametrize("timeout", [2**63 // 1000 - 10**6, 2**62])
def test_a_session_too_long_for_redis_changes_nothing(store: RedisStore, driver: Driver, timeout: int) -> None:
    too_long = make_record(timeout=timeout, deadline=None)
    with pytest.raises(StoreError, match=r"lower sessionkit\.lifetime"):
        store.create(KEY, too_long)
    assert not driver.exists(NAME)
    created = store.create(KEY, make_record())
    with pytest.raises(StoreError):
        store.update(KEY, too_long.versioned(created.version))
    assert store.load(KEY) == created


@pytest.mark.servers
def test_a_session_that_is_over_is_stored_as_any_other(store: RedisStore, driver: Driver) -> None:
    assert store.create(KEY, make_record(userid="ada", renewed=5, timeout=0, deadline=None)) is not None
    assert store.load(KEY) is None
    assert store.sessions_of("ada") == []


@pytest.mark.servers
def test_a_login_is_refused_whole(store: RedisStore, redis: Redis, driver: Driver) -> None:
    driver.execute_command("ACL", "SETUSER", "few", "on", ">secret", "~*", "+@all", "-zadd")
    few = RedisStore(redis.url.replace("//", "//few:secret@"))
    created = few.create(KEY, make_record())
    with pytest.raises(StoreError, match="ACL SETUSER"):
        few.update(KEY, created._replace(userid="ada", authenticated=5))
    assert store.load(KEY) == created
    with pytest.raises(StoreError, match="ACL SETUSER"):
        few.create(OTHER_KEY, make_record(userid="ada"))
    assert store.load(OTHER_KEY) is None
    few.close()
    driver.execute_command("ACL", "DELUSER", "few")


@pytest.mark.servers
def test_a_login_succeeds_where_healing_fails(store: RedisStore, driver: Driver, monkeypatch: Any) -> None:
    asked = []

    def fail(keys: list[str]) -> Any:
        asked.append(keys)
        raise StoreUnavailable("it is gone")

    monkeypatch.setattr(store._index, "_load_all", fail)
    for number in range(HEAL_EVERY):
        assert store.create(numbered(number), make_record(userid="ada"))
    assert len(asked) == 1


def test_who_waits_for_another_to_connect_waits_for_the_timeout() -> None:
    store = RedisStore("redis://127.0.0.1:1", 0.05)
    with store.client._lock, pytest.raises(StoreUnavailable, match="still connecting"):
        store.load(KEY)


class Led:
    """A connection that leads to where the Sentinels say at the time."""

    primary = "old"
    host, port = "unknown", 0
    is_open = False

    def connect(self) -> None:
        if not self.is_open:
            self.host, self.is_open = Led.primary, True

    def disconnect(self) -> None:
        self.is_open = False

    def can_read(self) -> bool:
        return False


def test_a_connection_that_comes_back_late_is_led_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Led, "primary", "old")
    pool = SimpleNamespace(connection_class=Led, connection_kwargs={}, disconnect=lambda **_: None)
    connections = ServerConnections(SimpleNamespace(connection_pool=pool), 5, 1)
    late, idle = connections._take(), connections._take()
    connections._lifo.give_back(idle)
    Led.primary = "new"
    idle.disconnect()
    assert connections._take().host == "new"
    connections._lifo.give_back(late)
    assert connections._take() is late
    assert late.host == "new"


def test_a_silent_primary_is_asked_once_not_on_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any) -> Any:
        raise NoAnswer("timed out")

    for kind, dropped in (("redis", []), ("redis+sentinel", [True])):
        store = RedisStore(f"{kind}://127.0.0.1:1/main" if "+" in kind else f"{kind}://127.0.0.1:1", 1)
        seen: list[bool] = []
        store.client._connections = SimpleNamespace(ask=ask, drop_idle=lambda seen=seen: seen.append(True))  # type: ignore[assignment]
        with pytest.raises(StoreUnavailable):
            store.load(KEY)
        assert seen == dropped


@pytest.mark.servers
def test_who_finds_no_free_connection_waits_for_the_timeout(redis: Redis) -> None:
    store = RedisStore(f"{redis.url}?max_connections=1", 1)
    taken = store.client._connected()._take()  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable, match="max_connections"):
        store.load(KEY)
    store.client._connected()._lifo.give_back(taken)  # type: ignore[attr-defined]
    assert store.load(KEY) is None
    store.close()


@pytest.mark.servers
def test_lists_and_look_ups_share_the_connections(redis: Redis, driver: Driver) -> None:
    store = RedisStore(f"{redis.url}?max_connections=2&client_name=ours", 30)
    store.create(KEY, make_record(userid="ada"))

    def use(number: int) -> None:
        for _ in range(20):
            assert store.load(KEY) is not None
            assert len(store.sessions_of("ada")) == len(store.live_sessions(9)) == store.count() == 1

    in_threads(use, 8)
    assert len([client for client in driver.client_list() if client["name"] == "ours"]) <= 2
    store.close()


class FakeRedis:
    """Answers each command with what ``answer`` gives for its number; nothing closes the connection."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self.seen = 0
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                if b"SETINFO" in data:
                    connection.sendall(b"+OK\r\n" * data.count(b"SETINFO"))
                    continue
                self.seen += 1
                answer = self._answer(self.seen)
                if not answer:
                    return
                connection.sendall(answer)


@pytest.fixture
def fake() -> Iterator[Callable[[Callable[[int], bytes]], Any]]:
    opened: list[Any] = []

    def make(answer: Callable[[int], bytes]) -> tuple[FakeRedis, RedisStore]:
        server = FakeRedis(answer)
        store = RedisStore(server.url, 1)
        opened.extend((store, server))
        return server, store

    yield make
    for thing in opened:
        thing.close()


OUTAGES = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "ERR Error running script (call to f_12): @user_script:3: @user_script: 3: -OOM command not allowed",
    "MASTERDOWN Link with MASTER is down",
    "NOREPLICAS Not enough good replicas to write.",
    "BUSY Redis is busy running a script.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "MOVED 3999 127.0.0.1:6381",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "ERR max number of clients reached",
]
REFUSALS = {
    "NOAUTH Authentication required.": "wants a password",
    "WRONGPASS invalid username-password pair": r"check sessionkit\.redis\.url",
    "NOPERM this user has no permissions to run the 'get' command": "ACL SETUSER",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "another sessionkit.redis.prefix",
    "ERR unknown command 'EVALSHA', with args beginning with: 'secret'": "does not know a command",
    "ERR something else with a secret": "its log may say why",
}


def uses(store: RedisStore) -> list[Callable[[], Any]]:
    record = make_record(userid="ada")
    return [
        lambda: store.load(KEY),
        lambda: store.create(KEY, record),
        lambda: store.delete(KEY),
        lambda: store.sessions_of("ada"),
        store.count,
        lambda: store.live_sessions(1),
        store.clear,
    ]


@pytest.mark.parametrize("answer", OUTAGES)
def test_what_passes_is_an_outage(fake: Any, answer: str) -> None:
    _, store = fake(lambda _: f"-{answer}\r\n".encode())
    for use in uses(store):
        with pytest.raises(StoreUnavailable):
            use()


@pytest.mark.parametrize(("answer", "cure"), REFUSALS.items())
def test_what_stays_says_what_to_do(fake: Any, answer: str, cure: str) -> None:
    _, store = fake(lambda _: f"-{answer}\r\n".encode())
    for use in uses(store):
        with pytest.raises(StoreError, match=cure) as caught:
            use()
        assert not isinstance(caught.value, StoreUnavailable)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("use", [0, 1, 2])
def test_a_lost_connection_is_tried_once_more(fake: Any, use: int) -> None:
    server, store = fake(lambda number: b"" if number == 1 else b":1\r\n" if use else b"$-1\r\n")
    uses(store)[use]()
    assert server.seen == 2


@pytest.mark.parametrize("use", [0, 1, 2])
def test_what_is_lost_twice_is_an_outage(fake: Any, use: int) -> None:
    server, store = fake(lambda _: b"")
    with pytest.raises(StoreUnavailable):
        uses(store)[use]()
    assert server.seen == 2


def test_an_update_is_never_sent_twice(fake: Any) -> None:
    server, store = fake(lambda number: b":1\r\n" if number == 1 else b"")
    created = store.create(KEY, make_record())
    with pytest.raises(StoreUnavailable):
        store.update(KEY, created)
    assert server.seen == 2


@pytest.mark.servers
def test_a_create_whose_answer_was_lost_knows_its_record(redis: Redis, driver: Driver, monkeypatch: Any) -> None:
    store = RedisStore(redis.url)
    connections = store.client._connected()
    ask, asked = connections.ask, []

    def lose_the_first(*command: Any) -> Any:
        asked.append(command)
        answer = ask(*command)
        if len(asked) == 1:
            raise LostConnection("lost")
        return answer

    driver.script_flush()
    store.create(OTHER_KEY, make_record())
    monkeypatch.setattr(connections, "ask", lose_the_first)
    assert store.create(KEY, make_record()) is not None
    assert len(asked) == 2
    store.close()


def test_an_answer_that_came_late_is_not_taken_for_the_next(fake: Any) -> None:
    _, store = fake(lambda number: b":1\r\n:1\r\n" if number == 1 else b":0\r\n")
    assert store.delete(KEY) is True
    assert store.delete(KEY) is False


BAD_URLS = {
    "http://:secret@host": "unknown scheme",
    "secret": "unknown scheme",
    "redis://": "names no host",
    "redis://:secret@/0": "names no host",
    "redis://:sec/ret@host": "in a password",
    "redis://host:secret": "port",
    "redis://host:70000": "port",
    "redis://host/secret": "number of a database",
    "redis://a,b": "several hosts",
    "redis://host?secret=1": "its options are db, username",
    "redis://host?decode_responses=true": "unknown option",
    "redis://host?ssl_cert_reqs=none": "unknown option",
    "redis://host?max_connections=secret": "bad value for its option max_connections",
    "redis://host?max_connections=0": "bad value",
    "rediss://host?ssl_cert_reqs=secret": "bad value",
    "unix://": "path of a socket",
    "redis+sentinel://host": "name of the primary",
    "redis+sentinel://a,,b/main": "names no host",
    "redis+cluster://host/1": "only the one",
    "redis+cluster://host?db=1": "unknown option",
}


@pytest.mark.parametrize(("url", "problem"), BAD_URLS.items())
def test_a_bad_url_names_what_is_allowed(url: str, problem: str) -> None:
    settings = parse_settings({"sessionkit.secret": SECRET, "sessionkit.store": "redis", "sessionkit.redis.url": url})
    with pytest.raises(ConfigurationError, match=problem) as caught:
        from_settings(settings)
    shown = str(caught.value)
    assert "sessionkit.redis.url" in shown
    assert "redis://" in shown or "option" in shown
    assert "secret" not in shown
    assert "secret" not in repr(settings).replace("secret=", "")


@pytest.mark.parametrize(
    ("url", "hosts", "options"),
    [
        ("redis://host", (("host", 6379),), {}),
        ("redis://u:p%40@host:1/2", (("host", 1),), {"username": "u", "password": "p@", "db": 2}),
        ("redis://:p@[::1]:7/0?client_name=a", (("::1", 7),), {"password": "p", "db": 0, "client_name": "a"}),
        ("rediss://h?ssl_check_hostname=false", (("h", 6379),), {"ssl_check_hostname": False}),
        ("unix://:p@/run/redis.sock?db=3", (), {"password": "p", "db": 3}),
        ("redis+sentinel://:p@a,b:2/main/1", (("a", 26379), ("b", 2)), {"password": "p", "db": 1}),
        ("rediss+cluster://a:7000,b", (("a", 7000), ("b", 6379)), {}),
    ],
)
def test_a_url_says_where_redis_is(url: str, hosts: Any, options: dict[str, Any]) -> None:
    address = parse(url)
    assert (address.hosts, address.options) == (hosts, options)
    assert "p@" not in repr(address)


@pytest.mark.servers
def test_no_log_has_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = RedisStore(f"redis://ada:hunter2@127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailable) as caught:
        store.load(KEY)
    assert "hunter2" not in str(caught.value) + caplog.text


@pytest.mark.servers
def test_each_process_has_connections_of_its_own(store: RedisStore) -> None:
    created = store.create(KEY, make_record())
    connection = store.client._connected()._idle[-1]  # type: ignore[attr-defined]
    pid = os.fork()
    if not pid:
        fine = store.load(KEY) == created and store.client._connected()._idle[-1] is not connection  # type: ignore[attr-defined]
        os._exit(0 if fine else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert store.load(KEY) == created
    assert store.client._connected()._idle[-1] is connection  # type: ignore[attr-defined]


@pytest.mark.parametrize("prefix", ["", "app", "a b:", "a" * 100 + ":"])
def test_a_prefix_that_others_may_share_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"1 to 100 characters .* end with a colon"):
        parse_settings({"sessionkit.secret": SECRET, "sessionkit.redis.prefix": prefix})


@pytest.mark.servers
@pytest.mark.parametrize(
    ("configured", "eviction", "persistence"),
    [
        ({}, "ok", "warning"),
        ({"maxmemory": "100mb", "maxmemory-policy": "volatile-lru"}, "warning", "warning"),
        ({"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru", "appendonly": "yes"}, "warning", "ok"),
        ({"maxmemory-policy": "allkeys-lru", "save": "60 1"}, "ok", "ok"),
    ],
)
def test_a_check_says_what_may_end_sessions(
    tmp_path: Path, configured: dict[str, str], eviction: str, persistence: str
) -> None:
    with Redis(tmp_path) as server, Driver.from_url(server.url) as driver:
        for name, value in configured.items():
            driver.config_set(name, value)
        store = RedisStore(server.url)
        found = {result.check: result.status for result in redis_checks(store.client)}
        store.close()
        server.kill()  # asked to stop, it would write its file first
    assert found == {"redis": "ok", "eviction": eviction, "persistence": persistence}


@pytest.mark.servers
@pytest.mark.parametrize(("refused", "checks"), [("-info", {"redis"}), ("-config", {"persistence"})])
def test_a_check_does_not_fail_where_info_is_not_allowed(tmp_path: Path, refused: str, checks: set[str]) -> None:
    with Redis(tmp_path) as server, Driver.from_url(server.url) as driver:
        driver.execute_command("ACL", "SETUSER", "ada", "on", ">secret", "~*", "+@all", refused)
        store = RedisStore(server.url.replace("//", "//ada:secret@"))
        found = {result.check for result in redis_checks(store.client) if result.status == "warning"}
        store.close()
    assert found == checks


@pytest.mark.servers
def test_purge_says_that_redis_does_it(store: RedisStore) -> None:
    said: list[Any] = []
    sessions: Any = SimpleNamespace(store=store)
    out: Any = SimpleNamespace(answer=lambda *answer: said.append(answer))
    for dry_run, what in ((False, "purged"), (True, "expired")):
        args: Any = SimpleNamespace(dry_run=dry_run)
        assert purge(args, sessions, out, None) == 0
        assert said.pop() == ({what: 0}, "Redis removes expired sessions by itself")
