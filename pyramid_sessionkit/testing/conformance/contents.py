"""What is stored comes back as it was, with the types that it had."""

from __future__ import annotations

import time
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from pyramid_sessionkit.interfaces import IContentsUpdate, IListable, IPurgeable, ISessionStore, IUserIndex
from pyramid_sessionkit.testing.conformance.records import (
    DAY,
    KEY,
    LARGEST,
    OTHER_KEY,
    difference,
    make_record,
    types_of,
    unversioned,
)

FULL: dict[str, Any] = {
    "verifier": "0123456789abcdef" * 4,
    "salt": "s-_" * 20,
    "replaced": 1_700_000_000_000_001,
    "userid": "Ada ÄÖ😀",
    "authenticated": 1_700_000_000_000_002,
    "credentials": "fedcba9876543210" * 4,
    "persistent": True,
    "own_timeout": True,
}
"""Fields that the record of an anonymous visitor does not have."""


class Contents:
    def test_it_is_a_store(self, store: Any) -> None:
        assert verifyObject(ISessionStore, store)
        for optional in (IContentsUpdate, IUserIndex, IListable, IPurgeable):
            if optional.providedBy(store):
                assert verifyObject(optional, store)

    def test_all_fields_come_back(self, store: Any) -> None:
        text = '{"text":"é\\u0000😀"}'.encode()
        record = make_record(text, **FULL)
        created = store.create(KEY, record)
        loaded = store.load(KEY)
        assert loaded == created
        assert unversioned(loaded) == record
        assert types_of(loaded) == types_of(created) == types_of(record)

    def test_they_come_back_from_an_update_too(self, store: Any) -> None:
        record = make_record(**FULL)
        created = store.create(KEY, make_record())
        updated = store.update(KEY, record.versioned(created.version))
        assert unversioned(updated) == record
        assert types_of(updated) == types_of(store.load(KEY, fresh=True)) == types_of(record)

    def test_no_limits_come_back_as_none(self, store: Any) -> None:
        record = make_record(timeout=None, deadline=None)
        store.create(KEY, record)
        assert unversioned(store.load(KEY)) == record

    def test_far_away_limits_come_back(self, store: Any) -> None:
        record = make_record(timeout=40 * DAY, deadline=int(time.time()) + 400 * DAY)
        store.create(KEY, record)
        assert unversioned(store.load(KEY)) == record

    def test_a_missing_record_is_none(self, store: Any) -> None:
        created = store.create(OTHER_KEY, make_record())
        assert store.load(KEY) is None
        assert store.load(KEY, fresh=True) is None
        assert store.load(KEY, at=0) is None
        assert store.update(KEY, created) is None
        assert store.delete(KEY) is False
        assert store.delete(KEY, created) is False
        assert store.load(KEY) is None

    def test_create_does_not_overwrite(self, store: Any) -> None:
        store.create(KEY, make_record(b'{"a":1}'))
        assert store.create(KEY, make_record(b'{"a":2}')) is None
        assert store.load(KEY).data == b'{"a":1}'

    def test_create_answers_for_what_is_stored(self, store: Any) -> None:
        """An expired record may still take its key, or not."""
        store.create(KEY, make_record(renewed=int(time.time()) - DAY))
        created = store.create(KEY, make_record(b'{"a":2}'))
        assert store.load(KEY, fresh=True) == created

    def test_an_update_replaces_all_fields(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        now = int(time.time())
        changed = make_record(
            b"{}",
            verifier="e" * 64,
            salt="salt",
            replaced=now * 1_000_000,
            userid="ada",
            credentials="c" * 64,
            created=now + 1,
            renewed=now + 1,
            timeout=None,
            deadline=now + 5,
            persistent=True,
            own_timeout=True,
        )
        stored = store.update(KEY, changed.versioned(first.version))
        assert unversioned(stored) == changed
        assert store.load(KEY, fresh=True) == stored

    def test_an_update_removes_what_is_none_now(self, store: Any) -> None:
        first = store.create(KEY, make_record(**FULL))
        plain = make_record(timeout=None, deadline=None)
        stored = store.update(KEY, plain.versioned(first.version))
        assert unversioned(stored) == plain
        assert store.load(KEY, fresh=True) == stored

    def test_binary_data_of_the_largest_size(self, store: Any) -> None:
        data = bytes(range(256)) * (LARGEST // 256)
        created = store.create(KEY, make_record(data))
        assert difference(store.load(KEY).data, data) is None
        store.update(KEY, created._replace(data=data[::-1]))
        assert difference(store.load(KEY).data, data[::-1]) is None

    @pytest.mark.parametrize("data", [b" {} \n", b"\0\0", b"\x80\xff", b"a\r\nb\n", b"%s'\"\\"])
    def test_contents_are_bytes_of_any_kind(self, store: Any, data: bytes) -> None:
        created = store.create(KEY, make_record(data))
        assert created.data == store.load(KEY).data == data
        store.update(KEY, created)
        assert store.load(KEY).data == data

    def test_a_record_that_was_loaded_stays_as_it_was(self, store: Any) -> None:
        first = store.create(KEY, make_record(b'{"a":1}'))
        loaded = store.load(KEY)
        store.update(KEY, first._replace(data=b'{"a":2}', userid="ada", authenticated=5))
        assert (loaded.data, loaded.userid) == (first.data, first.userid) == (b'{"a":1}', None)
