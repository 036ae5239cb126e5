"""No store that is broken on purpose passes the conformance suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from zope.interface.interfaces import IInterface

from pyramid_sessionkit.interfaces import IContentsUpdate, IListable, IPurgeable, ISessionStore, IUserIndex
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.testing.broken_stores import BROKEN_STORES, BrokenStore, broken_stores_for, first_failure
from pyramid_sessionkit.testing.broken_stores.outages import WaitsForEver
from pyramid_sessionkit.testing.conformance import KEY, StoreConformance, make_record
from tests.stores.remote_server import RemoteServer
from tests.stores.remote_store import RemoteStore

SERVER = RemoteServer()


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[RemoteServer]:
    with SERVER:
        yield SERVER


class TestRemoteStore(StoreConformance):
    """A good store that has all there is: interfaces, a server, and hooks. None of the tests is skipped."""

    @pytest.fixture
    def store(self) -> Iterator[RemoteStore]:
        store = make_remote()
        yield store
        store.close()

    def at(self, host: str, port: int) -> RemoteStore:
        return RemoteStore((host, port), 0.3)

    def address(self) -> tuple[str, int]:
        return SERVER.address

    def damage(self, store: RemoteStore, key: str) -> None:
        SERVER.call("damage", key)


class TestsOfBroken(TestRemoteStore):
    """They wait no longer than they have to for what never comes."""

    __test__ = False
    longest_wait = 0.5


class TestsOfWhole(TestRemoteStore):
    """Without the one that waits for seconds, and has run above."""

    __test__ = False
    test_it_expires_in_time = None  # type: ignore[assignment]


class TestsOfWholeMemory(StoreConformance):
    __test__ = False
    test_it_expires_in_time = None  # type: ignore[assignment]


def make_remote() -> RemoteStore:
    SERVER.call("clear")
    return RemoteStore(SERVER.address)


WORLDS: dict[str, tuple[type, Any]] = {
    "memory": (StoreConformance, MemoryStore),
    "remote": (TestsOfBroken, make_remote),
}
"""The tests, and how a good store is made for them."""


BROKEN = {
    "memory": broken_stores_for(MemoryStore(), StoreConformance),
    "remote": broken_stores_for(RemoteStore(SERVER.address), TestsOfBroken),
}

EACH = [pytest.param(world, broken, id=f"{world}-{broken.__name__}") for world in WORLDS for broken in BROKEN[world]]


@pytest.fixture(autouse=True)
def _no_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that a later test forks beside a busy thread may wait for that thread for ever."""
    monkeypatch.setattr(WaitsForEver, "tries", 10)
    yield
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(10)


@pytest.mark.parametrize(("world", "broken"), EACH)
def test_a_broken_store_does_not_pass(world: str, broken: type[BrokenStore]) -> None:
    tests, make_store = WORLDS[world]
    assert first_failure(tests, broken, make_store, broken.found_by[:1]) is not None


@pytest.mark.exhaustive
@pytest.mark.parametrize("broken", BROKEN_STORES, ids=lambda broken: broken.__name__)
def test_each_test_finds_what_it_is_meant_to(broken: type[BrokenStore]) -> None:
    tests, make_store = WORLDS["remote"]
    for name in broken.found_by:
        assert first_failure(tests, broken, make_store, [name]) == name


@pytest.mark.parametrize("make_store", [MemoryStore, make_remote])
def test_what_is_not_broken_passes_through_the_wrapper(make_store: Any) -> None:
    """Else a broken store could fail for what was not meant."""
    tests = TestsOfWhole if make_store is make_remote else TestsOfWholeMemory
    assert first_failure(tests, whole(), make_store) is None


def whole() -> type[BrokenStore]:
    class Whole(BrokenStore):
        """Nothing is broken."""

        promise = ""
        found_by = ()

    return Whole


def test_all_apply_to_a_store_that_has_everything() -> None:
    assert BROKEN["remote"] == list(BROKEN_STORES)
    assert len(BROKEN_STORES) > 30


def test_each_interface_is_broken_in_several_ways() -> None:
    for interface in (ISessionStore, IContentsUpdate, IUserIndex, IListable, IPurgeable):
        assert len([broken for broken in BROKEN_STORES if broken.needs is interface]) >= 5, interface


def test_those_for_a_store_break_what_it_provides() -> None:
    found = broken_stores_for(MemoryStore())
    assert {broken.needs for broken in found} == {ISessionStore, IUserIndex, IListable, IPurgeable}
    assert not any(broken.other_processes for broken in found)
    assert {broken.hook for broken in found} == {"", "at", "address", "unreachable", "damage"}
    assert {broken.hook for broken in broken_stores_for(MemoryStore(), StoreConformance)} == {""}


@pytest.mark.parametrize("broken", BROKEN_STORES, ids=lambda broken: broken.__name__)
def test_each_says_what_it_breaks(broken: type[BrokenStore]) -> None:
    assert broken.breaks().endswith(".")
    assert broken.promise.endswith(".")
    assert IInterface.providedBy(broken.needs)
    assert broken.found_by
    assert all(callable(getattr(StoreConformance, name)) for name in broken.found_by)


def test_each_works_until_it_is_asked_for_what_it_breaks() -> None:
    """A session can be made on each: authors find what is broken by their own tests, not by a crash."""
    crashed = []
    for broken in BROKEN_STORES:
        good = make_remote()
        store = broken(good)
        try:
            assert store.create(KEY, make_record(userid="ada")) is not None
            store.load(KEY)
        except Exception as error:
            crashed.append((broken, error))
        finally:
            good.close()
    assert crashed == []


def test_tests_of_ones_own_are_run_on_broken_stores() -> None:
    class Own:
        def test_nothing(self, store: Any) -> None:
            assert store

        def test_with_a_fixture_of_its_own(self, store: Any, tmp_path: Any) -> None:
            raise AssertionError("this test is left out")

        @pytest.mark.skip
        def test_that_is_skipped(self, store: Any) -> None:
            raise AssertionError("this test is left out")

        @pytest.mark.parametrize("userid", [None, "ada"])
        @pytest.mark.parametrize(("data", "limit"), [(b"{}", 5), pytest.param(b"{} ", None)])
        def test_white_space(self, store: Any, data: bytes, limit: int | None, userid: str | None) -> None:
            store.create(KEY, make_record(data, timeout=limit, userid=userid))
            assert store.load(KEY).data == data

    found = {broken.__name__: first_failure(Own, broken, MemoryStore) for broken in broken_stores_for(MemoryStore())}
    assert found["StripsContents"] == "test_white_space"
    assert found["KeysIgnoreCase"] is None
    assert found["DeleteSaysNothing"] is None
