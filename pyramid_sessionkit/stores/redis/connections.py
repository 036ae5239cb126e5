"""The connections of a process: our own kept ones to one server, and redis-py's client to a Cluster.

redis-py's client for one server takes twice as long as its connections do, so they are used here without it. A
connection on which anything but an answer came is closed: what came for one command must never be taken for the answer
to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from pyramid_sessionkit.stores.lifo import Lifo

ERRORS = (RedisError, RedisClusterException, OSError, UnicodeEncodeError)
"""All that redis-py raises, the last one for text that is not UTF-8."""

IN_A_SCAN = 1000
"""Keys that a server looks at for one answer."""


class NoConnection(RedisError):
    """All connections were in use, for the whole time-out."""


class Connections(Protocol):
    """To one server, or to the nodes of a Cluster."""

    driver: Any
    """redis-py's client, which parses INFO. To one server it opens a connection of its own."""

    def ask(self, *command: Any) -> Any:
        """The answer to a command; one of :data:`ERRORS`."""

    def ask_all(self, commands: list[Sequence[Any]]) -> list[Any]:
        """The answers to commands that are sent together; an error in the place of an answer if one was refused."""

    def names(self, pattern: str) -> Iterator[bytes]:
        """The names of all keys that match. SCAN may find one more than once."""

    def drop_idle(self) -> None:
        """Close those that nobody uses; the next command opens a new one."""

    def close(self) -> None:
        """Close them for good."""


class ServerConnections:
    """To one server, or to the primary that Sentinels name: ``size`` at most, each made when it is needed."""

    def __init__(self, driver: Any, size: int, timeout: float) -> None:
        self.driver = driver
        self._timeout = timeout
        pool = driver.connection_pool
        make: Callable[[], Any] = lambda: pool.connection_class(**pool.connection_kwargs)  # noqa: E731
        self._lifo: Lifo[Any] = Lifo(size, make)
        self._idle = self._lifo.idle
        self._primary: tuple[Any, Any] | None = None

    def ask(self, *command: Any) -> Any:
        connection = self._take()
        try:
            connection.send_packed_command(connection.pack_command(*command), check_health=False)
            answer = connection.read_response(disable_decoding=True)
        except ResponseError:
            self._lifo.give_back(connection)
            raise
        except BaseException:
            self._close(connection)
            raise
        self._lifo.give_back(connection)
        return answer

    def ask_all(self, commands: list[Sequence[Any]]) -> list[Any]:
        connection = self._take()
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            answers = [_answer_or_error(connection) for _ in commands]
        except BaseException:
            self._close(connection)
            raise
        self._lifo.give_back(connection)
        return answers

    def names(self, pattern: str) -> Iterator[bytes]:
        cursor = b"0"
        while True:
            cursor, names = self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", IN_A_SCAN)
            yield from names
            if cursor == b"0":
                return

    def drop_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._close(self._idle.pop())
        self.driver.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """What another thread is doing goes on to its end."""
        self.drop_idle()

    def _take(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._lifo.take(self._timeout)
            if connection is None:
                raise NoConnection("all connections are in use; raise max_connections in the URL") from None
        try:
            if _where(connection) != self._primary:
                connection.disconnect()
            connection.connect()
            if _has_ended(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            self._close(connection)
            raise
        self._look_where(connection)
        return connection

    def _look_where(self, connection: Any) -> None:
        """With Sentinel a new one may lead to another primary than the others. Then those lead to the wrong one."""
        where = _where(connection)
        if where != self._primary:
            if self._primary is not None:
                self.drop_idle()
            self._primary = where

    def _close(self, connection: Any) -> None:
        self._lifo.discard(connection)
        with suppress(*ERRORS):
            connection.disconnect()


class ClusterConnections:
    """To the nodes of a Cluster: redis-py knows which has a key, and follows keys that are moved."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.ask = driver.execute_command

    def ask_all(self, commands: list[Sequence[Any]]) -> list[Any]:
        pipeline = self.driver.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def names(self, pattern: str) -> Iterator[bytes]:
        yield from self.driver.scan_iter(match=pattern, count=IN_A_SCAN)

    def drop_idle(self) -> None:
        """redis-py has done so: it opens new ones to a node that a connection to was lost."""

    def close(self) -> None:
        # The client's own close() leaves pools open that it has made of a URL.
        for node in self.driver.get_nodes():
            if node.redis_connection is not None:
                with suppress(*ERRORS):
                    node.redis_connection.connection_pool.disconnect()


def _answer_or_error(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


def _where(connection: Any) -> tuple[Any, Any]:
    return getattr(connection, "host", None), getattr(connection, "port", None)


def _has_ended(connection: Any) -> bool:
    """Whether there is something to read that nobody asked for: its end, as a rule."""
    try:
        return bool(connection.can_read())
    except (LostConnection, OSError):
        return True
