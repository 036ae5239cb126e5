"""Stores that do not know that there are other processes."""

from __future__ import annotations

import mmap
import os
from typing import Any

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

OWN_CONNECTION = "A connection belongs to the process that opened it."


class SharesItsConnection(BrokenStore):
    """A forked process uses its parent's connection, and reads answers that are not its own."""

    promise = OWN_CONNECTION
    found_by = ("test_forked_processes_get_their_own_answers",)

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.process = os.getpid()
        self.answer: Any = None

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        before, self.answer = self.answer, self.good.load(key, fresh, at)
        return self.answer if os.getpid() == self.process else before


class ClosesForItsParent(BrokenStore):
    """``close()`` in a forked process ends the connection of its parent."""

    promise = OWN_CONNECTION
    found_by = ("test_a_process_that_ends_leaves_its_parents_connection",)

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.process = os.getpid()
        self.closed = mmap.mmap(-1, 1)  # shared with processes that are forked later

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        if self.closed[0]:
            raise StoreUnavailable("The connection was closed.")
        return self.good.load(key, fresh, at)

    def close(self) -> None:
        if os.getpid() != self.process:
            self.closed[0] = 1
        if hasattr(self.good, "close"):
            self.good.close()


class FreshLoadsAskACache(BrokenStore):
    """``load`` with ``fresh`` answers from a cache that other processes do not change."""

    promise = "With fresh no cache is asked."
    other_processes = True
    found_by = ("test_a_fresh_load_sees_what_others_did",)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        cached = self.records.get(key)
        return self.good.load(key, fresh, at) if cached is None else cached

    def delete(self, key: str, record: Record | None = None) -> Any:
        deleted = self.good.delete(key, record)
        if deleted:
            self.records.pop(key, None)
        return deleted
