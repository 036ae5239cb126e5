"""``update_contents`` is an update."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import GRACE, IContentsUpdate
from pyramid_sessionkit.testing.conformance.at_once import in_threads
from pyramid_sessionkit.testing.conformance.records import (
    EXPIRED,
    KEY,
    LARGEST,
    difference,
    each_limit,
    make_record,
    types_of,
    unversioned,
)


class ContentsUpdate:
    def test_an_update_of_the_contents_is_an_update(self, store: Any) -> None:
        _needs_contents_update(store)
        first = store.create(KEY, make_record(userid="ada", authenticated=5))
        after = first.renewed_with(b'{"a":2}', first.renewed + 1)._replace(timeout=first.timeout - 1)
        second = store.update_contents(KEY, after)
        assert unversioned(second) == unversioned(after)
        assert types_of(second) == types_of(after)
        assert store.load(KEY) == second
        assert store.update_contents(KEY, after) is None
        assert store.delete(KEY)
        assert store.update_contents(KEY, second) is None
        assert store.load(KEY) is None

    def test_an_update_of_equal_contents_is_a_version(self, store: Any) -> None:
        _needs_contents_update(store)
        first = store.create(KEY, make_record())
        assert store.update_contents(KEY, first) is not None
        assert store.update_contents(KEY, first) is None
        assert store.update(KEY, first) is None
        assert store.delete(KEY, first) is False

    def test_contents_of_an_older_version_are_refused(self, store: Any) -> None:
        _needs_contents_update(store)
        first = store.create(KEY, make_record())
        second = store.update(KEY, first._replace(verifier="e" * 64))
        assert store.update_contents(KEY, first.with_data(b"{}")) is None
        assert store.load(KEY, fresh=True) == second
        third = store.update_contents(KEY, second.with_data(b"{}"))
        assert third.version not in (first.version, second.version)
        assert third.verifier == "e" * 64

    def test_updated_contents_may_be_of_the_largest_size(self, store: Any) -> None:
        _needs_contents_update(store)
        data = bytes(range(255, -1, -1)) * (LARGEST // 256)
        first = store.create(KEY, make_record())
        store.update_contents(KEY, first.with_data(data))
        assert difference(store.load(KEY).data, data) is None

    @each_limit
    def test_contents_can_be_saved_for_a_moment_after(self, store: Any, limit: str) -> None:
        _needs_contents_update(store)
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE - 30)))
        assert store.update_contents(KEY, first.renewed_with(b"{}", int(time.time()))) is not None
        assert store.load(KEY, at=time.time() - GRACE).data == b"{}"

    @each_limit
    def test_contents_cannot_be_saved_a_minute_after(self, store: Any, limit: str) -> None:
        _needs_contents_update(store)
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE + 1)))
        assert store.update_contents(KEY, first.renewed_with(b"{}", int(time.time()))) is None
        assert store.load(KEY) is None

    def test_one_of_many_updates_of_contents_wins(self, store: Any) -> None:
        _needs_contents_update(store)
        first = store.create(KEY, make_record())
        saved = in_threads(lambda n: store.update_contents(KEY, first.with_data(b"%d" % n)))
        assert [record for record in saved if record is not None] == [store.load(KEY)]


def _needs_contents_update(store: Any) -> None:
    if not IContentsUpdate.providedBy(store):
        pytest.skip("this store has no IContentsUpdate")
