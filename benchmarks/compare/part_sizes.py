"""How much room a session takes in each store, how much is logged for a write, and how long a purge takes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.compare.catalogue import OURS, SQL
from benchmarks.compare.filling import ADDED, contents, fill, open_store, session_key
from benchmarks.compare.run import Row, Run

DAY = 86400


def measure(run: Run) -> list[Row]:
    stores = [app.store for app in run.apps if app.library == OURS]
    count = 2_000 if run.quick else 20_000
    rows = []
    for name in stores:
        for extra in (0, ADDED):
            if name in _MEASURES:
                row = {"what": "size", "store": name, "contents": len(contents(extra)), "count": count}
                rows.append({**row, **_MEASURES[name](run, count, extra)})
                run.say(f"sizes, {name}: {rows[-1]['bytes']:.0f} bytes for {rows[-1]['contents']} of contents")
        if name in SQL:
            rows.append({"what": "purge", "store": name, **_purge(run, name, count)})
            run.say(f"sizes, {name}: a purge removes {rows[-1]['rate']:.0f} sessions in a second")
        if name == "postgresql":
            rows.append({"what": "wal", "store": name, **_wal(run, count)})
            run.say(f"sizes, {name}: {rows[-1]['later']:.0f} bytes of WAL for a write")
    return rows


def _memory(run: Run, count: int, extra: int) -> Row:
    command = [sys.executable, "-m", "benchmarks.compare.rss", str(count * 5), str(extra)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"bytes": float(done.stdout), "count": count * 5}


def _memcached(run: Run, count: int, extra: int) -> Row:
    from pymemcache import Client

    client = Client(run.addresses["memcached"])
    client.flush_all(noreply=False)
    store = open_store(run.addresses, "memcached", f"_size{extra}")
    fill(store, count, extra)
    items, slabs = (
        {_text(name): _text(value) for name, value in client.stats(of).items()} for of in ("items", "slabs")
    )
    numbers = {name.split(":")[1]: int(value) for name, value in items.items() if name.endswith(":number")}
    # All of the same size, they are in the same slab.
    slab = max(numbers, key=lambda name: numbers[name])
    item = int(items[f"items:{slab}:mem_requested"]) / numbers[slab]
    store.close()
    client.flush_all(noreply=False)
    client.close()
    return {"bytes": float(slabs[f"{slab}:chunk_size"]), "item": item}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _sqlite(run: Run, count: int, extra: int) -> Row:
    table, indexes = _sql(run, "sqlite", count, extra, _sqlite_bytes)
    return {"bytes": (table + indexes) / count, "table": table / count, "indexes": indexes / count}


def _postgresql(run: Run, count: int, extra: int) -> Row:
    table, indexes = _sql(run, "postgresql", count, extra, _postgresql_bytes)
    return {"bytes": (table + indexes) / count, "table": table / count, "indexes": indexes / count}


def _mariadb(run: Run, count: int, extra: int) -> Row:
    table, indexes = _sql(run, "mariadb", count, extra, _mariadb_bytes)
    return {"bytes": (table + indexes) / count, "table": table / count, "indexes": indexes / count}


_MEASURES = {
    "memory": _memory,
    "memcached": _memcached,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
}


def _sql(run: Run, name: str, count: int, extra: int, ask: Any) -> tuple[float, float]:
    store = open_store(run.addresses, name, f"_size{extra}")
    fill(store, count, extra)
    try:
        found: tuple[float, float] = ask(store, store._table.name)
        return found
    finally:
        _drop(store)


def _postgresql_bytes(store: Any, table: str) -> tuple[float, float]:
    row = _ask(store, f"SELECT pg_table_size('{table}'), pg_indexes_size('{table}')")
    return float(row[0]), float(row[1])


def _mariadb_bytes(store: Any, table: str) -> tuple[float, float]:
    _ask(store, f"ANALYZE TABLE {table}")
    # The engine counts pages as they are taken, a moment after the rows.
    time.sleep(1)
    row = _ask(store, f"SELECT data_length, index_length FROM information_schema.tables WHERE table_name = '{table}'")
    return float(row[0]), float(row[1])


def _sqlite_bytes(store: Any, table: str) -> tuple[float, float]:
    """By what is free after each was dropped, since not every SQLite can tell pages by table."""
    everything = _sqlite_pages(store)
    for index in store._table.indexes:
        index.drop(store.engine)
    without_indexes = _sqlite_pages(store)
    store._table.drop(store.engine)
    return without_indexes - _sqlite_pages(store), everything - without_indexes


def _sqlite_pages(store: Any) -> float:
    pages, free = (_ask(store, f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count"))
    return float((pages - free) * _ask(store, "PRAGMA page_size")[0])


def _purge(run: Run, name: str, count: int) -> Row:
    store = open_store(run.addresses, name, "_purge")
    fill(store, count, ago=DAY)
    started = time.perf_counter()
    purged = store.purge()
    seconds = time.perf_counter() - started
    assert purged == count, purged
    _drop(store)
    return {"count": count, "seconds": seconds, "rate": count / seconds}


def _wal(run: Run, count: int) -> Row:
    """Bytes of WAL for an update: the first to each page after a checkpoint, which logs the page, and later ones."""
    store = open_store(run.addresses, "postgresql", "_wal")
    fill(store, count)
    writes = min(count, 5_000)
    keys = [session_key(number) for number in range(writes)]
    _ask(store, "CHECKPOINT")
    first = _logged(store, keys)
    later = _logged(store, keys)
    time.sleep(1.5)  # the server counts updates with a delay
    stats = _ask(
        store, f"SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{store._table.name}'"
    )
    _drop(store)
    return {"writes": writes, "first": first, "later": later, "hot": stats[1] / max(1, stats[0])}


def _logged(store: Any, keys: list[str]) -> float:
    start = _ask(store, "SELECT pg_current_wal_insert_lsn()")[0]
    for key in keys:
        store.update(key, store.load(key))
    return float(_ask(store, f"SELECT pg_current_wal_insert_lsn() - '{start}'")[0]) / len(keys)


def _ask(store: Any, statement: str) -> Any:
    with store.engine.connect() as connection:
        cursor = connection.exec_driver_sql(statement)
        return cursor.fetchone() if cursor.returns_rows else None


def _drop(store: Any) -> None:
    store.close()
    store._table.drop(store.engine, checkfirst=True)
    store.engine.dispose()
