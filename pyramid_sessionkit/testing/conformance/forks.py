"""A store that was made, and used, before a server forked. Nothing needs to be written for these tests."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pyramid_sessionkit.testing.conformance.at_once import fork_without_hooks, in_threads, wait_for
from pyramid_sessionkit.testing.conformance.records import KEY, OTHER_KEY, make_record, numbered

LOOK_UPS = 50


class Forks:
    def test_forked_processes_get_their_own_answers(self, store: Any) -> None:
        _needs_fork()
        for number in range(4):
            store.create(numbered(number), make_record(b"%d" % number))
        _look_up(store, 3)
        children = [fork_without_hooks(lambda: _look_up(store, number)) for number in range(3)]  # noqa: B023
        _look_up(store, 3)
        wait_for(*children)
        _look_up(store, 3)

    def test_threads_of_a_forked_process_agree(self, store: Any) -> None:
        _needs_fork()
        for number in range(4):
            store.create(numbered(number), make_record(b"%d" % number))
        wait_for(fork_without_hooks(lambda: in_threads(lambda number: _look_up(store, number), 4)))

    def test_a_process_that_ends_leaves_its_parents_connection(self, store: Any) -> None:
        _needs_fork()
        if not hasattr(store, "close"):
            pytest.skip("this store has no close(): nothing of it stays open")
        store.create(numbered(1), make_record(b"1"))

        def use_and_close() -> None:
            store.load(numbered(1))
            store.close()

        wait_for(fork_without_hooks(use_and_close), fork_without_hooks(store.close))
        _look_up(store, 1)

    def test_a_fresh_load_sees_what_others_did(self, store: Any) -> None:
        _needs_fork()
        if getattr(store, "process_local", False):
            pytest.skip("another process does not see this store's sessions")
        first = store.create(KEY, make_record())
        other = store.create(OTHER_KEY, make_record())
        assert [store.load(KEY), store.load(OTHER_KEY)] == [first, other]

        def change() -> None:
            assert store.update(KEY, first.with_data(b"{}")) is not None
            assert store.delete(OTHER_KEY) is True

        wait_for(fork_without_hooks(change))
        assert store.load(KEY, fresh=True).data == b"{}"
        assert store.load(OTHER_KEY, fresh=True) is None


def _look_up(store: Any, number: int) -> None:
    """Ask for one's own session again and again."""
    for _ in range(LOOK_UPS):
        assert store.load(numbered(number)).data == b"%d" % number


def _needs_fork() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("processes are not forked here")
