from __future__ import annotations

import pytest

from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.testing.conformance import StoreConformance, expired_record, make_record


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_a_full_store_drops_the_expired_first() -> None:
    store = MemoryStore(max_sessions=3)
    store.create("expired", expired_record())
    store.create("anonymous", make_record(created=1))
    store.create("user", make_record(userid="ada", created=1))
    store.create("new", make_record())
    assert [store.load(key) is not None for key in ("expired", "anonymous", "user", "new")] == [False, True, True, True]


def test_a_full_store_drops_the_anonymous_before_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_sessions=3)
    store.create("old user", make_record(userid="ada", created=1))
    store.create("anonymous", make_record(created=2))
    store.create("user", make_record(userid="ada", created=3))
    store.create("new", make_record(userid="ada", created=4))
    assert store.load("anonymous") is None
    store.create("newer", make_record(userid="ada", created=5))
    assert store.load("old user") is None
    assert store.count() == 3
    assert "sessionkit.memory.max_sessions" in caplog.text
