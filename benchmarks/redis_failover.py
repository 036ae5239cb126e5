"""What acknowledged writes Redis loses when a replica takes over, and what waiting for the replica would cost.

Eight threads write sessions through the store, and one of these happens:

- the process of the primary is killed, and the sentinel promotes the replica;
- the machine of the primary is lost, with what was on its way to the replica: one millisecond of writes;
- an operator says ``SENTINEL FAILOVER``, without and with ``min-replicas-to-write 1``.

A write is lost if the store said that it was done and what is read afterwards is older. The times of the sentinel are
its own, as in production. ``python -m benchmarks.redis_failover``, about three minutes.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from pyramid_sessionkit import StoreUnavailable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.redis import from_settings
from pyramid_sessionkit.testing.conformance import make_record, numbered
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.servers.redis_sentinel import RedisSentinel, is_replica, wait_until

THREADS = 8
ROUNDS = 5
SECONDS_BEFORE = 1.0
SECONDS_OF_FAILOVER = 15.0
LINK_DELAY = 0.001
WRITES = 5000


def open_store(url: str) -> Any:
    return from_settings(parse_settings({"sessionkit.secret": "s" * 40, "sessionkit.redis.url": url}))


class Writer:
    """A thread that counts in a session of its own; it keeps what was acknowledged and what was lost of that."""

    def __init__(self, store: Any, number: int, stop: threading.Event) -> None:
        self._store, self._key, self._stop = store, numbered(number), stop
        self._stored = store.create(self._key, make_record(b"0"))
        self.acknowledged = self.writes = self.lost = self.refused = 0
        self.thread = threading.Thread(target=self._write)
        self.thread.start()

    def _write(self) -> None:
        while not self._stop.is_set():
            try:
                self._write_once()
            except StoreUnavailable:
                self.refused += 1
                self._stored = None
                time.sleep(0.02)

    def _write_once(self) -> None:
        if self._stored is None:
            self.compare(self._store)
        stored = self._store.update(self._key, self._stored._replace(data=b"%d" % (self.acknowledged + 1)))
        self._stored = stored
        if stored is not None:
            self.acknowledged += 1
            self.writes += 1

    def compare(self, store: Any) -> None:
        """What is stored now may be one ahead, of a write whose answer was lost; if it is behind, writes were lost."""
        self._stored = store.load(self._key)
        if self._stored is None:
            self._stored = store.create(self._key, make_record(b"0"))
        count = int(self._stored.data)
        self.lost += max(0, self.acknowledged - count)
        self.acknowledged = count


def writers(store: Any, meanwhile: Callable[[], None]) -> list[Writer]:
    """Let them write, do that, and stop them."""
    stop = threading.Event()
    started = [Writer(store, number, stop) for number in range(THREADS)]
    time.sleep(SECONDS_BEFORE)
    meanwhile()
    stop.set()
    for writer in started:
        writer.thread.join()
    return started


def with_sentinel(happens: Callable[[RedisSentinel], None], *options: str) -> tuple[int, int]:
    """How many writes were acknowledged, and how many of them were lost."""
    with tempfile.TemporaryDirectory() as folder, RedisSentinel(Path(folder), patient=True) as servers:
        for option in options:
            servers.primary.execute("CONFIG", "SET", *option.split())
        store = open_store(servers.url)
        started = writers(store, lambda: happens(servers))
        return totals(started, store)


def totals(started: list[Writer], store: Any) -> tuple[int, int]:
    for writer in started:
        wait_until(lambda writer=writer: is_compared(writer, store))  # type: ignore[misc]
    store.close()
    return sum(writer.writes for writer in started), sum(writer.lost for writer in started)


def is_compared(writer: Writer, store: Any) -> bool:
    """Whether the store answered: clients may not find a new primary at once."""
    try:
        writer.compare(store)
    except StoreUnavailable:
        return False
    return True


def killed(servers: RedisSentinel) -> None:
    new = servers.replica
    servers.primary.kill()
    servers.wait_for(new)


def failed_over(servers: RedisSentinel) -> None:
    servers.sentinel.execute("SENTINEL", "FAILOVER", "sessions")
    time.sleep(SECONDS_OF_FAILOVER)


def machine_lost() -> tuple[int, int]:
    """The primary and its link to the replica end at the same time; somebody promotes the replica."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Redis(folder, "--repl-diskless-sync-delay", "0") as primary, Redis(folder) as replica:
            link = Proxy(primary.port)
            replica.execute("REPLICAOF", "127.0.0.1", link.port)
            wait_until(lambda: is_replica(replica))
            link.delay = LINK_DELAY

            def lose() -> None:
                link.close()
                primary.kill()

            store = open_store(primary.url)
            started = writers(store, lose)
            store.close()
            replica.execute("REPLICAOF", "NO", "ONE")
            return totals(started, open_store(replica.url))


def waiting() -> tuple[float, float]:
    """Microseconds of a write of 500 bytes, without and with ``WAIT 1``, in turns."""
    with tempfile.TemporaryDirectory() as folder, RedisSentinel(Path(folder)) as servers:
        client = redis.Redis(port=servers.primary.port)
        value = b"x" * 500
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(2 * WRITES):
            started = time.perf_counter()
            pipeline = client.pipeline(transaction=False).execute_command("SET", "key", value)
            if number % 2:
                pipeline.execute_command("WAIT", 1, 1000)
            pipeline.execute()
            times[number % 2].append(time.perf_counter() - started)
        client.close()
    return statistics.median(times[0]) * 1e6, statistics.median(times[1]) * 1e6


def main() -> None:
    alone, waited = waiting()
    print(f"a write: {alone:.0f} us, with WAIT 1: {waited:.0f} us (+{waited - alone:.0f})")
    cases: dict[str, Callable[[], tuple[int, int]]] = {
        "process killed": lambda: with_sentinel(killed),
        "machine lost, 1 ms of writes on their way": machine_lost,
        "SENTINEL FAILOVER": lambda: with_sentinel(failed_over),
        "the same with min-replicas-to-write 1": lambda: with_sentinel(failed_over, "min-replicas-to-write 1"),
    }
    for name, case in cases.items():
        for _ in range(1 if "FAILOVER" in name or "min" in name else ROUNDS):
            writes, lost = case()
            print(f"{name}: {writes} acknowledged, {lost} lost")


if __name__ == "__main__":
    main()
