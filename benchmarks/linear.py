"""What merging, grafting and naming a refused value cost for contents of n and of 2n bytes: twice as much."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from pyramid_sessionkit.contents.graft import graft
from pyramid_sessionkit.contents.merge import merge
from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY
from pyramid_sessionkit.exceptions import SessionNotSerializable

Job = Callable[[], object]

DEPTHS = (30, 60, 120, 240)
"""JSON can hold 254 levels."""

LEVEL = 1000
"""Bytes of one level of deep contents, about."""


def copied(contents: Any) -> Any:
    return orjson.loads(orjson.dumps(contents))


def deep(depth: int, innermost: Any, level: Any) -> Any:
    """Contents of that many levels, each with something of its own beside the next one."""
    contents = {"k": innermost}
    for _ in range(depth - 1):
        contents = {"own": level, "k": contents}
    return contents


def graft_list(size: int) -> Job:
    """Small dicts in a list, each of which another request changed."""
    target = {"items": [{"id": number} for number in range(size)]}
    merged = {"items": [{"id": number, "n": 1} for number in range(size)]}
    return lambda: graft(target, merged)


def graft_shuffled(size: int) -> Job:
    """Small dicts in a list that another request reversed."""
    target = {"items": [{"id": number, "n": 1} for number in range(size)]}
    merged = {"items": copied(target["items"][::-1])}
    return lambda: graft(target, merged)


def graft_deep(depth: int) -> Job:
    """Lists inside one another, each with small dicts."""
    items: list[Any] = []
    for _ in range(depth - 1):
        items = [items, *({"id": number} for number in range(LEVEL // 9))]
    contents = {"items": items}
    merged = copied(contents)
    return lambda: graft(contents, merged)


def refused_deep(depth: int) -> Job:
    """A NaN below everything else."""
    return refused(deep(depth, float("nan"), list(range(LEVEL // 4))))


def refused_wide(size: int) -> Job:
    """A NaN behind everything else."""
    return refused({"items": [{"id": number} for number in range(size)], "last": float("nan")})


def refused(contents: Any) -> Job:
    def job() -> None:
        with suppress(SessionNotSerializable):
            BUILT_IN_ONLY.dumps(contents)

    return job


def merge_deep(depth: int) -> Job:
    """Both sides changed what is below everything else."""
    level = {str(number): {"id": number} for number in range(LEVEL // 15)}
    sides = [copied(deep(depth, innermost, level)) for innermost in ({}, {"a": 1}, {"b": 1})]
    return lambda: merge(*sides)


def merge_wide(size: int) -> Job:
    """Both sides changed every one of many small dicts."""
    sides = [{"items": {str(n): {"id": n, **change} for n in range(size)}} for change in ({}, {"a": 1}, {"b": 1})]
    return lambda: merge(*sides)


def merge_lists(size: int) -> Job:
    """Both sides appended to a list of small dicts."""
    items = [{"id": number} for number in range(size)]
    sides = [copied({"items": [*items, *tail]}) for tail in ([], [{"a": 1}], [{"b": 1}])]
    return lambda: merge(*sides)


DEEP = (graft_deep, refused_deep, merge_deep)
WIDE = (graft_list, graft_shuffled, refused_wide, merge_wide, merge_lists)


def seconds(make: Callable[[int], Job], size: int, rounds: int) -> float:
    """Of CPU, the quickest of some rounds. What the job works on is made anew, since grafting changes it."""
    return min(timed(make(size)) for _ in range(rounds))


def timed(job: Job) -> float:
    # As timeit does: a collection looks at everything there is, whatever the job does.
    gc.collect()
    gc.disable()
    started = time.process_time()
    job()
    taken = time.process_time() - started
    gc.enable()
    return taken


def show(make: Callable[[int], Job], sizes: tuple[int, ...], rounds: int) -> None:
    before = 0.0
    for size in sizes:
        taken = seconds(make, size, rounds)
        ratio = f"{taken / before:8.1f}" if before else " " * 8
        print(f"{make.__name__:<16}{size:>8}{taken * 1000:>12.2f} ms{ratio}", flush=True)
        before = taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", type=int, default=14_000, help="small dicts in wide contents")
    options = parser.parse_args()
    sizes = tuple(options.largest // part for part in (8, 4, 2, 1))
    print(f"{'':<16}{'size':>8}{'CPU':>15}   ratio")
    for make in DEEP:
        show(make, DEPTHS, options.rounds)
    for make in WIDE:
        show(make, sizes, options.rounds)


if __name__ == "__main__":
    main()
