"""How long lists and counts take in a table of a million sessions, on SQLite, PostgreSQL and MariaDB.

Half of the sessions have expired, and one in a hundred never expires. A second table has a backlog: all but fifty have
expired. Beside ``live_sessions`` stands what it was once: with contents, by the time of creation.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import Statement, create_session_engine
from pyramid_sessionkit.stores.sql_table import FIELDS, _alive, _parameter
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

SECONDS = 900
"""How long a statement may take here; that of an application gets five."""
ROUNDS = 5

NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})",
    "postgresql": "WITH numbers(n) AS (SELECT generate_series(1, {rows}))",
    "mariadb": "",
}
# In the order of the keys: MariaDB takes minutes for rows that come in any other.
SOURCE = {"mariadb": "(SELECT seq AS n FROM seq_1_to_{rows} ORDER BY md5(seq) LIMIT {rows}) AS numbers"}
CONTENTS = {
    "sqlite": "zeroblob(300)",
    "postgresql": "convert_to(repeat('x', 300), 'UTF8')",
    "mariadb": "repeat('x', 300)",
}
KEY = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "md5(n::text)", "mariadb": "md5(n)"}
TEXT = {"sqlite": "n % 100000 || ''", "postgresql": "(n % 100000)::text", "mariadb": "cast(n % 100000 AS char)"}

HALF = "n % 2 = 0"
BACKLOG = "n % ({rows} / 50) <> 0"


def fill(store: SQLStore, name: str, table: str, expired: str, rows: int) -> None:
    started = time.monotonic()
    store.create_table()
    now = int(time.time())
    renewed = f"CASE WHEN {expired.format(rows=rows)} THEN {now} - 8000 - n % 1200 ELSE {now} + 300 - n % 1200 END"
    never = f"n % 100 = 1 AND NOT ({expired.format(rows=rows)})"
    statement = f"""
        INSERT INTO {table} (session_key, data, verifier, salt, userid, authenticated, created, renewed, timeout,
                             deadline, persistent, expires, version)
        {NUMBERS[name].format(rows=rows)}
        SELECT {KEY[name]}, {CONTENTS[name]}, '{"f" * 64}', 'salt', {TEXT[name]}, n, {now} - n % 40000, {renewed},
               CASE WHEN {never} THEN NULL ELSE 1200 END, NULL, {"true" if name == "postgresql" else 1},
               CASE WHEN {never} THEN NULL ELSE ceil(({renewed} + 1200) / 600.0) * 600 END, 5
        FROM {SOURCE.get(name, "numbers").format(rows=rows)}
    """
    if name != "sqlite":
        statement = statement.replace("%", "%%")
    analyze = {"sqlite": "ANALYZE", "postgresql": f"VACUUM ANALYZE {table}", "mariadb": f"ANALYZE TABLE {table}"}
    with store.engine.connect() as connection:
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql(analyze[name])
    print(f"  {name}, {table}: {rows} rows in {time.monotonic() - started:.0f} s", flush=True)


def newest_first(store: SQLStore) -> Callable[[], Any]:
    """``live_sessions(100)`` as it was."""
    c = store._table.c
    now, batch = _parameter("now"), _parameter("batch")
    columns = [c.session_key, *(c[name] for name in FIELDS)]
    newest = select(*columns).where(_alive(c, now)).order_by(c.created.desc(), c.session_key.desc()).limit(batch)
    statement = Statement(store._connections, newest, store._table.fullname)
    return lambda: statement.fetch_all({"now": int(time.time()), "batch": 100})


def measure(store: SQLStore, name: str, table: str) -> None:
    operations: dict[str, Callable[[], Any]] = {
        "live_sessions(100)": lambda: store.live_sessions(100),
        "live_sessions(10000)": lambda: store.live_sessions(10_000),
        "as it was (100)": newest_first(store),
        "count()": store.count,
        "count(expired=True)": lambda: store.count(expired=True),
        "find_keys('ab', 2)": lambda: store.find_keys("ab", 2),
        "sessions_of('77')": lambda: store.sessions_of("77"),
        "purge(1000)": lambda: store.purge(1000),
    }
    for what, operation in operations.items():
        best, first = float("inf"), 0.0
        for number in range(ROUNDS):
            started = time.perf_counter()
            found = operation()
            took = time.perf_counter() - started
            first = first if number else took
            best = min(best, took)
            if took > 10:
                break
        size = found if isinstance(found, int) else len(found)
        print(
            f"{name:<11} {table:<9} {what:<21} {best * 1000:10.2f} ms (the first time {first * 1000:.0f})   {size}",
            flush=True,
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  memory of this process at most: {memory:.0f} MB", flush=True)


@contextlib.contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    if name == "sqlite":
        yield f"sqlite:///{folder}/sessions.sqlite"
        return
    with (PostgreSQL if name == "postgresql" else MariaDB)(folder) as server:
        yield server.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql", "mariadb"])
    options = parser.parse_args()
    for name in options.databases:
        with tempfile.TemporaryDirectory() as folder, database(name, Path(folder)) as url:
            for table, expired in (("sessions", HALF), ("backlog", BACKLOG)):
                store = SQLStore(create_session_engine(url, SECONDS), table)
                fill(store, name, table, expired, options.rows)
                measure(store, name, table)
                store.close()


if __name__ == "__main__":
    main()
