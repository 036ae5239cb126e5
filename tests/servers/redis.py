from __future__ import annotations

import socket
from pathlib import Path

from tests.servers.process import Server, free_port, program


class Redis(Server):
    """Redis on a loopback port, without a file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [program("redis-server", "redis-server"), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        super().__init__(command, self._answer, folder / f"redis-{self.port}.log")

    def _answer(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(7) != b"+PONG\r\n":
                raise ConnectionError("Redis is not ready")
