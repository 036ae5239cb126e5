"""Sessions in memcached, spread over its nodes: fast and shared, and gone with the node that held them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from secrets import randbits
from time import time

from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import GRACE, ISessionStore, Record, unreadable
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.memcached_client import Client, TooLarge
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.packed import pack, unpack_from

NOW = -1
"""An expiry in the past: memcached stores such an item as one that has expired already."""

WORD_BITS = 60

LONGEST_RELATIVE = 30 * 86400
"""Seconds beyond which memcached takes an expiry for a time since 1970."""


def from_settings(settings: Settings) -> MemcachedStore:
    options = settings.memcached
    return MemcachedStore(Nodes(options.servers, options.timeout), options.prefix)


@dataclass(slots=True, unsafe_hash=True)
class Version:
    """Which state of a record this is: a word of our own inside the value, and, once that was read, two notes on it."""

    word: int | str
    """A number that each update counts up, from a random one; earlier releases wrote random text."""
    token: bytes | None = field(default=None, compare=False)
    """memcached's own token for it."""
    expires: int | None = field(default=None, compare=False)
    """When that state expires, in epoch seconds."""


@implementer(ISessionStore)
class MemcachedStore:
    """Sessions in memcached. Those on a node that restarts are lost, and those that it evicts to make room."""

    def __init__(self, nodes: Nodes, prefix: str = "sessionkit:") -> None:
        self.nodes = nodes
        self._prefix = prefix

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        record = self._read(key)
        if record is None:
            return None
        expires = record.version.expires
        return None if expires is not None and expires <= (time() if at is None else at) else record

    def create(self, key: str, record: Record) -> Record | None:
        stored = record.versioned(Version(randbits(WORD_BITS)))
        return stored if self._add(key, stored) else None

    def update(self, key: str, record: Record) -> Record | None:
        current = self._current(key, record)
        if current is None or (current.expires is not None and current.expires <= time() - GRACE):
            return None
        stored = record.versioned(Version(next_word(current.word)))
        return stored if self._cas(key, pack(stored), expiry(stored), current, again=False) else None

    def delete(self, key: str, record: Record | None = None) -> bool:
        if record is None:
            name = self._prefix + key
            return self.nodes.call(key, lambda client: client.delete(name), again=True)
        current = self._current(key, record)
        return current is not None and self._cas(key, b"", NOW, current, again=True)

    def close(self) -> None:
        """Close all connections; the next operation opens new ones."""
        self.nodes.close()

    def _read(self, key: str) -> Record | None:
        name = self._prefix + key
        value, token = self.nodes.call(key, lambda client: client.gets(name), again=True)
        return None if value is None else unpack(value, token)

    def _current(self, key: str, record: Record) -> Version | None:
        """The version of ``record`` with its token; None if it is not, or may not be, what is stored."""
        version = record.version
        if isinstance(version, Version) and version.token is not None:
            return version
        stored = self._read(key)
        return stored.version if stored is not None and stored.version == version else None

    def _add(self, key: str, record: Record) -> bool:
        name, value, expire = self._prefix + key, pack(record), expiry(record)

        def add(client: Client) -> bool:
            return client.add(name, value, expire)

        return self._store(key, add, value, again=True)

    def _cas(self, key: str, value: bytes, expire: int, version: Version, again: bool) -> bool:
        name = self._prefix + key
        token = version.token
        assert token is not None

        def cas(client: Client) -> bool:
            return client.cas(name, value, token, expire)

        return self._store(key, cas, value, again)

    def _store(self, key: str, command: Callable[[Client], bool], value: bytes, again: bool) -> bool:
        try:
            return self.nodes.call(key, command, again)
        except TooLarge as error:
            limit = self.nodes.item_limit(key)
            raise StoreError(
                f"memcached takes items of up to {limit} bytes, and this session has {len(value)}: start memcached "
                "with a larger -I, or lower sessionkit.max_size"
            ) from error


def unpack(value: bytes, token: bytes | None) -> Record:
    """The record in the bytes of :func:`pack`, with :class:`Version`, whatever the bytes are."""
    record = unpack_from(value, 0, lambda fields: Version(fields[0], token))
    if record is None or type(record.version.word) not in (int, str):
        return unreadable(Version(f"unreadable {token!r}", token))
    record.version.expires = record.expires
    return record


def next_word(word: int | str) -> int:
    """The word of the state after the one with this word. It is the only one: memcached takes one of several."""
    return word + 1 if type(word) is int and 0 <= word < 2**WORD_BITS * 2 else randbits(WORD_BITS)


def expiry(record: Record) -> int:
    """memcached's expiry for a record: 0 for never, seconds from now, or beyond 30 days a time since 1970.

    Never too early: the record itself says when it ends, and an update is possible for a minute after that.
    """
    if record.expires is None:
        return 0
    gone = record.expires + GRACE
    seconds = max(1, ceil(gone - time()) + 1)
    return seconds if seconds <= LONGEST_RELATIVE else gone + 1
