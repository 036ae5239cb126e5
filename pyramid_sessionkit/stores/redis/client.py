"""Commands and scripts for Redis, over the connections of this process.

redis-py repeats nothing here. A command that may be repeated is sent once more, on a new connection, where the first
was lost before its answer came: it may have been carried out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from pyramid_sessionkit.stores.home import Home, keep_inherited
from pyramid_sessionkit.stores.redis.connections import (
    ERRORS,
    ClusterConnections,
    Connections,
    NoConnection,
    ServerConnections,
)
from pyramid_sessionkit.stores.redis.errors import is_lost, is_read_only, is_wrong_type, translated
from pyramid_sessionkit.stores.redis.scripts import Script
from pyramid_sessionkit.stores.redis.urls import MAX_CONNECTIONS, Address, connect

IN_A_PIPELINE = 500
"""Commands that are sent together."""


class Client:
    """Each method raises :exc:`StoreUnavailable` for an outage, and :exc:`StoreError` for what was refused."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.is_cluster = address.kind == "cluster"
        self._timeout = timeout
        self._connections: Connections | None = None
        self._lock = threading.Lock()
        self._home = Home(self._leave)

    def call(self, *command: Any, again: bool) -> Any:
        """The answer to a command; ``again``: it may be sent once more if the connection was lost."""
        try:
            return self._connected().ask(*command)
        except ERRORS as error:
            if not (again and is_lost(error)):
                raise self._refused(error) from error
        self._drop_idle()
        return self.call(*command, again=False)

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any], again: bool) -> Any:
        """The answer of a script. A server that does not know it, since it was restarted, is sent its text."""
        try:
            return self._connected().ask("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            pass
        except ERRORS as error:
            if not (again and is_lost(error)):
                raise self._refused(error) from error
            self._drop_idle()
            again = False
        return self.call("EVAL", script.text, len(keys), *keys, *arguments, again=again)

    def all(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """The answers to commands that may be repeated; empty where a key holds something else than a string."""
        sent = list(commands)
        if not sent:
            return []
        with self.errors():
            answers = self._connected().ask_all(sent)
            for answer in answers:
                if isinstance(answer, Exception) and not is_wrong_type(answer):
                    raise answer
        return [b"" if isinstance(answer, Exception) else answer for answer in answers]

    def names(self, pattern: str) -> Iterator[str]:
        """The names of all keys that match, each once, from all primaries."""
        seen: set[bytes] = set()
        with self.errors():
            for name in self._connected().names(pattern):
                if name not in seen:
                    seen.add(name)
                    yield name.decode("utf-8", "replace")

    def info(self) -> list[dict[str, Any]]:
        """INFO of each primary; with the setting ``save`` where that may be read."""
        with self.errors():
            driver = self._connected().driver
            servers = [node.redis_connection for node in driver.get_primaries()] if self.is_cluster else [driver]
            return [{**server.info(), **_saves(server)} for server in servers]

    @contextmanager
    def errors(self) -> Iterator[None]:
        try:
            yield
        except ERRORS as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Close the connections; the next command opens new ones."""
        self._home.check()
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.close()

    def _connected(self) -> Connections:
        self._home.check()
        return self._connections or self._connect()

    def _connect(self) -> Connections:
        # Who waits for another to find the nodes of a Cluster waits no longer than for an answer.
        if not self._lock.acquire(timeout=self._timeout):
            raise NoConnection("another thread is still connecting")
        try:
            if self._connections is None:
                driver = connect(self.address, self._timeout)
                size = self.address.options.get("max_connections", MAX_CONNECTIONS)
                self._connections = (
                    ClusterConnections(driver) if self.is_cluster else ServerConnections(driver, size, self._timeout)
                )
            return self._connections
        finally:
            self._lock.release()

    def _leave(self) -> None:
        keep_inherited(self._connections)
        self._connections = None
        self._lock = threading.Lock()

    def _refused(self, error: Exception) -> Exception:
        is_silent = isinstance(error, NoAnswer) and self.address.kind == "sentinel"
        if is_read_only(error) or is_silent:
            # The next connection may find the server that is the primary now.
            self._drop_idle()
        return translated(error, self.address.shown)

    def _drop_idle(self) -> None:
        connections = self._connections
        if connections is not None:
            connections.drop_idle()


def _saves(server: Any) -> dict[str, Any]:
    try:
        return {str(name): value for name, value in server.config_get("save").items()}
    except ResponseError:  # CONFIG is not allowed, or has another name
        return {}
