"""Runs threads step by step, in each order that there is.

A thread stops at each gate and goes on when it is its turn. So the order of all that happens is chosen, not hoped for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

SECONDS = 20
"""Only what hangs takes so long."""


class Runner:
    """One thread that stops at gates."""

    def __init__(self, run: Callable[[Callable[[], None]], Any]) -> None:
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self.done = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(run,), daemon=True)
        self._thread.start()

    def _run(self, run: Callable[[Callable[[], None]], Any]) -> None:
        self._go.acquire()
        try:
            run(self._gate)
        except BaseException as error:
            self.error = error
        self.done = True
        self._stopped.release()

    def _gate(self) -> None:
        self._stopped.release()
        self._go.acquire()

    def step(self) -> None:
        """Let the thread run to its next gate, or to its end."""
        self._go.release()
        assert self._stopped.acquire(timeout=SECONDS), "a request waits for another one"
        if self.error is not None:
            raise self.error


Choices = Callable[[int, int], int]
"""Which is next, given the number of the step and how many there are that can go on."""

Order = list[tuple[int, int]]
"""For each step the choice, and how many there were."""


def run_in_order(runs: Sequence[Callable[[Callable[[], None]], Any]], choose: Choices) -> Order:
    """Run all to the end, and return the order."""
    runners = [Runner(run) for run in runs]
    order: Order = []
    while alive := [runner for runner in runners if not runner.done]:
        choice = choose(len(order), len(alive))
        order.append((choice, len(alive)))
        alive[choice].step()
    return order


def every_order(run: Callable[[Choices], Order]) -> Iterator[list[int]]:
    """Call ``run`` with each order that there is, and yield what was chosen."""
    prefixes: list[list[int]] = [[]]
    while prefixes:
        prefix = prefixes.pop()
        taken = run(lambda step, _, prefix=prefix: prefix[step] if step < len(prefix) else 0)  # type: ignore[misc]
        choices = [choice for choice, _ in taken]
        yield choices
        for step in range(len(prefix), len(taken)):
            prefixes.extend([*choices[:step], other] for other in range(1, taken[step][1]))


def some_orders(run: Callable[[Choices], Order], count: int) -> Iterator[list[int]]:
    """As :func:`every_order`, for so many orders by chance, the same each time."""
    random = Random(1)
    for _ in range(count):
        yield [choice for choice, _ in run(lambda _, alive: random.randrange(alive))]
