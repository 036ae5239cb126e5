from __future__ import annotations

import signal
from pathlib import Path

from pymemcache import Client

from tests.servers.process import Server, free_port, program


class Memcached(Server):
    """memcached on a loopback port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        command = [program("memcached", "memcached"), "-l", "127.0.0.1", "-p", str(self.port), "-u", "nobody"]
        super().__init__(command, self._answer, folder / f"memcached-{self.port}.log")

    def stop(self, signum: int = signal.SIGKILL) -> None:
        # It has nothing to save. Asked to end, it takes a second.
        super().stop(signum)

    def _answer(self) -> None:
        client = Client(self.address, connect_timeout=1, timeout=1)
        try:
            client.version()
        finally:
            client.close()

    def flush(self) -> None:
        client = Client(self.address, connect_timeout=1, timeout=1)
        client.flush_all(noreply=False)
        client.close()
