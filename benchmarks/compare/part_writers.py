"""Threads that write at the same time, to one session and each to its own: how many writes are lost."""

from __future__ import annotations

from benchmarks.compare.catalogue import App
from benchmarks.compare.run import Row, Run
from benchmarks.compare.worker import Worker, workers


def measure(run: Run) -> list[Row]:
    threads, seconds = ((1, 16), 0.3) if run.quick else ((1, 4, 16, 64), 0.4)
    rows: list[Row] = []
    for app in run.apps:
        if not app.bare:
            with workers([app], run.addresses, run.say) as started:
                for worker in started:
                    rows += _rows(worker, threads, seconds)
                    run.say(f"writers, {app.name}: {_told(rows[-1])}")
    return rows


def _rows(worker: Worker, threads: tuple[int, ...], seconds: float) -> list[Row]:
    app: App = worker.app
    rows = []
    for shared in (False, True):
        for writers in threads:
            done = worker.ask("write", writers, shared, seconds)
            told = {"library": app.library, "store": app.store, "framework": app.framework, "writers": writers}
            lost = done["answered"] - done["kept"]
            rate = done["answered"] / done["seconds"]
            rows.append({**told, "shared": shared, **done, "lost": lost, "rate": rate})
    return rows


def _told(row: Row) -> str:
    return (
        f"{row['writers']} on one session: {row['answered']} writes were answered, {row['lost']} of them are lost, "
        f"{row['refused']} were refused"
    )
