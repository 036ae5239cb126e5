"""Sessions in Redis with Sentinel: a replica takes over, and clients find it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pyramid_sessionkit import StoreUnavailable
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.testing.conformance import KEY, StoreConformance, make_record
from tests.servers.process import free_port
from tests.servers.redis_sentinel import NAME, RedisSentinel, is_replica, wait_until
from tests.stores.test_outages import Site
from tests.stores.test_redis_outages import LONG, open_store

pytestmark = pytest.mark.servers

SECONDS = 20


@pytest.fixture
def sentinel(servers: RedisSentinel) -> Iterator[RedisSentinel]:
    """The same, and whole again after the test."""
    yield servers
    servers.repair()


@pytest.fixture
def store(sentinel: RedisSentinel) -> Iterator[RedisStore]:
    sentinel.primary.execute("FLUSHALL")
    store = open_store(sentinel.url)
    yield store
    store.close()


class TestRedisSentinel(StoreConformance):
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; the scripts are those of one server

    @pytest.fixture
    def store(self, sentinel: RedisSentinel) -> Iterator[RedisStore]:
        self.servers = sentinel
        sentinel.primary.execute("FLUSHALL")
        store = open_store(sentinel.url, LONG)
        yield store
        store.close()

    def unreachable(self) -> RedisStore:
        return open_store(f"redis+sentinel://127.0.0.1:{free_port()}/{NAME}/0")

    def damage(self, store: RedisStore, key: str) -> None:
        self.servers.primary.execute("SET", f"sessionkit:session:{key}", "nothing of ours")


@pytest.fixture
def site(store: RedisStore) -> Site:
    site = Site(store)
    site.answers("/login", 200)
    site.answers("/count", 200)
    return site


def count_until_well(site: Site) -> int:
    """Count until it works again; how often it was answered with a 503."""
    deadline = time.monotonic() + SECONDS
    refused = 0
    while True:
        cookie = site.browser.cookies["session"]
        status = site.browser.post("/count", status="*").status_int
        assert status in (200, 503)
        assert site.browser.cookies["session"] == cookie
        if status == 200:
            return refused
        refused += 1
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_was_acknowledged_survives_a_failover(sentinel: RedisSentinel, site: Site) -> None:
    new = sentinel.replica
    sentinel.fail_over()
    count_until_well(site)
    assert site.answers("/who", 200) == "ada 2"
    assert new.execute("DBSIZE") > 0
    assert sentinel.primary is new
    site.answers("/logout", 200)
    assert site.answers("/who", 200) == "None None"


def test_a_failover_between_load_and_save_is_no_logout(sentinel: RedisSentinel, site: Site) -> None:
    site.meanwhile = sentinel.fail_over
    site.browser.post("/count", status="*")
    site.meanwhile = lambda: None
    count_until_well(site)
    assert site.answers("/who", 200) in ("ada 2", "ada 3")


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_the_replica_takes_over_from_a_lost_primary(sentinel: RedisSentinel, site: Site, fault: str) -> None:
    old, new = sentinel.primary, sentinel.replica
    getattr(old, fault)()
    assert "still logged in" in site.answers("/count", 503)
    sentinel.wait_for(new)
    count_until_well(site)
    counted = site.answers("/who", 200)
    assert counted == "ada 2"
    if fault == "kill":
        old.start()
    else:
        old.thaw()
    wait_until(lambda: is_replica(old))
    assert site.answers("/who", 200) == counted
    site.answers("/count", 200)


def test_a_primary_that_was_demoted_is_not_read_from(sentinel: RedisSentinel, site: Site) -> None:
    old, new = sentinel.primary, sentinel.replica
    sentinel.fail_over()
    site.answers("/logout", 200)
    assert old.execute("ROLE")[0] == "slave"
    assert new.execute("ROLE")[0] == "master"
    assert site.answers("/who", 200) == "None None"


def test_without_sentinels_sessions_go_on(sentinel: RedisSentinel, site: Site) -> None:
    sentinel.sentinel.kill()
    site.answers("/count", 200)
    assert site.answers("/who", 200) == "ada 2"
    newcomer = open_store(sentinel.url)
    with pytest.raises(StoreUnavailable):
        newcomer.create(KEY, make_record())
    sentinel.sentinel.start()
    assert newcomer.create(KEY, make_record())
    newcomer.close()
