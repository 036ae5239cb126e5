"""Removes what has expired: ``IPurgeable``."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import GRACE, IListable, IPurgeable, IUserIndex
from pyramid_sessionkit.testing.conformance.at_once import in_threads
from pyramid_sessionkit.testing.conformance.records import (
    DAY,
    EXPIRED,
    KEY,
    OTHER_KEY,
    each_limit,
    expired_record,
    make_record,
    numbered,
    unversioned,
)


class Purging:
    def test_purge(self, store: Any) -> None:
        _needs_purge(store)
        for number in range(5):
            store.create(numbered(number), expired_record())
        store.create(KEY, make_record())
        store.create(OTHER_KEY, make_record(timeout=None, deadline=None))
        assert store.purge(2) == 2
        assert store.purge() == 3
        assert store.purge() == 0
        assert store.load(KEY) is not None
        assert store.load(OTHER_KEY) is not None
        assert store.create(numbered(0), make_record()) is not None

    @each_limit
    def test_purging_leaves_what_can_still_be_saved(self, store: Any, limit: str) -> None:
        _needs_purge(store)
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE - 30)))
        assert store.purge() == 0
        assert store.update(KEY, first._replace(renewed=int(time.time()), deadline=None)) is not None
        assert store.load(KEY) is not None

    def test_purging_takes_nothing_that_is_alive(self, store: Any) -> None:
        _needs_purge(store)
        now = int(time.time())
        long_ago = now - 40 * DAY
        alive: list[dict[str, Any]] = [
            {"timeout": None, "deadline": None},
            {"created": long_ago, "renewed": long_ago, "timeout": None, "deadline": now + 30},
            {"created": long_ago, "renewed": now, "timeout": 60, "deadline": None},
            {"created": long_ago, "renewed": long_ago, "timeout": 41 * DAY, "deadline": None},
            {"renewed": now - 1100, "timeout": 1200, "userid": "ada"},
        ]
        for number, fields in enumerate(alive):
            store.create(numbered(number), make_record(**fields))
        assert store.purge() == 0
        assert None not in [store.load(numbered(number)) for number in range(len(alive))]

    def test_a_session_that_was_renewed_is_not_purged(self, store: Any) -> None:
        _needs_purge(store)
        first = store.create(KEY, make_record(**EXPIRED["timeout"](GRACE - 30)))
        renewed = store.update(KEY, first._replace(renewed=int(time.time()), timeout=1200))
        other = store.create(OTHER_KEY, make_record())
        store.update(OTHER_KEY, other._replace(**EXPIRED["timeout"](DAY)))
        assert store.purge() == 1
        assert store.load(KEY) == renewed

    def test_a_limit_of_none_at_all_purges_nothing(self, store: Any) -> None:
        _needs_purge(store)
        store.create(KEY, expired_record())
        assert store.purge(0) == 0
        assert store.purge(1) == 1

    def test_what_was_purged_is_in_no_list(self, store: Any) -> None:
        _needs_purge(store)
        first = store.create(KEY, expired_record(userid="ada"))
        assert store.purge() == 1
        assert store.load(KEY, fresh=True, at=0) is None
        assert store.update(KEY, first._replace(renewed=int(time.time()))) is None
        if IListable.providedBy(store):
            assert store.count(expired=True) == 0
        if IUserIndex.providedBy(store):
            assert list(store.sessions_of("ada")) == []

    def test_purging_tells_what_it_removed(self, store: Any) -> None:
        _needs_purge(store)
        stored = {}
        for number in range(3):
            stored[numbered(number)] = store.create(numbered(number), expired_record(userid="ada", authenticated=5))
        store.create(KEY, make_record())
        told: list[Any] = []
        assert store.purge(1, lambda *item: told.append(item)) == len(told) == 1
        assert store.purge(tell=lambda *item: told.append(item)) == 2
        assert {key: unversioned(record) for key, record in told} == {
            key: unversioned(record) for key, record in stored.items()
        }
        assert store.purge(None, lambda *item: told.append(item)) == 0
        assert len(told) == 3

    def test_purges_at_once_tell_each_session_once(self, store: Any) -> None:
        _needs_purge(store)
        keys = [numbered(number) for number in range(20)]
        for key in keys:
            store.create(key, expired_record())
        told: list[str] = []
        removed = in_threads(lambda number: store.purge(None, lambda key, record: told.append(key)))
        assert sorted(told) == keys
        assert sum(removed) == len(keys)


def _needs_purge(store: Any) -> None:
    if not IPurgeable.providedBy(store):
        pytest.skip("this store has no IPurgeable")
