"""A flood of anonymous sessions against a memory store that has users who are logged in, and the price of a write."""

from __future__ import annotations

import argparse
import logging
import time

from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.testing.conformance import make_record

LOGGED_IN = 1000
ROUNDS = 40
WRITES = 20_000


def flood(sessions: int, rooms: int) -> None:
    store = MemoryStore(rooms)
    for number in range(LOGGED_IN):
        store.create(f"user {number}", make_record(userid=f"{number}"))
    anonymous = make_record()
    times = []
    for first in range(0, sessions, rooms):
        started = time.perf_counter()
        for number in range(first, first + rooms):
            store.create(f"visitor {number}", anonymous)
        times.append((time.perf_counter() - started) / rooms)
        print(f"  {first + rooms} anonymous sessions: {times[-1] * 1e6:.2f} µs each", flush=True)
    there = sum(store.load(f"user {number}") is not None for number in range(LOGGED_IN))
    print(f"{there} of {LOGGED_IN} who were logged in still are; {store.count()} sessions in all", flush=True)
    # The store is full of those who are logged in.
    for number in range(rooms):
        store.create(f"more {number}", make_record(userid=f"more {number}"))
    started = time.perf_counter()
    found = 0
    for number in range(1000):
        created = store.create(f"late {number}", make_record(userid="late"))
        found += created is not None and store.load(f"late {number}") == created
    seconds = (time.perf_counter() - started) / 1000
    print(f"all logged in: {found} of 1000 more logins find room, {seconds * 1e6:.2f} µs each", flush=True)


def write_price(rooms: int) -> None:
    store = MemoryStore(rooms)
    records = [store.create(f"{number}", make_record()) for number in range(rooms // 2)]
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for number in range(WRITES):
            record = records[number]
            assert record
            records[number] = store.update(f"{number}", record)
        best = min(best, (time.perf_counter() - started) / WRITES)
    print(f"a write: {best * 1e6:.2f} µs", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rooms", type=int, default=100_000)
    options = parser.parse_args()
    logging.getLogger("pyramid_sessionkit").setLevel(logging.ERROR)
    write_price(options.rooms)
    flood(options.sessions, options.rooms)


if __name__ == "__main__":
    main()
