"""The server of the remote store: a process that answers the calls of its clients from memory.

It is no thread of the tests, since tests fork: a child has no other threads, and none may hold a lock while it forks.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from pyramid_sessionkit.interfaces import unreadable
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.servers.process import Server, free_port

ROOT = Path(__file__).parents[2]


class RemoteServer(Server):
    """Starts the process, and stops it."""

    def __init__(self) -> None:
        self.address = ("127.0.0.1", free_port())
        command = [sys.executable, "-m", __name__, str(self.address[1])]
        super().__init__(command, self._connect, Path(os.devnull), {"PYTHONPATH": str(ROOT)})

    def call(self, name: str, *args: Any) -> Any:
        with socket.create_connection(self.address, 5) as connection:
            send(connection, (name, args))
            return receive(connection)

    def _connect(self) -> None:
        socket.create_connection(self.address, 5).close()


class DamageableStore(MemoryStore):
    """Can make a session unreadable."""

    def purged(self, limit: int | None) -> list[tuple[str, Any]]:
        """What a purge has removed."""
        removed: list[tuple[str, Any]] = []
        self.purge(limit, lambda *item: removed.append(item))
        return removed

    def damage(self, key: str) -> None:
        damaged = unreadable(self._records[key].version)
        self.delete(key)
        self._records[key] = damaged
        self._order.added(key, damaged)


def serve(port: int) -> None:
    memory = DamageableStore()
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_answer, args=(client, memory), daemon=True).start()


def _answer(client: socket.socket, memory: MemoryStore) -> None:
    with contextlib.suppress(OSError, EOFError), client:
        while True:
            name, args = receive(client)
            send(client, getattr(memory, name)(*args))


def send(connection: socket.socket, message: Any) -> None:
    data = pickle.dumps(message)
    connection.sendall(struct.pack("!I", len(data)) + data)


def receive(connection: socket.socket) -> Any:
    (size,) = struct.unpack("!I", _receive(connection, 4))
    return pickle.loads(_receive(connection, size))


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(size)
        if not part:
            raise EOFError("the connection was closed")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
