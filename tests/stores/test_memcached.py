from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyramid_sessionkit.stores.memcached import MemcachedStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.testing.conformance import StoreConformance
from tests.servers.memcached import Memcached
from tests.servers.process import free_port


class TestMemcachedStore(StoreConformance):
    @pytest.fixture
    def store(self, memcached: Memcached) -> Iterator[MemcachedStore]:
        memcached.flush()
        store = MemcachedStore(Nodes([memcached.address], 1))
        yield store
        store.close()

    def unreachable(self) -> MemcachedStore:
        return MemcachedStore(Nodes([f"127.0.0.1:{free_port()}"], 1))


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
    @pytest.fixture
    def store(self, three: list[Memcached]) -> Iterator[MemcachedStore]:
        for server in three:
            server.flush()
        store = MemcachedStore(Nodes([server.address for server in three], 1))
        yield store
        store.close()
