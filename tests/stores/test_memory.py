from __future__ import annotations

from typing import Any

import pytest

from pyramid_sessionkit.interfaces import unreadable
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.testing.conformance import StoreConformance, expired_record, make_record


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def there(store: MemoryStore, *keys: str) -> list[bool]:
    return [store.load(key, at=0) is not None for key in keys]


def test_a_full_store_drops_the_expired_first() -> None:
    store = MemoryStore(max_sessions=3)
    store.create("expired", expired_record())
    store.create("anonymous", make_record(created=1))
    store.create("user", make_record(userid="ada", created=1))
    store.create("new", make_record())
    assert there(store, "expired", "anonymous", "user", "new") == [False, True, True, True]


def test_also_those_that_expired_this_minute(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_sessions=3)
    store.create("expired", expired_record(5, userid="ada"))
    store.create("anonymous", make_record(renewed=1, timeout=None, deadline=None))
    store.create("user", make_record(userid="ada"))
    store.create("new", make_record())
    assert there(store, "expired", "anonymous", "user", "new") == [False, True, True, True]
    assert caplog.text == ""


def test_a_full_store_drops_the_anonymous_before_the_unused(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_sessions=3)
    forever: dict[str, Any] = {"timeout": None, "deadline": None}
    store.create("unused user", make_record(userid="ada", created=3, renewed=3, **forever))
    store.create("anonymous", make_record(renewed=9, **forever))
    store.create("old user", make_record(userid="ada", created=1, renewed=5, **forever))
    store.create("new", make_record(userid="ada", renewed=7, **forever))
    assert there(store, "unused user", "anonymous", "old user", "new") == [True, False, True, True]
    store.create("newer", make_record(userid="ada", renewed=8, **forever))
    assert there(store, "unused user", "old user", "new", "newer") == [False, True, True, True]
    assert store.count() == 3
    assert [key for key, _ in store.sessions_of("ada")] == ["new", "newer", "old user"]
    assert "1 live sessions ended; raise sessionkit.memory.max_sessions" in caplog.text


def test_a_login_is_never_refused_for_room() -> None:
    store = MemoryStore(max_sessions=1)
    for number in range(3):
        created = store.create(f"{number}", make_record())
        assert created
        assert store.update(f"{number}", created._replace(userid="ada", authenticated=number)) is not None


def test_nothing_is_kept_for_users_who_left() -> None:
    store = MemoryStore()
    created = store.create("a", make_record(userid="ada"))
    assert created
    store.update("a", created._replace(userid="bob"))
    store.create("b", make_record(userid="bob"))
    store.create("c", expired_record(userid="eve"))
    assert set(store._keys_of) == {"bob", "eve"}
    store.purge()
    store.delete("a")
    assert set(store._keys_of) == {"bob"}
    store.clear()
    assert store._keys_of == {}


def test_the_record_of_another_store_is_no_version() -> None:
    store = MemoryStore()
    created = store.create("a", make_record())
    assert created
    assert store.update("a", unreadable("x")) is None
    assert store.delete("a", unreadable("x")) is False
    assert store.load("a") == created
