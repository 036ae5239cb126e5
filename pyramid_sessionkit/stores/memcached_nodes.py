"""How the memcached stores talk to their nodes: one connection for each thread and node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import pymemcache
from pymemcache.client.rendezvous import RendezvousHash

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.stores.home import Home, keep_inherited
from pyramid_sessionkit.stores.memcached_client import Client, ProtocolError, ServerError, TooLarge

T = TypeVar("T")


class Nodes:
    """The servers that keys are spread over. ``timeout``: the seconds that connecting, and each answer, may take.

    A key belongs to one node, whether that is up or down: were another to take its place, a session that was ended
    there would be back with the node.
    """

    def __init__(self, servers: Sequence[str], timeout: float) -> None:
        self.servers = tuple(servers)
        self._timeout = timeout
        self._only = self.servers[0] if len(self.servers) == 1 else None
        self._hash = RendezvousHash(list(servers))
        self._kept = threading.local()
        self._home = Home(self._leave)

    def node_of(self, key: str) -> str:
        return self._only or str(self._hash.get_node(key))

    def call(self, key: str, command: Callable[[Client], T], again: bool) -> T:
        """Run a command on the key's node; ``again``: once more, on a new connection, if the one kept was dead.

        Raises :exc:`StoreUnavailable` when there is no answer in time. An answer may be missing though the command
        was carried out, so ``again`` is for commands that may be repeated. Raises :exc:`TooLarge` for a value that the
        node never takes.
        """
        node = self._only or self.node_of(key)
        client = self._client(node)
        was_open = client.is_open
        try:
            return command(client)
        except ConnectionError as error:
            if not (again and was_open):
                raise _unavailable(node, error) from error
        except TooLarge:
            raise
        except (OSError, ServerError) as error:
            raise _unavailable(node, error) from error
        except ProtocolError as error:
            raise StoreError(f"memcached at {node} refused a command: {error}") from error
        except BaseException:
            client.close()
            raise
        return self.call(key, command, again=False)

    def item_limit(self, key: str) -> int:
        """The largest item in bytes that the key's node takes, its key and overhead included."""
        node = self.node_of(key)
        client = pymemcache.Client(node, connect_timeout=self._timeout, timeout=self._timeout)
        try:
            return int(client.stats("settings")[b"item_size_max"])
        except (OSError, pymemcache.MemcacheError, LookupError, ValueError) as error:
            raise _unavailable(node, error) from error
        finally:
            client.close()

    def close(self) -> None:
        """Close the connections; the next command opens new ones. What another thread is doing goes on to its end."""
        self._home.check()
        self._kept = threading.local()

    def _leave(self) -> None:
        keep_inherited(self._kept)
        self._kept = threading.local()

    def _client(self, node: str) -> Client:
        self._home.check()
        try:
            client: Client = self._kept.clients[node]
        except (AttributeError, KeyError):
            # What another greenlet of this thread put there meanwhile stays.
            clients: dict[str, Client] = self._kept.__dict__.setdefault("clients", {})
            client = clients.setdefault(node, Client(node, self._timeout))
        return client


def _unavailable(node: str, error: Exception) -> StoreUnavailable:
    reason = str(error) or type(error).__name__
    return StoreUnavailable(f"memcached at {node} cannot be reached: {reason}")
