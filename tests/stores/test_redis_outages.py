"""Redis that refuses, loads, is silent or changed its password: a 503, never a logout, and well when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from pyramid_sessionkit import StoreError, StoreUnavailable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.redis import from_settings
from pyramid_sessionkit.testing.conformance import KEY, make_record
from tests.conftest import SECRET
from tests.servers.process import free_port
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.stores.test_outages import Site
from tests.test_docs import named_blocks

pytestmark = pytest.mark.servers

TIMEOUT = "1"

LONG = "20"
"""For what is not about time-outs: on a busy machine it may take seconds until many processes have connected."""

# What an operator says to make it refuse, and to make it well again.
REFUSES_WRITES = {
    "READONLY": (["REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"]),
    "OOM": (["CONFIG SET maxmemory 1"], ["CONFIG SET maxmemory 0"]),
    "NOREPLICAS": (["CONFIG SET min-replicas-to-write 1"], ["CONFIG SET min-replicas-to-write 0"]),
    "silent": (["CLIENT PAUSE 60000 WRITE"], ["CLIENT UNPAUSE"]),
}
REFUSES_ALL = {
    "MASTERDOWN": (
        ["CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"],
        ["REPLICAOF NO ONE", "CONFIG SET replica-serve-stale-data yes"],
    ),
}


def open_store(url: str, timeout: str = TIMEOUT) -> Any:
    return from_settings(
        parse_settings({"sessionkit.secret": SECRET, "sessionkit.redis.url": url, "sessionkit.redis.timeout": timeout})
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Redis for this module alone."""
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def site(server: Redis) -> Iterator[Site]:
    yield from logged_in(server.url)


def logged_in(url: str) -> Iterator[Site]:
    store = open_store(url)
    site = Site(store)
    site.answers("/login", 200)
    site.answers("/who", 200)
    yield site
    store.close()


def say(server: Redis, commands: list[str]) -> None:
    for command in commands:
        server.execute(*command.split())


@pytest.fixture
def fault(request: pytest.FixtureRequest, server: Redis) -> Iterator[str]:
    """The name of a fault, which is over after the test whatever happened."""
    yield request.param
    say(server, {**REFUSES_WRITES, **REFUSES_ALL}[request.param][1])


@pytest.mark.parametrize("fault", REFUSES_WRITES, indirect=True)
def test_refused_writes_are_a_503_and_reading_goes_on(server: Redis, site: Site, fault: str) -> None:
    begin, end = REFUSES_WRITES[fault]
    say(server, begin)
    assert "still logged in" in site.answers("/count", 503)
    assert site.answers("/who", 200) == "ada 0"
    say(server, end)
    site.answers("/count", 200)
    assert site.answers("/who", 200) == "ada 1"


@pytest.mark.parametrize("fault", REFUSES_ALL, indirect=True)
def test_refused_reads_are_a_503_and_no_logout(server: Redis, site: Site, fault: str) -> None:
    begin, end = REFUSES_ALL[fault]
    say(server, begin)
    for path in ("/who", "/count", "/logout"):
        assert "still logged in" in site.answers(path, 503)
    say(server, end)
    assert site.answers("/who", 200).startswith("ada")


@pytest.mark.parametrize("fault", [*REFUSES_WRITES, *REFUSES_ALL], indirect=True)
def test_a_save_that_is_refused_reports_no_success(server: Redis, site: Site, fault: str) -> None:
    begin, end = {**REFUSES_WRITES, **REFUSES_ALL}[fault]
    site.meanwhile = lambda: say(server, begin)
    assert "still logged in" in site.answers("/count", 503)
    site.meanwhile = lambda: None
    say(server, end)
    assert site.answers("/who", 200) == "ada 0"
    site.answers("/count", 200)


@pytest.mark.parametrize("fault", ["OOM"], indirect=True)
def test_everyone_can_log_out_where_memory_is_full(server: Redis, site: Site, fault: str) -> None:
    say(server, REFUSES_WRITES[fault][0])
    site.answers("/logout", 200)
    assert site.answers("/who", 200) == "None None"


def test_a_port_that_never_answers(server: Redis) -> None:
    proxy = Proxy(server.port)
    url = f"redis://127.0.0.1:{proxy.port}/0"
    sites = logged_in(url)
    site = next(sites)
    proxy.swallow = True
    for path in ("/who", "/count", "/logout"):
        assert "still logged in" in site.answers(path, 503)
    with pytest.raises(StoreUnavailable):
        open_store(url).load(KEY)
    proxy.swallow = False
    assert site.answers("/who", 200) == "ada 0"
    next(sites, None)
    proxy.close()


def test_a_port_that_nobody_listens_at() -> None:
    store = open_store(f"redis://127.0.0.1:{free_port()}/0")
    for operation in (
        lambda: store.load(KEY),
        lambda: store.create(KEY, make_record()),
        lambda: store.delete(KEY),
        lambda: store.sessions_of("ada"),
        lambda: store.live_sessions(1),
        lambda: store.count(),
    ):
        with pytest.raises(StoreUnavailable):
            operation()


def test_a_script_that_runs_for_ever(server: Redis, site: Site) -> None:
    server.execute("CONFIG", "SET", "busy-reply-threshold", 10)
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(server.execute, "EVAL", "while true do end", 0)
        try:
            wait_for(lambda: busy(server))
            for path in ("/who", "/count", "/logout"):
                assert "still logged in" in site.answers(path, 503)
        finally:
            server.execute("SCRIPT", "KILL")
        with pytest.raises(redis.ResponseError):
            endless.result()
    assert site.answers("/who", 200) == "ada 0"


def busy(server: Redis) -> bool:
    with suppress(redis.TimeoutError):
        try:
            server.execute("GET", "nothing")
        except redis.ResponseError as error:
            return "BUSY" in str(error)
    return False


def test_sessions_are_there_again_once_redis_has_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # It looks after its clients while it loads, and takes its time for each key.
    with Redis(tmp_path, "--rdbcompression", "no", "--loading-process-events-interval-bytes", "1024") as server:
        sites = logged_in(server.url)
        site = next(sites)
        for number in range(200):
            server.execute("SET", f"filler{number}", "x" * 512)
        server.execute("SAVE")
        server.kill()
        server._command += ["--key-load-delay", "10000"]
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(server.start)
            wait_for(lambda: is_loading(server))
            assert not starting.done()
            for path in ("/who", "/count", "/logout"):
                assert "still logged in" in site.answers(path, 503)
            starting.result()
        assert "it is loading its data" in caplog.text
        assert site.answers("/who", 200) == "ada 0"
        site.answers("/count", 200)
        next(sites, None)


def is_loading(server: Redis) -> bool:
    try:
        server.execute("GET", "nothing")
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        pass
    return False


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_password_that_was_changed_logs_nobody_out(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        server.execute("ACL", "SETUSER", "app", "on", ">right", "~*", "&*", "+@all")
        sites = logged_in(f"redis://app:right@127.0.0.1:{server.port}/0")
        site = next(sites)
        cookie = site.browser.cookies["session"]
        server.execute("ACL", "SETUSER", "app", "resetpass", ">other")
        server.execute("CLIENT", "KILL", "USER", "app")
        for path in ("/who", "/count", "/logout"):
            with pytest.raises(StoreError) as caught:
                site.browser.post(path)
            assert "right" not in str(caught.value)
        assert site.browser.cookies["session"] == cookie
        server.execute("ACL", "SETUSER", "app", "resetpass", ">right")
        assert site.answers("/who", 200) == "ada 0"
        site.answers("/count", 200)
        next(sites, None)


def test_the_user_of_the_page_may_do_what_the_store_needs(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        server.execute(*named_blocks("howto/redis.rst")["redis-acl"].text.split())
        store = open_store(f"redis://app:password@127.0.0.1:{server.port}/0")
        created = store.create(KEY, make_record(userid="ada"))
        updated = store.update(KEY, created._replace(userid="bob"))
        assert [key for key, _ in store.sessions_of("bob")] == [KEY]
        assert store.sessions_of("ada") == []
        assert store.delete(KEY, updated)
        server.execute("SCRIPT", "FLUSH")
        store.create(KEY, make_record(userid="ada"))
        assert store.count() == len(store.live_sessions(9)) == len(store.find_keys("", 9)) == 1
        assert store.clear() == 1
        with pytest.raises(StoreError):
            store.client.call("FLUSHALL", again=False)
        store.close()


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        for name in ("redis-conf", "redis-replicas"):
            for line in named_blocks("howto/redis.rst")[name].text.splitlines():
                server.execute("CONFIG", "SET", *line.split())
        server.kill()  # asked to stop, it would write its file first
