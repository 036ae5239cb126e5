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
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from pyramid_sessionkit import testing
from pyramid_sessionkit.exceptions import SessionGone, StoreUnavailable
from pyramid_sessionkit.interfaces import (
    GRACE,
    UNREADABLE,
    IContentsUpdate,
    IListable,
    IPurgeable,
    ISessionStore,
    IUserIndex,
    Record,
)
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import Settings

KEY = "A-z_" + "a" * 18
OTHER_KEY = "b" * 64

LARGEST = 262_144
"""Bytes of contents that every store takes: the default of ``sessionkit.max_size``."""

SECONDS = 60.0
"""How long a process of the suite may take."""

DAY = 86400


def make_record(data: bytes = b'{"a":1}', **fields: Any) -> Record:
    """A record made now: of an anonymous visitor, or of a given ``userid``, who has just logged in."""
    now = int(time.time())
    authenticated = None if fields.get("userid") is None else now * 1_000_000
    record = Record(data, "f" * 64, "", None, None, authenticated, None, now, now, 1200, now + 43200, False)
    return record._replace(**fields)


def expired_record(ago: int = DAY, **fields: Any) -> Record:
    """A record that expired so many seconds ago."""
    renewed = int(time.time()) - ago - 60
    return make_record(**{"created": renewed, "renewed": renewed, "timeout": 60, "deadline": None, **fields})


def unversioned(record: Record | None) -> Record | None:
    """The record without what is the store's own."""
    return record and record.versioned(None)


def numbered(number: int) -> str:
    """A key for each number."""
    return f"{number:022}"


EXPIRED: dict[str, Callable[[int], dict[str, Any]]] = {
    "timeout": lambda ago: {"renewed": int(time.time()) - ago - 100, "timeout": 100, "deadline": None},
    "deadline": lambda ago: {"timeout": None, "deadline": int(time.time()) - ago},
}
"""The fields of a record that expired so many seconds ago."""

each_limit = pytest.mark.parametrize("limit", EXPIRED)


class StoreConformance:
    """What every store promises. Optional interfaces are tested where the store provides them."""

    def unreachable(self) -> Any:
        """Override: a store of this kind whose server is not there."""
        pytest.skip("this store has no server that could be down")

    def damage(self, store: Any, key: str) -> None:
        """Override: overwrite what is stored under this key with something that cannot be read."""
        pytest.skip("how a record of this store is damaged is not known")

    def test_it_is_a_store(self, store: Any) -> None:
        assert verifyObject(ISessionStore, store)
        for optional in (IContentsUpdate, IUserIndex, IListable, IPurgeable):
            if optional.providedBy(store):
                assert verifyObject(optional, store)

    def test_all_fields_come_back(self, store: Any) -> None:
        text = '{"text":"é\\u0000😀"}'.encode()
        record = make_record(
            text,
            verifier="0123456789abcdef" * 4,
            salt="s-_" * 20,
            replaced=1_700_000_000_000_001,
            userid="Ada ÄÖ😀",
            authenticated=1_700_000_000_000_002,
            credentials="fedcba9876543210" * 4,
            persistent=True,
        )
        created = store.create(KEY, record)
        loaded = store.load(KEY)
        assert loaded == created
        assert unversioned(loaded) == record
        assert [type(value) for value in loaded[:-1]] == [type(value) for value in record[:-1]]

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

    def test_keys_differ_by_case(self, store: Any) -> None:
        store.create("k" * 22, make_record(b'{"a":1}'))
        assert store.load("K" * 22) is None
        assert store.delete("K" * 22) is False
        store.create("K" * 22, make_record(b'{"a":2}'))
        assert store.load("k" * 22).data == b'{"a":1}'
        assert store.load("K" * 22).data == b'{"a":2}'

    @pytest.mark.parametrize("key", ["a" * 22, "z" * 64, "-_" * 16, "_" + "Z9" * 20, "-" * 22])
    def test_each_key_names_its_record(self, store: Any, key: str) -> None:
        others = [key[:-1] + "~", key[:-1] + "A"]
        store.create(key, make_record(b'{"a":1}'))
        assert store.load(key).data == b'{"a":1}'
        assert [store.load(other) for other in others] == [None, None]
        if IListable.providedBy(store):
            assert [list(store.find_keys(key[:length], 2)) for length in range(23)] == [[key]] * 23

    def test_an_update_of_the_contents_is_an_update(self, store: Any) -> None:
        if not IContentsUpdate.providedBy(store):
            pytest.skip("this store has no IContentsUpdate")
        first = store.create(KEY, make_record(userid="ada", authenticated=5))
        after = first.renewed_with(b'{"a":2}', first.renewed + 1)
        second = store.update_contents(KEY, after)
        assert unversioned(second) == unversioned(after)
        assert store.load(KEY) == second
        assert store.update_contents(KEY, after) is None
        assert store.delete(KEY)
        assert store.update_contents(KEY, second) is None
        assert store.load(KEY) is None

    def test_create_does_not_overwrite(self, store: Any) -> None:
        store.create(KEY, make_record(b'{"a":1}'))
        assert store.create(KEY, make_record(b'{"a":2}')) is None
        assert store.load(KEY).data == b'{"a":1}'

    def test_update_compares_versions(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, first._replace(data=b'{"a":2}'))
        assert second.version != first.version
        assert store.update(KEY, first._replace(data=b'{"a":3}')) is None
        assert store.load(KEY) == second
        third = store.update(KEY, store.load(KEY)._replace(data=b'{"a":4}'))
        assert store.update(KEY, second._replace(data=b'{"a":5}')) is None
        assert store.load(KEY, fresh=True) == third

    def test_updates_with_equal_contents_are_versions_too(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        assert store.update(KEY, first) is not None
        assert store.update(KEY, first) is None

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
        )
        stored = store.update(KEY, changed.versioned(first.version))
        assert unversioned(stored) == changed
        assert store.load(KEY, fresh=True) == stored

    def test_a_new_secret_keeps_the_key(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        renewed = store.update(KEY, first._replace(verifier="e" * 64, replaced=5, userid="ada", authenticated=5))
        assert store.load(KEY) == renewed
        assert (renewed.verifier, renewed.userid) == ("e" * 64, "ada")
        assert store.update(KEY, first._replace(data=b"{}")) is None
        assert store.load(KEY) == renewed

    def test_a_secret_that_came_too_late_changes_nothing(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, first._replace(data=b"{}"))
        assert store.update(KEY, first._replace(verifier="e" * 64)) is None
        assert store.load(KEY) == second

    def test_one_of_many_new_secrets_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        saved = in_threads(
            lambda n: store.update(KEY, first._replace(verifier=f"{n:064}", userid="a", authenticated=n))
        )
        (winner,) = [record for record in saved if record is not None]
        assert store.load(KEY) == winner

    def test_a_version_is_never_used_twice(self, store: Any) -> None:
        seen = []
        for _ in range(5):
            stored = store.create(KEY, make_record())
            seen += [stored.version, store.load(KEY).version]
            for _ in range(3):
                updated = store.update(KEY, stored)
                assert store.update(KEY, stored) is None
                seen.append(updated.version)
                stored = updated
            store.delete(KEY)
        versions = [version for number, version in enumerate(seen) if number % 5 != 1]
        assert all(versions[i] != versions[j] for i in range(len(versions)) for j in range(i))

    def test_a_record_that_was_created_again_is_another(self, store: Any) -> None:
        created = store.create(KEY, make_record())
        loaded = store.load(KEY)
        store.delete(KEY)
        again = store.create(KEY, make_record())
        for old in (created, loaded):
            assert old.version != again.version
            assert store.update(KEY, old) is None
            assert store.delete(KEY, old) is False
        assert store.load(KEY) == again

    def test_delete(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        loaded = store.load(KEY)
        assert store.delete(KEY) is True
        assert store.load(KEY) is None
        assert store.delete(KEY) is False
        assert store.update(KEY, first) is None
        assert store.update(KEY, loaded) is None
        assert store.load(KEY) is None
        assert store.load(KEY, fresh=True) is None

    @pytest.mark.parametrize("loads", [True, False])
    def test_delete_of_a_version(self, store: Any, loads: bool) -> None:
        first = store.create(KEY, make_record())
        first = store.load(KEY) if loads else first
        second = store.update(KEY, first._replace(data=b"{}"))
        second = store.load(KEY) if loads else second
        assert store.delete(KEY, first) is False
        assert store.load(KEY) == second
        assert store.delete(KEY, second) is True
        assert store.load(KEY) is None
        assert store.delete(KEY, second) is False
        assert store.update(KEY, second) is None
        assert store.create(KEY, make_record()) is not None

    def test_a_version_is_deleted_or_updated(self, store: Any) -> None:
        for _ in range(10):
            first = store.create(KEY, make_record())
            done = in_threads(lambda n: store.delete(KEY, first) if n % 2 else bool(store.update(KEY, first)))  # noqa: B023
            assert done.count(True) == 1
            assert (store.load(KEY) is None) is bool(done.index(True) % 2)
            store.delete(KEY)

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

    def test_it_expires_in_time(self, store: Any) -> None:
        store.create(KEY, make_record(timeout=3))
        assert store.load(KEY) is not None
        time.sleep(3.1)
        assert store.load(KEY) is None

    def test_an_update_counts_from_its_own_times(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        over = store.update(KEY, first._replace(**EXPIRED["timeout"](GRACE + 5)))
        assert over is not None
        assert store.load(KEY) is None
        assert store.update(KEY, over._replace(renewed=int(time.time()))) is None

    def test_binary_data_of_the_largest_size(self, store: Any) -> None:
        data = bytes(range(256)) * (LARGEST // 256)
        created = store.create(KEY, make_record(data))
        assert store.load(KEY).data == data
        store.update(KEY, created._replace(data=data[::-1]))
        assert store.load(KEY).data == data[::-1]

    def test_one_of_many_updates_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        saved = in_threads(lambda n: store.update(KEY, first._replace(data=b"%d" % n)))
        (winner,) = [record for record in saved if record is not None]
        assert store.load(KEY) == winner

    def test_one_of_many_creations_wins(self, store: Any) -> None:
        made = in_threads(lambda n: store.create(KEY, make_record(b"%d" % n)))
        (winner,) = [record for record in made if record is not None]
        assert store.load(KEY) == winner

    def test_nothing_is_brought_back(self, store: Any) -> None:
        for _ in range(10):
            key = new_session(store)
            ended = in_threads(lambda n: _end_or_write(store, key, n))  # noqa: B023
            assert any(ended)
            assert store.load(key, fresh=True) is None

    def test_threads_of_one_session_keep_all_keys(self, store: Any) -> None:
        key = new_session(store)
        in_threads(lambda n: write_key(store, key, n))
        assert set(open_session(store, key)) == {"made", *(f"key{n}" for n in range(16))}

    def test_processes_of_one_session_keep_all_keys(self, store: Any) -> None:
        if getattr(store, "process_local", False):
            pytest.skip("another process does not see this store's sessions")
        key = new_session(store)
        in_processes(lambda p: in_threads(lambda t: write_key(store, key, 4 * p + t), 4), 4)
        assert set(open_session(store, key)) == {"made", *(f"key{n}" for n in range(16))}

    def test_a_damaged_record_is_unreadable_and_stays(self, store: Any) -> None:
        for key in (KEY, OTHER_KEY):
            store.create(key, make_record(userid="ada"))
        self.damage(store, KEY)
        damaged = store.load(KEY, fresh=True)
        assert damaged.data == UNREADABLE
        assert (damaged.userid, damaged.expires) == (None, None)
        assert store.create(KEY, make_record()) is None
        assert store.load(KEY, fresh=True) == damaged
        if IUserIndex.providedBy(store):
            assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY]
        if IListable.providedBy(store):
            assert OTHER_KEY in [key for key, _ in store.live_sessions(9)]
            assert store.count() in (1, 2)
        if IPurgeable.providedBy(store):
            store.purge()
        assert store.load(OTHER_KEY) is not None
        assert store.delete(KEY) is True
        assert store.load(KEY, fresh=True) is None

    def test_sessions_of_a_user(self, store: Any) -> None:
        if not IUserIndex.providedBy(store):
            pytest.skip("this store has no IUserIndex")
        now = int(time.time())
        store.create(KEY, make_record(userid="ada", authenticated=20, created=now - 5))
        store.create(OTHER_KEY, make_record(userid="ada", authenticated=10, created=now))
        for number, userid in enumerate(["Ada", "ada ", "ad", "äda"]):
            store.create(numbered(number), make_record(userid=userid))
        store.create("e" * 64, expired_record(userid="ada"))
        store.create("d" * 64, expired_record(1, userid="ada"))
        assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY, KEY]
        assert [record for _, record in store.sessions_of("ada")] == [store.load(OTHER_KEY), store.load(KEY)]

    def test_logins_at_the_same_time_go_by_their_keys(self, store: Any) -> None:
        if not IUserIndex.providedBy(store):
            pytest.skip("this store has no IUserIndex")
        keys = [letter * 22 for letter in "_Zz-Aa09"]
        for key in keys:
            store.create(key, make_record(userid="ada", authenticated=7))
        assert [key for key, _ in store.sessions_of("ada")] == sorted(keys)

    def test_a_session_is_its_users_from_login_to_logout(self, store: Any) -> None:
        if not IUserIndex.providedBy(store):
            pytest.skip("this store has no IUserIndex")
        record = store.create(KEY, make_record())
        for userid in ("ada", "bob", None, "ada"):
            record = store.update(KEY, record._replace(userid=userid, authenticated=userid and 5))
            found = {user: [key for key, _ in store.sessions_of(user)] for user in ("ada", "bob")}
            assert found == {user: [KEY] if user == userid else [] for user in ("ada", "bob")}
        store.delete(KEY)
        assert list(store.sessions_of("ada")) == []

    def test_those_that_last_longest_are_listed_first(self, store: Any) -> None:
        if not IListable.providedBy(store):
            pytest.skip("this store has no IListable")
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
        if not IListable.providedBy(store):
            pytest.skip("this store has no IListable")
        for number in range(5):
            store.create(numbered(number), make_record(timeout=None, deadline=None))
        store.create(KEY, make_record())
        assert len({key for key, _ in store.live_sessions(3)} - {KEY}) == 3
        assert len({key for key, _ in store.live_sessions(5)} - {KEY}) == 5
        assert [key for key, _ in store.live_sessions(6)][5:] == [KEY]

    def test_what_was_listed_cannot_be_written_back(self, store: Any) -> None:
        if not IListable.providedBy(store):
            pytest.skip("this store has no IListable")
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
        if not IListable.providedBy(store):
            pytest.skip("this store has no IListable")
        keys = [start + "x" * 20 for start in ("aa", "aA", "aZ", "az", "a_", "a-", "a9", "Aa", "b0", "`0", "_a", "-a")]
        for key in keys:
            store.create(key, make_record(timeout=None, deadline=None))
        store.create("a1" + "x" * 20, expired_record(1))
        for prefix in ("", "a", "A", "aa", "aA", "az", "a_", "a%", "%", "_", "-", "b0x", keys[0], "c", "~"):
            assert sorted(store.find_keys(prefix, 99)) == sorted(key for key in keys if key.startswith(prefix))
        assert len(list(store.find_keys("a", 2))) == 2

    def test_count(self, store: Any) -> None:
        if not IListable.providedBy(store):
            pytest.skip("this store has no IListable")
        assert (store.count(), store.count(expired=True), store.clear()) == (0, 0, 0)
        long = 7 * DAY
        store.create(numbered(0), make_record())
        store.create(numbered(1), make_record(timeout=None, deadline=None))
        store.create(numbered(2), make_record(renewed=int(time.time()) - long + 9, timeout=long, deadline=None))
        store.create(numbered(3), make_record(renewed=int(time.time()) - long - 1, timeout=long, deadline=None))
        store.create(numbered(4), make_record(timeout=None, deadline=int(time.time()) - 1))
        store.create(numbered(5), make_record(renewed=int(time.time()) + DAY, deadline=int(time.time()) - 1))
        assert (store.count(), store.count(expired=True)) == (3, 3)
        assert store.clear() == 6
        assert (store.count(), store.count(expired=True)) == (0, 0)
        assert store.load(numbered(0)) is None

    def test_purge(self, store: Any) -> None:
        if not IPurgeable.providedBy(store):
            pytest.skip("this store has no IPurgeable")
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
        if not IPurgeable.providedBy(store):
            pytest.skip("this store has no IPurgeable")
        first = store.create(KEY, make_record(**EXPIRED[limit](GRACE - 30)))
        assert store.purge() == 0
        assert store.update(KEY, first._replace(renewed=int(time.time()), deadline=None)) is not None
        assert store.load(KEY) is not None

    def test_an_outage_is_not_a_miss(self) -> None:
        store = self.unreachable()
        record = make_record()
        calls: list[Callable[[], Any]] = [
            lambda: store.load(KEY),
            lambda: store.load(KEY, fresh=True),
            lambda: store.create(KEY, record),
            lambda: store.delete(KEY),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable):
                call()


def open_session(store: Any, key: str) -> Session:
    """The session as one request has it."""
    return testing.open_session(_persistence(store), key)


def new_session(store: Any) -> str:
    """The key of a new session."""
    session = testing.new_session(_persistence(store))
    session["made"] = True
    session.save()
    return session.key


def write_key(store: Any, key: str, number: int) -> None:
    session = open_session(store, key)
    session[f"key{number}"] = number
    session.save()


def _persistence(store: Any) -> Persistence:
    return Persistence(store, Settings(secret=(b"never used" * 4,)))


def _end_or_write(store: Any, key: str, number: int) -> bool:
    session = open_session(store, key)
    if number == 7:
        session.invalidate()
    else:
        session[f"key{number}"] = number
    try:
        session.save()
    except SessionGone:
        return False
    # One that came too late to find the session has made another.
    return session.new or session.key == key


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
