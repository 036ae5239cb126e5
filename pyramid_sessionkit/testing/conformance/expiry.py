"""Sessions end when their records say so: not earlier, not later, and without purging."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import GRACE, IContentsUpdate, IListable, IUserIndex
from pyramid_sessionkit.testing.conformance.records import (
    DAY,
    EXPIRED,
    KEY,
    OTHER_KEY,
    each_limit,
    make_record,
    numbered,
)


class Expiry:
    @each_limit
    def test_the_expired_are_gone_without_purging(self, store: Any, limit: str) -> None:
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE + 5)))
        assert store.load(KEY) is None
        assert store.load(KEY, fresh=True) is None
        assert store.update(KEY, first._replace(renewed=int(time.time()), deadline=None)) is None
        assert store.load(KEY) is None

    @each_limit
    def test_they_are_judged_at_the_time_that_is_asked_for(self, store: Any, limit: str) -> None:
        now = int(time.time())
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE - 30)))
        assert store.load(KEY, at=now - 3600) == first
        assert store.load(KEY, fresh=True, at=now - GRACE) == first
        assert store.load(KEY, at=now) is None
        store.create(OTHER_KEY, make_record())
        assert store.load(OTHER_KEY, at=now + DAY) is None

    @each_limit
    def test_what_expired_a_moment_ago_can_be_saved(self, store: Any, limit: str) -> None:
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE - 30)))
        loaded = store.load(KEY, at=time.time() - GRACE)
        assert loaded == first
        saved = store.update(KEY, loaded._replace(data=b"{}", renewed=int(time.time()), deadline=None))
        assert saved is not None
        assert store.load(KEY) == saved

    @each_limit
    def test_what_expired_a_minute_ago_cannot(self, store: Any, limit: str) -> None:
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE + 1)))
        loaded = store.load(KEY, at=time.time() - DAY)
        for record in (first, *([loaded] if loaded else [])):
            assert store.update(KEY, record._replace(renewed=int(time.time()), deadline=None)) is None
        assert store.load(KEY) is None

    @pytest.mark.parametrize(
        ("timeout", "fields"),
        [
            (1200, {"created": -DAY, "renewed": 0}),
            (1200, {"renewed": -1100}),
            (60, {"renewed": 600}),
            (3 * DAY, {"renewed": -2 * DAY, "deadline": 30}),
            (None, {"created": -DAY, "renewed": -DAY, "deadline": 30}),
        ],
        ids=["old", "idle", "renewed ahead", "deadline", "no timeout"],
    )
    def test_it_does_not_end_early(self, store: Any, timeout: int | None, fields: dict[str, int]) -> None:
        now = int(time.time())
        times: dict[str, Any] = {"deadline": None, **{name: now + after for name, after in fields.items()}}
        created = store.create(KEY, make_record(timeout=timeout, **times))
        assert store.load(KEY) == created
        assert store.load(KEY, at=created.expires - 1) == created
        assert store.load(KEY, at=created.expires) is None

    def test_it_expires_in_time(self, store: Any) -> None:
        """Waits once, for all that a server might remove by a clock of its own: a record, or what lists go by."""
        ends, late, shortened, extended, renewed, lasting = (numbered(number) for number in range(6))
        now = int(time.time())
        short = make_record(renewed=now, timeout=3, userid="ada", authenticated=5)
        long = make_record(userid="ada", authenticated=5)
        idle = make_record(renewed=now - 1197, userid="ada", authenticated=5)
        renew = store.update_contents if IContentsUpdate.providedBy(store) else store.update
        store.create(ends, short)
        last = store.create(late, short)
        store.update(shortened, short.versioned(store.create(shortened, long).version))
        store.update(extended, long.versioned(store.create(extended, short).version))
        renew(renewed, store.create(renewed, idle).renewed_with(b"{}", now))
        store.create(lasting, long)
        assert None not in [store.load(key) for key in (ends, late, shortened, extended, renewed, lasting)]

        time.sleep(max(0.0, now + 3.1 - time.time()))
        assert [store.load(key) for key in (ends, late, shortened)] == [None] * 3
        assert None not in [store.load(key) for key in (extended, renewed, lasting)]
        _check_lists(store, [extended, renewed, lasting])
        saved = store.update(late, last._replace(data=b"{}", renewed=int(time.time()), timeout=1200))
        assert saved is not None
        assert store.load(late) == saved

    def test_an_update_counts_from_its_own_times(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        over = store.update(KEY, first._replace(**EXPIRED["timeout"](GRACE + 5)))
        assert over is not None
        assert store.load(KEY) is None
        assert store.update(KEY, over._replace(renewed=int(time.time()))) is None


def _check_lists(store: Any, live: list[str]) -> None:
    if IUserIndex.providedBy(store):
        assert [key for key, _ in store.sessions_of("ada")] == live
    if IListable.providedBy(store):
        assert sorted(key for key, _ in store.live_sessions(9)) == live
        assert sorted(store.find_keys("", 9)) == live
        assert store.count() == len(live)
