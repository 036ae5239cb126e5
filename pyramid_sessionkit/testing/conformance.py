"""The conformance suite for stores: what every store promises, as a class of pytest tests.

Subclass it in a test module of the store, with one fixture::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self):
            store = MyStore(...)
            yield store
            store.clear()

The store must be empty for each test. It needs no clock that can be set: records are made that have expired already.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from pyramid_sessionkit.exceptions import SessionGone, StoreUnavailable
from pyramid_sessionkit.interfaces import IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import Settings

KEY = "a" * 64
OTHER_KEY = "b" * 64

LARGEST = 262_144
"""Bytes of contents that every store takes: the default of ``sessionkit.max_size``."""

SECONDS = 60.0
"""How long a process of the suite may take."""


def make_record(data: bytes = b'{"a":1}', **fields: Any) -> Record:
    """An anonymous visitor's record of now, but for the given fields."""
    now = int(time.time())
    return replace(Record(data, None, None, None, now, now, 1200, now + 43200, False), **fields)


def expired_record(**fields: Any) -> Record:
    """A record whose time was over a minute ago."""
    now = int(time.time())
    return make_record(**{"created": now - 120, "renewed": now - 120, "timeout": 60, "deadline": None, **fields})


def unversioned(record: Record | None) -> Record | None:
    """The record without what is the store's own."""
    return record and replace(record, version=None)


class StoreConformance:
    """What every store promises. Optional interfaces are tested where the store provides them."""

    def unreachable(self) -> Any:
        """Override: a store of this kind whose server is not there."""
        pytest.skip("this store has no server that could be down")

    def test_it_is_a_store(self, store: Any) -> None:
        assert verifyObject(ISessionStore, store)
        for optional in (IUserIndex, IPurgeable):
            if optional.providedBy(store):
                assert verifyObject(optional, store)

    def test_all_fields_come_back(self, store: Any) -> None:
        text = '{"text":"é\\u0000😀"}'.encode()
        record = make_record(text, userid="Ada ÄÖ", authenticated=5, credentials="abc", persistent=True)
        created = store.create(KEY, record)
        loaded = store.load(KEY)
        assert loaded == created
        assert unversioned(loaded) == record

    def test_no_limits_come_back_as_none(self, store: Any) -> None:
        record = make_record(timeout=None, deadline=None)
        store.create(KEY, record)
        assert unversioned(store.load(KEY)) == record

    def test_far_away_limits_come_back(self, store: Any) -> None:
        days = 86400
        record = make_record(timeout=40 * days, deadline=int(time.time()) + 400 * days)
        store.create(KEY, record)
        assert unversioned(store.load(KEY)) == record

    def test_a_missing_record_is_none(self, store: Any) -> None:
        created = store.create(OTHER_KEY, make_record())
        assert store.load(KEY) is None
        assert store.load(KEY, True) is None
        assert store.update(KEY, created) is None
        assert store.move(KEY, "c" * 64, created) is None
        assert store.delete(KEY) is False
        assert store.load(KEY) is None
        assert store.load("c" * 64) is None

    def test_keys_differ_by_case(self, store: Any) -> None:
        store.create("k" * 64, make_record())
        assert store.load("K" * 64) is None

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
        third = store.update(KEY, replace(store.load(KEY), data=b'{"a":4}'))
        assert store.update(KEY, replace(second, data=b'{"a":5}')) is None
        assert store.load(KEY, True) == third

    def test_updates_with_equal_contents_are_versions_too(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        assert store.update(KEY, first) is not None
        assert store.update(KEY, first) is None

    def test_move(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        moved = store.move(KEY, OTHER_KEY, replace(first, userid="ada"))
        assert store.load(KEY) is None
        assert store.load(OTHER_KEY) == moved
        assert moved.userid == "ada"
        assert store.update(KEY, first) is None
        assert store.load(KEY) is None

    def test_move_compares_versions(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, replace(first, data=b"{}"))
        assert store.move(KEY, OTHER_KEY, first) is None
        assert store.load(KEY) == second
        assert store.load(OTHER_KEY) is None

    def test_delete(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        loaded = store.load(KEY)
        assert store.delete(KEY) is True
        assert store.load(KEY) is None
        assert store.delete(KEY) is False
        assert store.update(KEY, first) is None
        assert store.update(KEY, loaded) is None
        assert store.move(KEY, OTHER_KEY, loaded) is None
        assert store.load(KEY) is None
        assert store.load(OTHER_KEY) is None

    @pytest.mark.parametrize("limit", ["timeout", "deadline"])
    def test_the_expired_are_gone_without_purging(self, store: Any, limit: str) -> None:
        over = {"timeout": None, "deadline": int(time.time()) - 1}
        first = store.create(KEY, expired_record(**(over if limit == "deadline" else {})))
        assert store.load(KEY) is None
        assert store.load(KEY, True) is None
        renewed = replace(first, renewed=int(time.time()), deadline=None)
        assert store.update(KEY, renewed) is None
        assert store.move(KEY, OTHER_KEY, renewed) is None
        assert store.load(OTHER_KEY) is None

    def test_it_expires_in_time(self, store: Any) -> None:
        store.create(KEY, make_record(timeout=3))
        assert store.load(KEY) is not None
        time.sleep(3.1)
        assert store.load(KEY) is None

    def test_binary_data_of_the_largest_size(self, store: Any) -> None:
        data = bytes(range(256)) * (LARGEST // 256)
        created = store.create(KEY, make_record(data))
        assert store.load(KEY).data == data
        store.update(KEY, replace(created, data=data[::-1]))
        assert store.load(KEY).data == data[::-1]

    def test_one_of_many_updates_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        saved = in_threads(lambda n: store.update(KEY, replace(first, data=b"%d" % n)))
        (winner,) = [record for record in saved if record is not None]
        assert store.load(KEY) == winner

    def test_one_of_many_creations_wins(self, store: Any) -> None:
        made = in_threads(lambda n: store.create(KEY, make_record(b"%d" % n)))
        (winner,) = [record for record in made if record is not None]
        assert store.load(KEY) == winner

    def test_one_of_many_moves_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        moved = in_threads(lambda n: store.move(KEY, f"{n:064}", first))
        (number,) = [number for number, record in enumerate(moved) if record is not None]
        assert [store.load(f"{n:064}") is not None for n in range(16)] == [n == number for n in range(16)]

    def test_nothing_is_brought_back(self, store: Any) -> None:
        for _ in range(10):
            session_id = new_session(store)
            ended = in_threads(lambda n: _end_or_write(store, session_id, n))  # noqa: B023
            assert any(ended)
            assert open_session(store, session_id).new

    def test_threads_of_one_session_keep_all_keys(self, store: Any) -> None:
        session_id = new_session(store)
        in_threads(lambda n: write_key(store, session_id, n))
        assert set(open_session(store, session_id)) == {"made", *(f"key{n}" for n in range(16))}

    def test_processes_of_one_session_keep_all_keys(self, store: Any) -> None:
        if getattr(store, "process_local", False):
            pytest.skip("another process does not see this store's sessions")
        session_id = new_session(store)
        in_processes(lambda p: in_threads(lambda t: write_key(store, session_id, 4 * p + t), 4), 4)
        assert set(open_session(store, session_id)) == {"made", *(f"key{n}" for n in range(16))}

    def test_sessions_of_a_user(self, store: Any) -> None:
        if not IUserIndex.providedBy(store):
            pytest.skip("this store has no IUserIndex")
        store.create(KEY, make_record(userid="ada", created=20))
        store.create(OTHER_KEY, make_record(userid="ada", created=10))
        for number, userid in enumerate(["Ada", "ada ", "ad", "äda"]):
            store.create(f"{number:064}", make_record(userid=userid))
        store.create("e" * 64, expired_record(userid="ada"))
        assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY, KEY]
        assert [record.userid for _, record in store.sessions_of("ada")] == ["ada", "ada"]

    def test_purge(self, store: Any) -> None:
        if not IPurgeable.providedBy(store):
            pytest.skip("this store has no IPurgeable")
        for number in range(5):
            store.create(f"{number:064}", expired_record())
        store.create(KEY, make_record())
        store.create(OTHER_KEY, make_record(timeout=None, deadline=None))
        assert store.count() == 2
        assert store.purge(2) == 2
        assert store.purge() == 3
        assert store.purge() == 0
        assert store.count() == 2
        assert store.load(KEY) is not None
        assert store.clear() == 2
        assert store.load(KEY) is None

    def test_an_outage_is_not_a_miss(self) -> None:
        store = self.unreachable()
        calls: list[Callable[[], Any]] = [
            lambda: store.load(KEY),
            lambda: store.load(KEY, True),
            lambda: store.create(KEY, make_record()),
            lambda: store.delete(KEY),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable):
                call()


def open_session(store: Any, session_id: str) -> Session:
    """The session as one request has it."""
    return Session(Persistence(store, Settings(secret=(b"never used",))), lambda: [session_id])


def new_session(store: Any) -> str:
    session = Session(Persistence(store, Settings(secret=(b"never used",))))
    session["made"] = True
    session.save()
    return session.id


def write_key(store: Any, session_id: str, number: int) -> None:
    session = open_session(store, session_id)
    session[f"key{number}"] = number
    session.save()


def _end_or_write(store: Any, session_id: str, number: int) -> bool:
    session = open_session(store, session_id)
    if number == 7:
        session.invalidate()
    else:
        session[f"key{number}"] = number
    try:
        session.save()
    except SessionGone:
        return False
    # One that came too late to find the session has made another.
    return session.new or session.id == session_id


def in_threads(function: Callable[[int], Any], count: int = 16) -> list[Any]:
    """What the function returns for each number, run at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, range(count)))


def in_processes(function: Callable[[int], Any], count: int) -> None:
    """Run the function for each number in a process of its own; all must succeed."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=function, args=(number,)) for number in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        for process in processes:
            process.start()
    for process in processes:
        process.join(SECONDS)
    assert [process.exitcode for process in processes] == [0] * count
