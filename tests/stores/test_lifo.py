"""What waits for a connection gets one that is given back, in whatever order the two do it."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest

from pyramid_sessionkit.stores.lifo import Lifo
from pyramid_sessionkit.testing.conformance import in_threads

SECONDS = 20
"""What must not happen is waited for no longer than that; all else takes milliseconds."""


class Thing:
    pass


def lifo(size: int = 1) -> Lifo[Thing]:
    return Lifo(size, Thing)


def take(things: Lifo[Thing], seconds: float = SECONDS) -> Thing:
    taken = things.take(seconds)
    assert taken is not None
    return taken


def test_what_came_back_last_goes_out_first() -> None:
    things = lifo(3)
    first, second, third = take(things), take(things), take(things)
    for thing in (second, third, first):
        things.give_back(thing)
    assert [take(things) for _ in range(3)] == [first, third, second]


def test_no_more_are_made_than_there_may_be() -> None:
    things = lifo(2)
    kept = [take(things), take(things)]
    assert things.take(0) is None
    things.discard(kept.pop())
    assert things.take(0) is not None


def test_one_that_got_lost_leaves_its_place() -> None:
    things = lifo(1)
    take(things)
    gc.collect()
    assert things.take(0) is not None


def test_a_wait_ends_in_time() -> None:
    things = lifo(1)
    kept = take(things)
    assert things.take(0.01) is None
    assert things.waiting == 0
    things.give_back(kept)
    assert things.take(0) is kept


class Waiter(threading.Thread):
    """A thread that takes one."""

    def __init__(self, things: Lifo[Thing]) -> None:
        super().__init__(daemon=True)
        self.things = things
        self.taken: Thing | None = None
        self.start()

    def run(self) -> None:
        self.taken = self.things.take(SECONDS)

    def result(self) -> Thing | None:
        self.join(SECONDS / 2)
        assert not self.is_alive(), "it was not woken"
        return self.taken


def step(things: Lifo[Thing], name: str, before: Any) -> None:
    """Have ``before`` run once, before the waiter does what ``name`` names."""
    original = getattr(things, name)

    def instead(*arguments: Any) -> Any:
        setattr(things, name, original)
        before()
        return original(*arguments)

    setattr(things, name, instead)


class TestForcedOrders:
    """The steps of one who waits and of one who gives back, interleaved in each way that matters."""

    def test_given_back_before_the_waiter_has_registered(self) -> None:
        things = lifo()
        kept = take(things)
        things.idle.append(kept)
        assert not things.waiting  # so nobody is woken, and nobody need be
        assert Waiter(things).result() is kept

    def test_given_back_between_registering_and_the_last_look(self) -> None:
        things = lifo()
        kept = take(things)
        step(things, "_idle_or_new", lambda: things.idle.append(kept))
        assert Waiter(things).result() is kept

    def test_given_back_between_the_last_look_and_the_wait(self) -> None:
        things = lifo()
        kept = take(things)
        givers: list[threading.Thread] = []
        appended = threading.Event()

        def give_back() -> None:
            things.idle.append(kept)
            assert things.waiting == 1
            appended.set()
            things.wake()  # waits for the lock, which the waiter gives up only by waiting

        def look() -> Thing | None:
            found = original()
            if not givers:
                givers.append(threading.Thread(target=give_back, daemon=True))
                givers[0].start()
                assert appended.wait(SECONDS)
            return found

        original = things._idle_or_new
        things._idle_or_new = look  # type: ignore[method-assign]
        assert Waiter(things).result() is kept
        givers[0].join(SECONDS)

    def test_given_back_while_it_waits(self) -> None:
        things = lifo()
        kept = take(things)
        waiter = Waiter(things)
        until_waiting(things, 1)
        things.give_back(kept)
        assert waiter.result() is kept

    def test_discarded_while_it_waits(self) -> None:
        things = lifo()
        kept = take(things)
        waiter = Waiter(things)
        until_waiting(things, 1)
        things.discard(kept)
        assert waiter.result() not in (None, kept)

    def test_a_waiter_that_is_interrupted_passes_its_wake_up_on(self) -> None:
        things = lifo()
        kept = take(things)
        changed: Any = things._changed
        original = changed.wait

        def interrupted(seconds: float) -> None:
            original(seconds)
            raise KeyboardInterrupt

        def first() -> None:
            with pytest.raises(KeyboardInterrupt):
                things.take(SECONDS)

        changed.wait = interrupted
        unlucky = threading.Thread(target=first, daemon=True)
        unlucky.start()
        until_waiting(things, 1)
        changed.wait = original
        other = Waiter(things)
        until_waiting(things, 2)
        things.give_back(kept)  # which wakes the first
        assert other.result() is kept
        unlucky.join(SECONDS)


def until_waiting(things: Lifo[Thing], count: int) -> None:
    stop = time.monotonic() + SECONDS
    while len(things._changed._waiters) < count:  # type: ignore[attr-defined]
        assert time.monotonic() < stop
        time.sleep(0.001)


def test_many_threads_share_few() -> None:
    things = lifo(3)
    used: set[Thing] = set()
    busy: list[Thing] = []

    def work(_: int) -> None:
        for _ in range(300):
            thing = take(things)
            assert thing not in busy
            busy.append(thing)
            used.add(thing)
            busy.remove(thing)
            things.give_back(thing)

    in_threads(work, 12)
    assert len(things.idle) == len(used) <= 3
