"""A bounded number of things that are lent one at a time: what came back last goes out first.

Taking and giving back need no lock, since ``list.pop`` and ``list.append`` are atomic. Only who finds nothing takes
the lock, and counts in ``waiting`` before a last look. Who gives back appends first and looks at ``waiting``
afterwards. So one of the two always sees the other, and no wake-up is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Lifo(Generic[T]):
    """``size`` things at most, made by ``make`` when none is idle."""

    def __init__(self, size: int, make: Callable[[], T]) -> None:
        self.size = size
        self.idle: list[T] = []
        """To be popped and appended to by those who have no time for a method."""
        self.all: WeakSet[T] = WeakSet()
        """Weakly: what was lost by an interruption in the wrong moment leaves its place to another."""
        self.waiting = 0
        self._make = make
        # By name, at run time: gevent puts other locks in their place.
        self._changed = threading.Condition(threading.Lock())

    def take(self, seconds: float) -> T | None:
        """One that was idle, or a new one; None if neither could be had within that time."""
        with self._changed:
            self.waiting += 1
            try:
                return self._wait(monotonic() + seconds)
            except BaseException:
                self._changed.notify()  # the wake-up may have been for us
                raise
            finally:
                self.waiting -= 1

    def give_back(self, thing: T) -> None:
        self.idle.append(thing)
        if self.waiting:
            self.wake()

    def wake(self) -> None:
        """One of those that wait. To be called after each ``idle.append`` that finds somebody waiting."""
        with self._changed:
            self._changed.notify()

    def discard(self, thing: T) -> None:
        """It does not come back: another may be made in its place."""
        with self._changed:
            self.all.discard(thing)
            self._changed.notify()

    def _wait(self, until: float) -> T | None:
        while True:
            found = self._idle_or_new()
            left = until - monotonic()
            if found is not None or left <= 0:
                return found
            self._changed.wait(left)

    def _idle_or_new(self) -> T | None:
        try:
            return self.idle.pop()
        except IndexError:
            if len(self.all) >= self.size:
                return None
        made = self._make()
        self.all.add(made)
        return made
