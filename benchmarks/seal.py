"""What sealing adds, on memory and on SQLite: to a read and a write of the store, and to requests that do so."""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from pyramid.request import Request

from benchmarks.price import filled, our_app
from pyramid_sessionkit.events import Events
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.sealing.keys import Sealer
from pyramid_sessionkit.sealing.store import sealing
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import KEY, make_record

ALLOWED = 6.0
"""Microseconds, for one read or one write."""

Act = Callable[[], Any]


def compare(name: str, what: str, plain: Act, sealed: Act, rounds: int, times_each: int) -> None:
    """Many short rounds that alternate; what counts is the median of the differences of two that follow each other.

    The time is that of this process, so that programs beside it count less.
    """
    times = [(spent(plain, times_each), spent(sealed, times_each)) for _ in range(rounds)]
    without, with_seal = (median(column) for column in zip(*times, strict=True))
    print(
        f"{name:<7} {what:<8} unsealed {without:6.1f} us   sealed {with_seal:6.1f} us   "
        f"difference {median(after - before for before, after in times):+5.1f} us, "
        f"of the fastest rounds {min(after for _, after in times) - min(before for before, _ in times):+5.1f} us"
    )


def spent(act: Act, times_each: int) -> float:
    start = time.process_time()
    for _ in range(times_each):
        act()
    return (time.process_time() - start) / times_each * 1e6


def reading(store: Any) -> Act:
    store.create(KEY, make_record(b'{"user":"ada","cart":{"pencil":2,"paper":1},"n":1}', userid="1"))
    return lambda: store.load(KEY)


def writing(store: Any) -> Act:
    last: list[Record] = [store.load(KEY)]
    update = getattr(store, "update_contents", store.update)
    numbers = count(10**6)

    def write() -> None:
        # SQLite has less to do where a row stays as it is.
        last[0] = update(KEY, last[0].with_data(b'{"user":"ada","cart":{"pencil":2},"n":%d}' % next(numbers)))

    return write


def requesting(app: Any, path: str, cookie: str) -> Act:
    environ = {**Request.blank(path).environ, "HTTP_COOKIE": cookie}
    return lambda: app(dict(environ), lambda status, headers: None)


def compare_all(name: str, stores: tuple[Any, Any], apps: tuple[Any, Any], rounds: int, times_each: int) -> None:
    compare(name, "read", reading(stores[0]), reading(stores[1]), rounds, times_each)
    compare(name, "write", writing(stores[0]), writing(stores[1]), rounds, times_each)
    cookies = [filled(app) for app in apps]
    for path in ("/read", "/change"):
        plain, sealed = (requesting(app, path, cookie) for app, cookie in zip(apps, cookies, strict=True))
        compare(name, path, plain, sealed, rounds, times_each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--count", type=int, default=300, help="requests in a round")
    options = parser.parse_args()
    secret = secrets.token_bytes(32)
    seal_key = urlsafe_b64encode(secret).decode()

    def sealed(store: Any) -> Any:
        return sealing(store, Sealer([secret], "session"), Events())

    print(f"One read, or one write, may cost {ALLOWED} us more. A request to /change does both.")
    memory = MemoryStore(), sealed(MemoryStore())
    compare_all("memory", memory, (our_app(), our_app(seal_key=seal_key)), options.rounds, options.count)
    with tempfile.TemporaryDirectory() as folder:
        urls = [f"sqlite:///{Path(folder) / name}.sqlite" for name in ("plain", "sealed")]
        named = [{"store": "sql", "sql.url": url, "sql.create_table": True} for url in urls]
        apps = our_app(**named[0]), our_app(**named[1], seal_key=seal_key)
        first, second = (SQLStore(create_session_engine(url)) for url in urls)
        compare_all("sqlite", (first, sealed(second)), apps, options.rounds, options.count // 4)


if __name__ == "__main__":
    main()
