"""Whether a session costs more where a million others are stored: reading and writing sessions at random."""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.compare.catalogue import OURS
from benchmarks.compare.filling import fill, open_store, session_key
from benchmarks.compare.run import Row, Run

FEW, MANY = 1_000, 1_000_000
SAMPLE = 500


def measure(run: Run, many: int = MANY) -> list[Row]:
    rows = []
    for app in run.apps:
        if app.library == OURS and app.store != "cached_sql":
            run.say(f"million, {app.store}: storing {many} sessions ...")
            rows += _compared(run, app.store, many)
            run.say(f"million, {app.store}: {', '.join(_told(row) for row in rows[-2:])}")
    return rows


def _compared(run: Run, name: str, many: int) -> list[Row]:
    counts = {"few": FEW, "many": many}
    stores = {which: open_store(run.addresses, name, f"_{which}") for which in counts}
    try:
        started = time.perf_counter()
        for which, count in counts.items():
            fill(stores[which], count)
        filled = time.perf_counter() - started
        times: dict[tuple[str, str], list[float]] = {(w, k): [] for w in counts for k in ("read", "write")}
        for _ in range(run.rounds or (3 if run.quick else 15)):
            for which, count in counts.items():
                keys = [session_key(number) for number in random.sample(range(count), SAMPLE)]
                times[which, "read"].append(_seconds(stores[which], keys, write=False))
                times[which, "write"].append(_seconds(stores[which], keys, write=True))
    finally:
        for store in stores.values():
            _clear(store)
    return [
        {
            "store": name,
            "kind": kind,
            "count": many,
            "few": min(times["few", kind]) * 1e6,
            "many": min(times["many", kind]) * 1e6,
            "ratio": min(times["many", kind]) / min(times["few", kind]),
            "filled": filled,
        }
        for kind in ("read", "write")
    ]


def _seconds(store: Any, keys: list[str], write: bool) -> float:
    """For one load, or one update of a record that was loaded before."""
    records = [store.load(key) for key in keys] if write else []
    started = time.perf_counter()
    if write:
        for key, record in zip(keys, records, strict=True):
            assert store.update(key, record) is not None
    else:
        for key in keys:
            assert store.load(key) is not None
    return (time.perf_counter() - started) / len(keys)


def _clear(store: Any) -> None:
    if hasattr(store, "engine"):
        store._table.drop(store.engine)
    if hasattr(store, "close"):
        store.close()


def _told(row: Row) -> str:
    return f"{row['kind']} {row['ratio']:.2f} times as long as beside {FEW}"
