from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis as Driver

from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.testing.conformance import StoreConformance
from tests.servers.process import free_port
from tests.servers.redis import Redis

pytestmark = pytest.mark.servers


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


class TestRedisStore(StoreConformance):
    @pytest.fixture
    def store(self, store: RedisStore) -> RedisStore:
        return store

    def unreachable(self) -> RedisStore:
        return RedisStore(f"redis://127.0.0.1:{free_port()}")

    def damage(self, store: RedisStore, key: str) -> None:
        store.client.call("SET", f"sessionkit:{key}", b'["word",1,2,3]\n{}', again=False)
