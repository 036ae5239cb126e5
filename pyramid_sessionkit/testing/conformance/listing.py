"""Lists, counts and removes all: ``IListable``."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import IContentsUpdate, IListable, IUserIndex
from pyramid_sessionkit.testing.conformance.records import (
    DAY,
    KEY,
    OTHER_KEY,
    expired_record,
    make_record,
    numbered,
    types_of,
)


class Listing:
    def test_those_that_last_longest_are_listed_first(self, store: Any) -> None:
        _needs_list(store)
        now = int(time.time())
        lasting: list[dict[str, Any]] = [
            {"timeout": None, "deadline": None},
            {"timeout": None, "deadline": now + 400 * DAY},
            {"timeout": 40 * DAY, "deadline": None},
            {"timeout": 1200, "renewed": now, "deadline": None},
            {"timeout": 1200, "renewed": now - 700, "deadline": None},
            {"timeout": 60 * DAY, "deadline": now + 5, "userid": "ada"},
        ]
        keys = [numbered(7 * number % 10) for number in range(len(lasting))]
        for number in (3, 0, 5, 1, 4, 2):
            store.create(keys[number], make_record(b'{"much":1}', **lasting[number]))
        store.create(KEY, expired_record())
        store.create(OTHER_KEY, expired_record(1, timeout=40 * DAY, renewed=now - 40 * DAY - 1))
        listed = list(store.live_sessions(99))
        assert [key for key, _ in listed] == keys
        assert [record for _, record in listed] == [store.load(key).without_contents() for key in keys]
        for limit in range(len(keys)):
            assert list(store.live_sessions(limit)) == listed[:limit]

    def test_many_that_never_expire_are_listed(self, store: Any) -> None:
        _needs_list(store)
        for number in range(5):
            store.create(numbered(number), make_record(timeout=None, deadline=None))
        store.create(KEY, make_record())
        assert len({key for key, _ in store.live_sessions(3)} - {KEY}) == 3
        assert len({key for key, _ in store.live_sessions(5)} - {KEY}) == 5
        assert [key for key, _ in store.live_sessions(6)][5:] == [KEY]

    def test_what_was_listed_cannot_be_written_back(self, store: Any) -> None:
        _needs_list(store)
        created = store.create(KEY, make_record(userid="ada"))
        ((key, listed),) = store.live_sessions(9)
        assert (key, listed.userid, listed.version) == (KEY, "ada", None)
        assert store.update(KEY, listed) is None
        assert store.update(KEY, listed._replace(userid=None, authenticated=None)) is None
        if IContentsUpdate.providedBy(store):
            assert store.update_contents(KEY, listed) is None
        assert store.delete(KEY, listed) is False
        assert store.load(KEY, fresh=True) == created

    def test_find_keys(self, store: Any) -> None:
        _needs_list(store)
        keys = [start + "x" * 20 for start in ("aa", "aA", "aZ", "az", "a_", "a-", "a9", "Aa", "b0", "`0", "_a", "-a")]
        for key in keys:
            store.create(key, make_record(timeout=None, deadline=None))
        store.create("a1" + "x" * 20, expired_record(1))
        for prefix in ("", "a", "A", "aa", "aA", "az", "a_", "a%", "%", "_", "-", "b0x", keys[0], "c", "~"):
            assert sorted(store.find_keys(prefix, 99)) == sorted(key for key in keys if key.startswith(prefix))
        assert len(list(store.find_keys("a", 2))) == 2

    def test_count(self, store: Any) -> None:
        _needs_list(store)
        assert (store.count(), store.count(expired=True), store.clear()) == (0, 0, 0)
        long = 7 * DAY
        store.create(numbered(0), make_record())
        store.create(numbered(1), make_record(timeout=None, deadline=None))
        store.create(numbered(2), make_record(renewed=int(time.time()) - long + 9, timeout=long, deadline=None))
        store.create(numbered(3), make_record(renewed=int(time.time()) - long - 1, timeout=long, deadline=None))
        store.create(numbered(4), make_record(timeout=None, deadline=int(time.time()) - 1))
        store.create(numbered(5), make_record(renewed=int(time.time()) + DAY, deadline=int(time.time()) - 1))
        store.create(numbered(6), make_record(verifier=""))  # nothing opens it: it is no session
        assert (store.count(), store.count(expired=True)) == (3, 3)
        assert store.clear() == 7
        assert (store.count(), store.count(expired=True)) == (0, 0)
        assert store.load(numbered(0)) is None

    def test_a_list_shows_what_is_stored_now(self, store: Any) -> None:
        _needs_list(store)
        first = store.create(KEY, make_record())
        store.create(OTHER_KEY, make_record(timeout=2400))
        assert [key for key, _ in store.live_sessions(9)] == [OTHER_KEY, KEY]
        stored = store.update(KEY, first._replace(userid="ada", authenticated=5, timeout=None, deadline=None))
        assert list(store.live_sessions(1)) == [(KEY, stored.without_contents())]
        assert types_of(next(iter(store.live_sessions(1)))[1]) == types_of(stored)
        store.delete(KEY)
        assert [key for key, _ in store.live_sessions(9)] == list(store.find_keys("", 9)) == [OTHER_KEY]
        assert store.count() == 1

    def test_a_limit_of_none_at_all_lists_nothing(self, store: Any) -> None:
        _needs_list(store)
        store.create(KEY, make_record())
        assert list(store.live_sessions(0)) == list(store.find_keys("", 0)) == []

    def test_many_sessions_are_all_counted_and_removed(self, store: Any) -> None:
        _needs_list(store)
        keys = [numbered(number) for number in range(120)]
        for key in keys:
            store.create(key, make_record(userid="ada"))
        assert store.count() == 120
        assert sorted(key for key, _ in store.live_sessions(999)) == sorted(store.find_keys("", 999)) == keys
        assert store.clear() == 120
        assert store.count() == 0
        assert [store.load(key) for key in keys] == [None] * 120

    def test_nothing_remembers_what_was_cleared(self, store: Any) -> None:
        _needs_list(store)
        first = store.create(KEY, make_record(userid="ada"))
        assert store.clear() == 1
        assert list(store.live_sessions(9)) == list(store.find_keys("", 9)) == []
        assert store.load(KEY, fresh=True) is None
        assert store.update(KEY, first) is None
        if IUserIndex.providedBy(store):
            assert list(store.sessions_of("ada")) == []
        assert store.create(KEY, make_record()) is not None
        assert store.load(KEY) is not None


def _needs_list(store: Any) -> None:
    if not IListable.providedBy(store):
        pytest.skip("this store has no IListable")
