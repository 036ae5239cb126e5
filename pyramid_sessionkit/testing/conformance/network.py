"""Servers that fail: one that never answers, and a proxy that closes connections and loses answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

LOCALHOST = "127.0.0.1"


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as listening:
        listening.bind((LOCALHOST, 0))
        return int(listening.getsockname()[1])


class Proxy:
    """Stands between a store and its server. Without a server it accepts connections and never answers."""

    def __init__(self, target: tuple[str, int] | None) -> None:
        self.lose_answers = False
        """The next answer closes its connection instead of arriving. The server has done what it was asked."""
        self._target = target
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._passing: list[threading.Thread] = []
        self._listen(0)

    @property
    def address(self) -> tuple[str, int]:
        return LOCALHOST, self._port

    def close_connections(self) -> None:
        """Close those that are open; new ones are accepted."""
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            _close(connection)

    def stop(self) -> None:
        """From now on nobody listens. No thread is left, since a test that follows may fork."""
        _close(self._listening)
        self._accepting.join()
        self.close_connections()
        while self._passing:
            self._passing.pop().join()

    def start(self) -> None:
        """Listen again, at the same address."""
        self._listen(self._port)

    def _listen(self, port: int) -> None:
        self._listening = socket.create_server((LOCALHOST, port))
        self._port: int = self._listening.getsockname()[1]
        self._accepting = _in_background(self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connect(listening.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        self._keep(client)
        if self._target is None:
            return
        server = socket.create_connection(self._target)
        self._keep(server)
        self._passing.append(_in_background(self._pass_on, client, server, False))
        self._passing.append(_in_background(self._pass_on, server, client, True))

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.append(connection)

    def _pass_on(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.lose_answers:
                    self.lose_answers = False
                    break
                target.sendall(data)
        _close(source)
        _close(target)


@contextlib.contextmanager
def proxy_to(target: tuple[str, int] | None) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.stop()


def _in_background(target: Any, *args: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
