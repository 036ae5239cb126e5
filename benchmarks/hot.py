"""How many updates PostgreSQL makes in place (HOT), and what they cost in table, indexes and WAL.

Three layouts in one run: that of the package, ``expires`` rounded up to an eighth of the timeout alone, and ``expires``
as it is in pages that are filled. Each session writes once a minute at the default timeout (the clock is set), then
again without any pause.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.stores import sql, sql_table
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import make_record
from tests.servers.postgresql import PostgreSQL

SESSIONS = 1000
MINUTE = 60
COUNTED = "n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'"
SIZES = "pg_table_size('sessions'), pg_indexes_size('sessions'), pg_current_wal_lsn() - '0/0'"


class Layout(NamedTuple):
    name: str
    rounded: Callable[[Record], int | None]
    fillfactor: int


class Measured(NamedTuple):
    updates: int
    in_place: int
    table: int
    indexes: int
    wal: int


def eighth(record: Record) -> int | None:
    step = (record.timeout or 0) // 8
    return record.expires and -(-record.expires // step) * step


LAYOUTS = (
    Layout("of the package", sql_table._rounded, 80),
    Layout("an eighth", eighth, 80),
    Layout("as it is, pages full", lambda record: record.expires, 100),
)


class Visitors:
    """Sessions that write, each at a second of its own of the minute."""

    def __init__(self, store: SQLStore, size: int, now: int) -> None:
        self._store = store
        self._now = now
        self._data = b'{"a":"' + b"x" * (size - 10) + b'"}'
        self._records: list[tuple[str, Record]] = []
        for number in range(SESSIONS):
            key = f"{random.getrandbits(110):022}"[:22] + f"{number:08}"
            record = make_record(self._data, userid=f"user{number}", created=now, renewed=now, deadline=now + 43200)
            created = store.create(key, record)
            assert created
            self._records.append((key, created))
        self._offsets = [random.randrange(MINUTE) for _ in range(SESSIONS)]

    def write(self, writes: int, apart: int, note: Callable[[int], None]) -> None:
        done = 0
        turn = 0
        while done < writes:
            turn += 1
            for number in sorted(range(SESSIONS), key=self._offsets.__getitem__):
                renewed = self._now + turn * apart + (self._offsets[number] if apart else 0)
                with mock.patch.object(sql, "time", lambda at=renewed: at):
                    self._write(number, done, renewed)
                done += 1
            note(done)

    def write_at_once(self, writes: int, note: Callable[[int], None]) -> None:
        """In a tight loop, by the clock on the wall."""
        for done in range(writes):
            self._write(done % SESSIONS, done, int(time.time()))
            if done % 10_000 == 0:
                note(done)

    def _write(self, number: int, done: int, renewed: int) -> None:
        key, record = self._records[number]
        data = self._data[:-10] + b'%08d"}' % done
        updated = self._store.update_contents(key, record.renewed_with(data, max(record.renewed, renewed)))
        assert updated
        self._records[number] = key, updated


def measure(server: PostgreSQL, layout: Layout, size: int, write: Callable[[Visitors], None], now: int) -> Measured:
    with mock.patch.object(sql_table, "_rounded", layout.rounded):
        store = SQLStore(create_session_engine(server.url))
        store.create_table()
        try:
            server.execute(f"ALTER TABLE sessions SET (fillfactor = {layout.fillfactor})")
            with mock.patch.object(sql, "time", return_value=now):
                visitors = Visitors(store, size, now)
            server.execute("CHECKPOINT")
            before = sizes(server)
            write(visitors)
            after = sizes(server)
            updates, in_place = counted(server)
        finally:
            store.close()
            server.execute("DROP TABLE sessions")
    return Measured(updates, in_place, after[0], after[1], after[2] - before[2])


def sizes(server: PostgreSQL) -> tuple[Any, ...]:
    return server.execute(f"SELECT {SIZES}")[0]


def counted(server: PostgreSQL) -> tuple[Any, ...]:
    # Each connection tells its figures when it is idle, a second late.
    time.sleep(2)
    return server.execute(f"SELECT {COUNTED}")[0]


def describe(when: str, layout: Layout, found: Measured, first: Measured) -> None:
    share = 100 * found.in_place / found.updates
    print(
        f"{when:<22} {layout.name:<22} {share:6.2f} % in place   table {found.table / 1e6:6.2f} MB   "
        f"indexes {found.indexes / 1e6:6.2f} MB   WAL {found.wal / found.updates:6.0f} bytes an update "
        f"({found.wal / first.wal:.2f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=300, help="bytes of contents")
    options = parser.parse_args()
    ways: dict[str, Callable[[Visitors, Callable[[int], None]], None]] = {
        "one write a minute": lambda visitors, note: visitors.write(options.writes, MINUTE, note),
        "in a tight loop": lambda visitors, note: visitors.write_at_once(options.writes, note),
    }
    with tempfile.TemporaryDirectory() as folder, PostgreSQL(Path(folder)) as server:
        print(f"{SESSIONS} sessions of {options.size} bytes, {options.writes} updates", flush=True)
        for when, write in ways.items():
            first = None
            for layout in LAYOUTS:
                started = time.monotonic()

                def note(done: int, when: str = when, layout: Layout = layout, started: float = started) -> None:
                    if done % 20_000 == 0:
                        seconds = time.monotonic() - started
                        print(f"  {when}, {layout.name}: {done} updates, {seconds:.0f} s", flush=True)

                def run(visitors: Visitors, write: Any = write, note: Any = note) -> None:
                    write(visitors, note)

                now = int(time.time()) - (7200 if when == "one write a minute" else 0)
                found = measure(server, layout, options.size, run, now)
                first = first or found
                describe(when, layout, found, first)


if __name__ == "__main__":
    main()
