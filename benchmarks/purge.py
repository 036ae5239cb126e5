"""Purging half of a million sessions on PostgreSQL while eight threads read and write live ones."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import new_session, open_session
from tests.servers.postgresql import PostgreSQL

FILL = """
    INSERT INTO sessions
           (session_key, data, verifier, salt, created, renewed, timeout, deadline, persistent, expires, version)
    SELECT md5(n::text), repeat('x', 300)::bytea, repeat('f', 64), '', {now}, {now} - (1 - n % 2) * 86400, 43200, NULL,
           false, {now} - (1 - n % 2) * 86400 + 43200, 1
    FROM generate_series(1, {rows}) AS n
"""
THREADS = 8


class Visitors:
    """Threads that read their sessions and write to one read in ten, and time the reads."""

    def __init__(self, store: SQLStore) -> None:
        self._store = store
        self._ids = [new_session(store) for _ in range(THREADS)]
        self.errors: list[Exception] = []

    def visit(self, stop: threading.Event) -> list[float]:
        times: list[float] = []
        threads = [threading.Thread(target=self._run, args=(session_id, stop, times)) for session_id in self._ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return times

    def lost(self) -> int:
        return sum(open_session(self._store, session_id).new for session_id in self._ids)

    def _run(self, session_id: str, stop: threading.Event, times: list[float]) -> None:
        number = 0
        try:
            while not stop.is_set():
                session = open_session(self._store, session_id)
                started = time.perf_counter()
                session.get("made")
                times.append(time.perf_counter() - started)
                number += 1
                if number % 10 == 0:
                    session["n"] = number
                    session.save()
                time.sleep(0.002)
        except Exception as error:
            self.errors.append(error)


def measured(visitors: Visitors, meanwhile: object) -> tuple[list[float], object]:
    stop = threading.Event()
    times: list[float] = []
    thread = threading.Thread(target=lambda: times.extend(visitors.visit(stop)))
    thread.start()
    result = meanwhile()  # type: ignore[operator]
    stop.set()
    thread.join()
    return times, result


def describe(name: str, times: list[float]) -> None:
    milliseconds = [seconds * 1000 for seconds in times]
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    print(f"{name:<8} {len(times):>7} reads   median {statistics.median(milliseconds):6.2f} ms   p99 {p99:6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = PostgreSQL(Path(folder))
        server.initialise()
        server.start()
        store = SQLStore(create_session_engine(server.url))
        store.create_table()
        print(f"Filling a table with {options.rows} sessions ...")
        server.execute(FILL.format(rows=options.rows, now=int(time.time())))
        server.execute("ANALYZE sessions")
        visitors = Visitors(store)
        live = store.count()
        before, _ = measured(visitors, lambda: time.sleep(10))
        started = time.perf_counter()
        during, purged = measured(visitors, store.purge)
        seconds = time.perf_counter() - started
        describe("before", before)
        describe("during", during)
        ratio = statistics.median(during) / statistics.median(before)
        print(f"purged {purged} in {seconds:.1f} s; a read took {ratio:.2f} times as long meanwhile (median)")
        print(
            f"errors {len(visitors.errors)}, live sessions lost {live - store.count()}, visitors lost {visitors.lost()}"
        )
        store.close()
        server.stop()


if __name__ == "__main__":
    main()
