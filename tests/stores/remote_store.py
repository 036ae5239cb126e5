"""A store with all optional interfaces and a server of its own: for the conformance suite with all of its hooks."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import IContentsUpdate, IListable, IPurgeable, ISessionStore, IUserIndex
from tests.stores.remote_server import receive, send


@implementer(ISessionStore, IContentsUpdate, IUserIndex, IListable, IPurgeable)
class RemoteStore:
    """A pool of connections for each process. Nothing is ever sent twice."""

    def __init__(self, address: tuple[str, int], timeout: float = 5.0) -> None:
        self._address = address
        self._timeout = timeout
        self._idle: dict[int, list[socket.socket]] = {}
        """Those that nobody uses, by process."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self._call("load", key, fresh, at)

    def create(self, key: str, record: Any) -> Any:
        return self._call("create", key, record)

    def update(self, key: str, record: Any) -> Any:
        return self._call("update", key, record)

    def update_contents(self, key: str, record: Any) -> Any:
        return self._call("update", key, record)

    def delete(self, key: str, record: Any = None) -> Any:
        return self._call("delete", key, record)

    def sessions_of(self, userid: str) -> Any:
        return self._call("sessions_of", userid)

    def live_sessions(self, limit: int) -> Any:
        return self._call("live_sessions", limit)

    def find_keys(self, prefix: str, limit: int) -> Any:
        return self._call("find_keys", prefix, limit)

    def count(self, expired: bool = False) -> Any:
        return self._call("count", expired)

    def clear(self) -> Any:
        return self._call("clear")

    def purge(self, limit: int | None = None, tell: Any = None) -> Any:
        removed = self._call("purged", limit)
        for item in removed if tell is not None else ():
            tell(*item)
        return len(removed)

    def close(self) -> None:
        for connection in self._idle.pop(os.getpid(), []):
            connection.close()

    def _call(self, name: str, *args: Any) -> Any:
        idle = self._idle.setdefault(os.getpid(), [])
        connection = None
        try:
            connection = _taken(idle) or socket.create_connection(self._address, self._timeout)
            send(connection, (name, args))
            answer = receive(connection)
        except (OSError, EOFError) as error:
            if connection is not None:
                connection.close()
            raise StoreUnavailable(f"The server did not answer: {error}") from error
        idle.append(connection)
        return answer


def _taken(idle: list[socket.socket]) -> socket.socket | None:
    with contextlib.suppress(IndexError):
        return idle.pop()
    return None
