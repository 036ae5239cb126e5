from __future__ import annotations

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
