from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.process import Server, free_port, program


class Redis(Server):
    """Redis on a loopback port, without a file, with the given options."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [program("redis-server", "redis-server"), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(folder), "--shutdown-timeout", "0", *options]
        super().__init__(command, self._answer, folder / f"redis-{self.port}.log")

    def client(self) -> redis.Redis:
        """Repeats nothing. With protocol 2 answers have the same shape with all releases of redis-py."""
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, protocol=2, decode_responses=True, socket_timeout=5, retry=retry)

    def execute(self, *words: Any) -> Any:
        """What this server answers to a command, as an operator."""
        with self.client() as client:
            return client.execute_command(*words)

    def _answer(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(7) != b"+PONG\r\n":
                raise ConnectionError("Redis is not ready")
