"""Many threads and processes at once lose nothing, and bring nothing back."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import SessionGone
from pyramid_sessionkit.interfaces import IListable, IUserIndex
from pyramid_sessionkit.testing.conformance.at_once import in_processes, in_threads
from pyramid_sessionkit.testing.conformance.records import KEY, make_record, numbered
from pyramid_sessionkit.testing.conformance.sessions import new_session, open_session, save, write_key


class Concurrency:
    def test_one_of_many_new_secrets_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        saved = in_threads(
            lambda n: store.update(KEY, first._replace(verifier=f"{n:064}", userid="a", authenticated=n))
        )
        assert [record for record in saved if record is not None] == [store.load(KEY)]

    def test_a_version_is_deleted_or_updated(self, store: Any) -> None:
        for _ in range(10):
            first = store.create(KEY, make_record())
            done = in_threads(lambda n: store.delete(KEY, first) if n % 2 else bool(store.update(KEY, first)))  # noqa: B023
            assert done.count(True) == 1, "of many calls with one version, one must succeed"
            assert (store.load(KEY) is None) is bool(done.index(True) % 2)
            store.delete(KEY)

    def test_one_of_many_updates_wins(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        saved = in_threads(lambda n: store.update(KEY, first._replace(data=b"%d" % n)))
        assert [record for record in saved if record is not None] == [store.load(KEY)]

    def test_one_of_many_creations_wins(self, store: Any) -> None:
        made = in_threads(lambda n: store.create(KEY, make_record(b"%d" % n)))
        assert [record for record in made if record is not None] == [store.load(KEY)]

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

    def test_each_thread_gets_its_own_answers(self, store: Any) -> None:
        for number in range(8):
            store.create(numbered(number), make_record(b"%d" % number))

        def look_up(number: int) -> set[bytes]:
            return {store.load(numbered(number)).data for _ in range(20)}

        assert in_threads(look_up, 8) == [{b"%d" % number} for number in range(8)]

    def test_one_of_many_deletions_is_told_that_it_was(self, store: Any) -> None:
        for _ in range(3):
            store.create(KEY, make_record())
            assert sorted(in_threads(lambda _: store.delete(KEY), 8)) == [False] * 7 + [True]

    def test_lists_can_be_made_while_sessions_come_and_go(self, store: Any) -> None:
        if not (IUserIndex.providedBy(store) or IListable.providedBy(store)):
            pytest.skip("this store has no IUserIndex and no IListable")
        store.create(KEY, make_record(userid="ada"))

        listed = Event()

        def come_and_go(number: int) -> None:
            while not listed.is_set():
                store.create(numbered(number), make_record(userid="ada"))
                store.delete(numbered(number))

        def list_all() -> None:
            for _ in range(10):
                if IUserIndex.providedBy(store):
                    assert KEY in [key for key, _ in store.sessions_of("ada")]
                if IListable.providedBy(store):
                    assert KEY in [key for key, _ in store.live_sessions(99)]
                    assert KEY in list(store.find_keys("", 99))
                    assert store.count() >= 1

        def work(number: int) -> None:
            if number:
                come_and_go(number)
                return
            try:
                list_all()
            finally:
                listed.set()

        in_threads(work, 4)


def _end_or_write(store: Any, key: str, number: int) -> bool:
    session = open_session(store, key)
    try:
        if number == 7:
            session.invalidate()
        else:
            session[f"key{number}"] = number
        save(session)
    except SessionGone:
        return False
    return session.new or session.key == key
