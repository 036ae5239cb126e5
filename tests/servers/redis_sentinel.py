from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from tests.servers.process import program
from tests.servers.redis import Redis

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = "sessions"
SECONDS = 20
"""What is waited for takes less than that, or never happens."""

DOWN_AFTER = 1000
"""Milliseconds after which a primary that does not answer is down."""

CONFIGURATION = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} 127.0.0.1 {primary} 1
sentinel down-after-milliseconds {name} {down_after}
sentinel failover-timeout {name} 3000
"""


class Sentinel(Redis):
    """A sentinel that decides alone."""

    def __init__(self, folder: Path, primary: int, *, patient: bool) -> None:
        super().__init__(folder)
        self._patient = patient
        self._configuration = folder / f"sentinel-{self.port}.conf"
        self._text = CONFIGURATION.format(
            port=self.port, folder=folder, name=NAME, primary=primary, down_after=DOWN_AFTER
        )
        self._command = [program("redis-server", "redis-server"), str(self._configuration), "--sentinel"]

    def initialise(self) -> None:
        self._configuration.write_text(self._text)

    def start(self) -> None:
        super().start()
        if not self._patient:
            # It would look at the servers every ten seconds, and correct them eight seconds later.
            self.execute("SENTINEL", "DEBUG", "INFO-PERIOD", 400, "PUBLISH-PERIOD", 50, "PING-PERIOD", 300)

    def primary(self) -> int:
        """The port of the primary, as clients are told."""
        return int(self.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def knows_replica(self, port: int) -> bool:
        """Whether it would promote that server."""
        answer = self.execute("SENTINEL", "REPLICAS", NAME)
        replicas = [dict(zip(words[::2], words[1::2], strict=True)) for words in answer]
        return any(
            int(replica["port"]) == port and replica["flags"] == "slave" and replica["master-link-status"] == "ok"
            for replica in replicas
        )


class RedisSentinel:
    """A primary, a replica of it, and a sentinel that makes the replica the primary when that is needed.

    The sentinel is in a hurry, unless it is ``patient``: it then takes the time that one in production would take.
    """

    def __init__(self, folder: Path, *, patient: bool = False) -> None:
        # A replica gets the data at once, and not when others might have come too.
        options = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        self._servers = [Redis(folder, *options), Redis(folder, *options)]
        self.sentinel = Sentinel(folder, self._servers[0].port, patient=patient)
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{NAME}/0"

    def __enter__(self) -> Self:
        primary, replica = self._servers
        primary.start()
        replica.start()
        replica.execute("REPLICAOF", "127.0.0.1", primary.port)
        wait_until(lambda: is_replica(replica))
        catch_up(primary)
        self.sentinel.initialise()
        self.sentinel.start()
        wait_until(lambda: self.sentinel.knows_replica(replica.port))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for server in (self.sentinel, *self._servers):
            server.kill()

    @property
    def primary(self) -> Redis:
        return self._server(self.sentinel.primary())

    @property
    def replica(self) -> Redis:
        primary = self.primary
        return next(server for server in self._servers if server is not primary)

    def _server(self, port: int) -> Redis:
        return next(server for server in self._servers if server.port == port)

    def fail_over(self) -> None:
        """Make the replica the primary, while both are up; returns when the old primary follows the new one."""
        old, new = self.primary, self.replica
        self.sentinel.execute("SENTINEL", "FAILOVER", NAME)
        self.wait_for(new)
        wait_until(lambda: is_replica(old) and self.sentinel.knows_replica(old.port))

    def repair(self) -> None:
        """Make all of them run, one as the replica of the other, whatever happened to them."""
        for server in (self.sentinel, *self._servers):
            server.restore()
        primary, replica = self.primary, self.replica
        wait_until(lambda: is_replica(replica) and self.sentinel.knows_replica(replica.port))
        catch_up(primary)

    def wait_for(self, primary: Redis) -> None:
        """Until clients are told that this is the primary, and it takes writes."""
        wait_until(lambda: self.sentinel.primary() == primary.port and primary.execute("ROLE")[0] == "master")


def is_replica(server: Redis) -> bool:
    """Whether it follows a primary."""
    try:
        role = server.execute("ROLE")
    except redis.ConnectionError:  # it was told to follow just now, and closes all connections
        return False
    return bool(role[0] == "slave" and role[3] == "connected")


def catch_up(primary: Redis) -> None:
    """Wait until its replica has what it has. One that has just been filled may be a second behind."""
    with primary.client() as client:
        client.set("caught up", 1)
        assert client.wait(1, 4000) == 1
        client.delete("caught up")


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
