"""Runs threads step by step, in each order that there is.

A thread stops at each gate and goes on when it is its turn. So the order of all that happens is chosen, not hoped for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from math import factorial, prod
from random import Random
from typing import Any, NamedTuple

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


class Step(NamedTuple):
    """What was chosen, out of how many, and who that was."""

    choice: int
    alive: int
    runner: int


def run_in_order(runs: Sequence[Callable[[Callable[[], None]], Any]], choose: Choices) -> list[Step]:
    """Run all to the end, and return the order."""
    runners = [Runner(run) for run in runs]
    order: list[Step] = []
    while alive := [number for number, runner in enumerate(runners) if not runner.done]:
        choice = choose(len(order), len(alive))
        order.append(Step(choice, len(alive), alive[choice]))
        runners[alive[choice]].step()
    return order


def orders(run: Callable[[Choices], list[Step]], most: int) -> Iterator[list[int]]:
    """Call ``run`` with each order that there is, and yield what was chosen.

    Where there are more than ``most``, with so many by chance, the same each time.
    """
    return _every_order(run) if _how_many(run(_first)) <= most else _some_orders(run, most)


def _first(step: int, alive: int) -> int:
    return 0


def _how_many(order: list[Step]) -> int:
    """The number of orders, if each thread always makes as many steps as here."""
    steps = [step.runner for step in order]
    return factorial(len(steps)) // prod(factorial(steps.count(runner)) for runner in set(steps))


def _every_order(run: Callable[[Choices], list[Step]]) -> Iterator[list[int]]:
    prefixes: list[list[int]] = [[]]
    while prefixes:
        prefix = prefixes.pop()
        order = run(lambda step, _, prefix=prefix: prefix[step] if step < len(prefix) else 0)  # type: ignore[misc]
        choices = [step.choice for step in order]
        yield choices
        for number in range(len(prefix), len(order)):
            prefixes.extend([*choices[:number], other] for other in range(1, order[number].alive))


def _some_orders(run: Callable[[Choices], list[Step]], count: int) -> Iterator[list[int]]:
    random = Random(1)
    for _ in range(count):
        yield [step.choice for step in run(lambda _, alive: random.randrange(alive))]
