"""Nodes of memcached that failed: they are left alone for a moment, and get afterwards what they missed.

A node that did not answer rests: requests do without it, so that they do not all wait for it. A node that was only
frozen, or cut off, comes back with the copies that it had. So the keys whose rows changed meanwhile are remembered, and
a thread tells them to the node, trying once a second. Until all are told, this process does not use the node.

The thread tells also if no request comes any more. It ends when all is told. Each process tells what it wrote itself;
if one dies before, the others know nothing of it, and an old copy lives no longer than its ttl.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TypeVar

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.stores.memcached_client import Client
from pyramid_sessionkit.stores.memcached_nodes import Nodes

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE_AFTER_FAILURE = 5.0
TELL_EVERY = 1.0
LOG_INTERVAL = 60.0
"""All in seconds."""

MOST_UNTOLD = 10_000
"""Keys that a process remembers for a node. Beyond that it forgets the oldest, whose copies are the first to expire."""


@dataclass
class _Away:
    """A node that failed."""

    until: float
    """It rests until then, by ``monotonic()``."""
    untold: dict[str, object] = field(default_factory=dict)
    """The keys that it has to be told, the oldest first. The value is another object each time a key comes in."""
    teller: int | None = None
    """The process whose thread tells them."""


class RestingNodes:
    """Runs commands on nodes, without waiting for one that failed a moment ago, and without raising for an outage.

    ``tell(client, key)`` tells a node that the row of a key has changed; False if that has to be tried again.
    """

    def __init__(self, nodes: Nodes, tell: Callable[[Client, str], bool]) -> None:
        self.nodes = nodes
        self._tell = tell
        self._away: dict[str, _Away] = {}
        # One for each process: another thread of the parent may have held its lock at the fork.
        self._locks: dict[int, threading.Lock] = {}
        self._logged: float | None = None

    def call(self, key: str, command: Callable[[Client], T], even_if_resting: bool = False) -> T | None:
        """What the command returned; None if there was no answer, after which the node rests.

        The command must be one that may be repeated. Raises what :meth:`Nodes.call` raises for a value too large.
        """
        # Nothing is looked up where no node is away: with many nodes it costs more than the rest of this.
        if self._away and not even_if_resting and self._rests(self.nodes.node_of(key)):
            return None
        try:
            return self.nodes.call(key, command, True)
        except StoreError as error:
            with self._lock():
                away = self._away.setdefault(self.nodes.node_of(key), _Away(0.0))
                away.until = monotonic() + PAUSE_AFTER_FAILURE
            self._log(error)
            return None

    def owe(self, key: str) -> None:
        """Remember a key that its node could not be told."""
        node = self.nodes.node_of(key)
        with self._lock():
            away = self._away.setdefault(node, _Away(0.0))
            away.untold.pop(key, None)
            away.untold[key] = object()
            if len(away.untold) > MOST_UNTOLD:
                del away.untold[next(iter(away.untold))]
            self._start_telling(node, away)

    def tell(self, node: str) -> bool:
        """Tell a node what it missed; False if it still gives no answer."""
        while True:
            with self._lock():
                away = self._away.get(node)
                if away is None:
                    return True
                if not away.untold:
                    del self._away[node]
                    return True
                key, mark = next(iter(away.untold.items()))
            if not self._told(key):
                return False
            with self._lock():
                if away.untold.get(key) is mark:
                    del away.untold[key]

    def _told(self, key: str) -> bool:
        try:
            return self.nodes.call(key, lambda client: self._tell(client, key), True)
        except Exception as error:  # the thread must go on, whatever it was
            self._log(error)
            return False

    def _rests(self, node: str) -> bool:
        with self._lock():
            away = self._away.get(node)
            if away is None:
                return False
            if away.untold:
                self._start_telling(node, away)
                return True
            if away.until > monotonic():
                return True
            del self._away[node]
            return False

    def _start_telling(self, node: str, away: _Away) -> None:
        """Have a thread of this process tell the node; a process that was forked has none of its parent's threads."""
        if away.teller == os.getpid():
            return
        thread = threading.Thread(
            target=_keep_telling, args=(weakref.ref(self), node), name=f"tell {node}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is about to exit; the next request tries
            log.warning("memcached at %s cannot be told what changed: %s", node, error)
            return
        away.teller = os.getpid()

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _log(self, error: Exception) -> None:
        now = monotonic()
        if self._logged is None or now - self._logged > LOG_INTERVAL:
            self._logged = now
            log.warning("Sessions are read from the database, since %s", error)


def _keep_telling(reference: weakref.ref[RestingNodes], node: str) -> None:
    """Try until the node is told, or nobody uses it any more."""
    while True:
        sleep(TELL_EVERY)
        nodes = reference()
        if nodes is None or nodes.tell(node):
            return
        del nodes
