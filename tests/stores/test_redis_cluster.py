"""Sessions in a Redis Cluster of three primaries: slots that move, and primaries that die."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyramid_sessionkit import StoreUnavailable
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.testing.conformance import StoreConformance, make_record, numbered
from tests.servers.process import free_port
from tests.servers.redis_cluster import ClusterNode, RedisCluster
from tests.servers.redis_sentinel import wait_until
from tests.stores.test_outages import BOUND, Site
from tests.stores.test_redis_outages import LONG, open_store

pytestmark = pytest.mark.servers

PREFIX = "sessionkit:session:"


@pytest.fixture
def store(cluster: RedisCluster) -> Iterator[RedisStore]:
    cluster.flush()
    store = open_store(cluster.url)
    yield store
    store.close()


class TestRedisCluster(StoreConformance):
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; the scripts are those of one server

    @pytest.fixture
    def store(self, cluster: RedisCluster) -> Iterator[RedisStore]:
        self.cluster = cluster
        cluster.flush()
        store = open_store(cluster.url, LONG)
        yield store
        store.close()

    def unreachable(self) -> RedisStore:
        return open_store(f"redis+cluster://127.0.0.1:{free_port()}")

    def damage(self, store: RedisStore, key: str) -> None:
        self.cluster.node_of(PREFIX + key).execute("SET", PREFIX + key, "nothing of ours")


@pytest.fixture
def site(store: RedisStore) -> Site:
    site = Site(store)
    site.answers("/login", 200)
    return site


def name_of(site: Site) -> str:
    """What the session of this site's browser is called in Redis."""
    key: str = site.browser.cookies["session"].partition(".")[0]
    return PREFIX + key


def test_sessions_are_spread_over_the_nodes(cluster: RedisCluster, store: RedisStore) -> None:
    for number in range(60):
        store.create(numbered(number), make_record(userid="ada"))
    assert all(node.execute("DBSIZE") > 5 for node in cluster.nodes)
    assert len(store.sessions_of("ada")) == 60
    assert len(list(store.live_sessions(100))) == 60


def test_a_slot_that_migrates_is_not_noticed(cluster: RedisCluster, site: Site) -> None:
    name = name_of(site)
    source = cluster.node_of(name)
    target = next(node for node in cluster.nodes if node is not source)
    slot = source.execute("CLUSTER", "KEYSLOT", name)
    try:
        begin_moving(slot, source, target)
        site.answers("/count", 200)  # it is still at home
        move_keys(slot, source, target)
        site.answers("/count", 200)  # it is asked for where the slot goes to
        finish_moving(slot, cluster, target)
        site.answers("/count", 200)  # MOVED
        assert site.answers("/who", 200) == "ada 3"
        assert target.execute("EXISTS", name) == 1
    finally:
        begin_moving(slot, target, source)
        move_keys(slot, target, source)
        finish_moving(slot, cluster, source)
    site.answers("/logout", 200)
    assert site.answers("/who", 200) == "None None"


def test_close_leaves_no_connection_open(cluster: RedisCluster) -> None:
    store = open_store(f"{cluster.url}?client_name=ours")
    for number in range(12):
        store.load(numbered(number))
    assert all("name=ours" in node.execute("CLIENT", "LIST") for node in cluster.nodes)
    store.close()
    wait_until(lambda: not any("name=ours" in node.execute("CLIENT", "LIST") for node in cluster.nodes))


def begin_moving(slot: int, source: ClusterNode, target: ClusterNode) -> None:
    target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", source.execute("CLUSTER", "MYID"))
    source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", target.execute("CLUSTER", "MYID"))


def move_keys(slot: int, source: ClusterNode, target: ClusterNode) -> None:
    for key in source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1000):
        source.execute("MIGRATE", "127.0.0.1", target.port, key, 0, 1000)


def finish_moving(slot: int, cluster: RedisCluster, target: ClusterNode) -> None:
    identity = target.execute("CLUSTER", "MYID")
    for node in (target, *(node for node in cluster.nodes if node is not target)):
        node.execute("CLUSTER", "SETSLOT", slot, "NODE", identity)


def test_a_frozen_primary_is_a_503_for_its_sessions(cluster: RedisCluster, site: Site) -> None:
    node = cluster.node_of(name_of(site))
    node.freeze()
    for path in ("/who", "/count", "/logout"):
        assert "still logged in" in site.answers(path, 503)
    node.thaw()
    cluster.wait()
    assert site.answers("/who", 200) in ("ada 0", "ada 1")  # what waited there may have been carried out
    site.answers("/count", 200)


def test_a_killed_primary_ends_no_session_of_another(cluster: RedisCluster, store: RedisStore, site: Site) -> None:
    own = cluster.node_of(name_of(site))
    killed = next(node for node in cluster.nodes if node is not own)
    killed.kill()
    wait_until_down(own)
    for path in ("/who", "/count", "/logout"):
        assert "still logged in" in site.answers(path, 503)
    killed.start()
    cluster.wait()
    assert site.answers("/who", 200) == "ada 0"
    site.answers("/count", 200)


def test_a_killed_primary_is_never_a_miss(cluster: RedisCluster, store: RedisStore) -> None:
    keys = [numbered(number) for number in range(12)]
    for key in keys:
        store.create(key, make_record(userid="ada"))
    killed = cluster.nodes[0]
    lost = [key for key in keys if cluster.node_of(PREFIX + key) is killed]
    killed.kill()
    assert lost
    for key in lost:
        is_an_outage(lambda key=key: store.load(key))
    for operation in (
        lambda: list(store.live_sessions(100)),
        lambda: store.find_keys("0", 9),
        store.count,
        store.clear,
    ):
        is_an_outage(operation)
    killed.start()
    cluster.wait()
    assert {key for key in keys if store.load(key) is None} == set(lost)


def is_an_outage(operation: Callable[[], Any]) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        operation()
    assert time.monotonic() - started < BOUND


def wait_until_down(node: ClusterNode) -> None:
    deadline = time.monotonic() + 20
    while "cluster_state:ok" in node.execute("CLUSTER", "INFO"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
