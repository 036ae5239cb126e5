"""What every store promises: a class of tests that each store's own test module subclasses."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from pyramid_sessionkit.interfaces import ISessionStore, Record

KEY = "a" * 64
OTHER_KEY = "b" * 64


def make_record(data: bytes = b'{"a":1}', **fields: Any) -> Record:
    now = int(time.time())
    record = Record(data, None, None, None, now, now, 1200, now + 43200, False)
    return replace(record, **fields)


def later(monkeypatch: pytest.MonkeyPatch, seconds: int, *modules: str) -> None:
    moved = time.time() + seconds
    for module in modules:
        monkeypatch.setattr(f"{module}.time", lambda: moved)


class StoreContract:
    """Subclass it with a fixture ``store``, and the name of the store's module, whose clock is set."""

    module: str

    def test_is_a_store(self, store: Any) -> None:
        assert verifyObject(ISessionStore, store)

    def test_all_fields_come_back(self, store: Any) -> None:
        record = make_record(
            b'{"text":"\xc3\xa9\\u0000"}', userid="Ada ÄÖ", authenticated=5, credentials="abc", persistent=True
        )
        created = store.create(KEY, record)
        loaded = store.load(KEY)
        assert loaded == created
        assert replace(loaded, version=None) == record

    def test_no_limits_come_back_as_none(self, store: Any) -> None:
        store.create(KEY, make_record(timeout=None, deadline=None))
        loaded = store.load(KEY)
        assert loaded.timeout is None
        assert loaded.deadline is None

    def test_a_missing_record_is_none(self, store: Any) -> None:
        assert store.load(KEY) is None
        assert store.update(KEY, make_record(version=1)) is None
        assert store.move(KEY, OTHER_KEY, make_record(version=1)) is None
        assert store.delete(KEY) is False
        assert store.load(KEY) is None

    def test_create_does_not_overwrite(self, store: Any) -> None:
        store.create(KEY, make_record(b'{"a":1}'))
        assert store.create(KEY, make_record(b'{"a":2}')) is None
        assert store.load(KEY).data == b'{"a":1}'

    def test_update_compares_versions(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, replace(first, data=b'{"a":2}'))
        assert second.version != first.version
        assert store.update(KEY, replace(first, data=b'{"a":3}')) is None
        assert store.load(KEY) == second

    def test_move(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        moved = store.move(KEY, OTHER_KEY, replace(first, userid="ada"))
        assert store.load(KEY) is None
        assert store.load(OTHER_KEY) == moved
        assert moved.userid == "ada"
        assert store.update(KEY, first) is None

    def test_move_compares_versions(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, replace(first, data=b"{}"))
        assert store.move(KEY, OTHER_KEY, first) is None
        assert store.load(KEY) == second
        assert store.load(OTHER_KEY) is None

    def test_delete(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        assert store.delete(KEY) is True
        assert store.load(KEY) is None
        assert store.delete(KEY) is False
        assert store.update(KEY, first) is None
        assert store.load(KEY) is None

    @pytest.mark.parametrize("limits", [{"timeout": 60, "deadline": None}, {"timeout": None, "deadline": 60}])
    def test_the_expired_are_gone_without_purging(
        self, store: Any, limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if limits["deadline"]:
            limits = {**limits, "deadline": int(time.time()) + limits["deadline"]}
        first = store.create(KEY, make_record(**limits))
        later(monkeypatch, 61, self.module)
        assert store.load(KEY) is None
        assert store.update(KEY, replace(first, renewed=int(time.time()) + 61)) is None
        assert store.move(KEY, OTHER_KEY, first) is None

    def test_binary_data_and_size(self, store: Any) -> None:
        data = bytes(range(256)) * 1024
        store.create(KEY, make_record(data))
        assert store.load(KEY).data == data

    def test_one_of_many_updates_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        with ThreadPoolExecutor(8) as pool:
            saved = list(pool.map(lambda n: store.update(KEY, replace(first, data=b"%d" % n)), range(16)))
        winners = [record for record in saved if record is not None]
        assert len(winners) == 1
        assert store.load(KEY) == winners[0]

    def test_one_of_many_creations_wins(self, store: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda n: store.create(KEY, make_record(b"%d" % n)), range(16)))
        winners = [record for record in made if record is not None]
        assert len(winners) == 1
        assert store.load(KEY) == winners[0]

    def test_sessions_of_a_user(self, store: Any) -> None:
        store.create(KEY, make_record(userid="ada", created=20))
        store.create(OTHER_KEY, make_record(userid="ada", created=10))
        store.create("c" * 64, make_record(userid="Ada"))
        store.create("d" * 64, make_record(userid="ada "))
        store.create("e" * 64, make_record(userid="ada", timeout=1, renewed=5))
        assert [(key, record.userid) for key, record in store.sessions_of("ada")] == [
            (OTHER_KEY, "ada"),
            (KEY, "ada"),
        ]

    def test_purge(self, store: Any) -> None:
        for number in range(5):
            store.create(f"{number:064}", make_record(timeout=1, renewed=5))
        store.create(KEY, make_record())
        store.create(OTHER_KEY, make_record(timeout=None, deadline=None))
        assert store.count() == 2
        assert store.purge(2) == 2
        assert store.purge() == 3
        assert store.purge() == 0
        assert store.count() == 2
        assert store.clear() == 2
        assert store.load(KEY) is None
