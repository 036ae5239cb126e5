from __future__ import annotations

import contextlib
import random
import time
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import GRACE, Record, unreadable
from pyramid_sessionkit.stores import memory, memory_order
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


def test_a_login_finds_room_where_all_are_logged_in() -> None:
    store = MemoryStore(max_sessions=3)
    for name in ("ada", "bob", "eve"):
        assert store.create(name, make_record(userid=name))
    assert store.create("new", make_record(userid="ada"))
    assert there(store, "ada", "bob", "eve", "new") == [False, True, True, True]
    # Visitors who come then take the place of a visitor.
    for number in range(9):
        assert store.create(f"{number}", make_record())
    assert there(store, "bob", "eve", "new", "8") == [False, True, True, True]


def test_a_flood_of_visitors_ends_nobodys_login() -> None:
    store = MemoryStore(max_sessions=500)
    users = [f"user {number}" for number in range(50)]
    for user in users:
        store.create(user, make_record(userid=user))
    visitors = [f"visitor {number}" for number in range(5000)]
    for visitor in visitors:
        assert store.create(visitor, make_record())
    assert all(there(store, *users))
    assert [visitor for visitor in visitors if store.load(visitor)] == visitors[-450:]
    assert store.count() == 500


def test_what_was_written_last_stays_longest() -> None:
    store = MemoryStore(max_sessions=3)
    first, second, _ = (store.create(key, make_record(renewed=5, timeout=None, deadline=None)) for key in "abc")
    assert first
    assert second
    store.update("a", first)
    store.create("d", make_record())
    assert there(store, *"abcd") == [True, False, True, True]
    store.create("e", make_record())
    assert there(store, *"acde") == [True, False, True, True]


def test_a_login_keeps_a_session_that_was_anonymous() -> None:
    store = MemoryStore(max_sessions=2)
    first = store.create("a", make_record())
    assert first
    store.create("b", make_record())
    login = store.update("a", first._replace(userid="ada", authenticated=5))
    assert login
    store.create("c", make_record())
    assert there(store, *"abc") == [True, False, True]
    store.update("a", login._replace(userid=None, authenticated=None))
    store.create("d", make_record())
    assert there(store, *"acd") == [True, False, True]


def test_a_full_store_says_so_once_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(max_sessions=1)
    for at in (100, 101, 159, 160, 161):
        monkeypatch.setattr(memory, "monotonic", lambda at=at: at)
        for number in range(10):
            store.create(f"{at} {number}", make_record())
    ended = [record.args for record in caplog.records]
    assert ended == [(1,), (29,)]


@pytest.mark.parametrize("seed", range(20))
def test_the_expired_are_found_whatever_was_changed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against looking through all of them."""
    monkeypatch.setattr(memory_order, "SPARE", 5)
    rng = random.Random(seed)
    now = int(time.time())
    store = MemoryStore()

    def limits() -> dict[str, Any]:
        return {
            "renewed": now - rng.randrange(1500),
            "timeout": rng.choice([None, 1000, 2000]),
            "deadline": rng.choice([None, now - 100, now + 1000]),
        }

    for _ in range(400):
        key = f"{rng.randrange(30)}"
        stored = store.load(key, at=0)
        if stored is None:
            store.create(key, make_record(**limits(), userid=rng.choice([None, "ada"])))
        elif rng.random() < 0.2:
            store.delete(key)
        elif rng.random() < 0.5:
            store.update(key, stored._replace(renewed=stored.renewed + rng.randrange(2000)))
        else:
            store.update(key, stored._replace(**dict([rng.choice([*limits().items(), ("userid", "bob")])])))
    left: dict[str, Record] = dict(store._records)
    assert len(store._order._ends) <= 2 * len(left) + 6
    for at in range(now - 3000, now + 4000, 300):
        monkeypatch.setattr(memory, "time", lambda at=at: at)
        store.purge()
        left = {key: record for key, record in left.items() if not record.expired(at - GRACE)}
        assert store._records == left


@pytest.mark.parametrize("owner", [None, "ada"])
@pytest.mark.parametrize("step", ["_index", "added", "used", "removed"])
def test_a_change_that_was_interrupted_breaks_no_later_one(
    step: str, owner: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*args: Any) -> None:
        raise Interrupted

    store = MemoryStore(max_sessions=2)
    store.create("a", make_record(userid=owner))
    for change in ("create", "update", "change of user", "delete", "eviction"):
        key = change if change in ("create", "eviction") else "a"
        stored = store.load(key) or make_record(userid=owner)
        with monkeypatch.context() as patch:
            patch.setattr(store if step == "_index" else store._order, step, interrupt)
            with contextlib.suppress(Interrupted):
                if key != "a":
                    store.create(key, stored)
                elif change == "delete":
                    store.delete(key)
                else:
                    store.update(key, stored._replace(userid="bob" if change == "change of user" else owner))
        for number in range(5):
            assert store.create(f"{change} {number}", make_record(userid=owner))
            store.sessions_of("ada")
            store.sessions_of("bob")
        store.create("a", make_record(userid=owner))
        found = store.load("a")
        assert found is None or store.update("a", found)
        store.purge()
    for user in ("ada", "bob"):
        assert all(record.userid == user for _, record in store.sessions_of(user))
    assert store.clear() == 2


def test_a_purge_of_what_was_renewed_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    store, now, corrected = MemoryStore(), int(time.time()), []
    for number in range(1600):
        created = store.create(f"{number}", make_record(renewed=now, timeout=1000, deadline=None))
        assert created
        if number:
            store.update(f"{number}", created._replace(renewed=now + 900))
    monkeypatch.setattr(memory, "time", lambda: now + 1000 + GRACE)
    replace = memory_order.heapreplace
    monkeypatch.setattr(memory_order, "heapreplace", lambda *args: corrected.append(args) or replace(*args))
    assert store.purge() == 1
    assert store.count() == 1599
    assert len(corrected) <= 101


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
