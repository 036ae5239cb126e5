"""Sessions in memcached, spread over its nodes: fast and shared, and gone with the node that held them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from secrets import token_hex
from time import time

import orjson
from pymemcache import Client
from pymemcache.exceptions import MemcacheServerError
from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import ISessionStore, Record
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.memcached_nodes import Nodes

TOMBSTONE = b""
"""What stands where a session was moved away, so that a slow writer cannot add or replace anything there."""

TOMBSTONE_SECONDS = 60

LONGEST_RELATIVE = 30 * 86400
"""Seconds beyond which memcached takes an expiry for a time since 1970."""


def from_settings(settings: Settings) -> MemcachedStore:
    options = settings.memcached
    return MemcachedStore(Nodes(options.servers, options.timeout), options.prefix)


@dataclass(frozen=True, slots=True)
class Version:
    """Which state of a record this is: a word of our own inside the value, and memcached's token for it once read."""

    word: str | int
    token: bytes | None = field(default=None, compare=False)


@implementer(ISessionStore)
class MemcachedStore:
    """Sessions in memcached. Those on a node that restarts, or that it evicts for want of memory, are lost."""

    def __init__(self, nodes: Nodes, prefix: str = "sessionkit:") -> None:
        self.nodes = nodes
        self._prefix = prefix

    def load(self, key: str, fresh: bool = False) -> Record | None:
        name = self._prefix + key
        value, token = self.nodes.call(key, lambda client: client.gets(name), again=True)
        if not value:
            return None
        record = unpack(value, token)
        return None if record.expired(time()) else record

    def create(self, key: str, record: Record) -> Record | None:
        stored = record.versioned(Version(token_hex(8)))
        return stored if self._add(key, stored) else None

    def update(self, key: str, record: Record) -> Record | None:
        token = self._current_token(key, record)
        if token is None:
            return None
        stored = record.versioned(Version(token_hex(8)))
        return stored if self._cas(key, pack(stored), expiry(stored), token) else None

    def move(self, key: str, new_key: str, record: Record) -> Record | None:
        token = self._current_token(key, record)
        if token is None:
            return None
        stored = record.versioned(Version(token_hex(8)))
        if not self._add(new_key, stored):
            raise StoreError("A session cannot be moved to a key that is taken")
        if self._cas(key, TOMBSTONE, TOMBSTONE_SECONDS, token):
            return stored
        self.delete(new_key)
        return None

    def delete(self, key: str) -> bool:
        name = self._prefix + key
        return bool(self.nodes.call(key, lambda client: client.delete(name, noreply=False), again=True))

    def close(self) -> None:
        """Close all connections; the next operation opens new ones."""
        self.nodes.close()

    def _current_token(self, key: str, record: Record) -> bytes | None:
        """memcached's token for the version of ``record``, if that is still what is stored."""
        version = record.version
        if isinstance(version, Version) and version.token is not None:
            return version.token
        current = self.load(key)
        return None if current is None or current.version != version else current.version.token

    def _add(self, key: str, record: Record) -> bool:
        name, value, expire = self._prefix + key, pack(record), expiry(record)

        def add(client: Client) -> bool:
            return bool(client.add(name, value, expire=expire, noreply=False))

        return self._store(key, add, value, again=True)

    def _cas(self, key: str, value: bytes, expire: int, token: bytes) -> bool:
        name = self._prefix + key

        def cas(client: Client) -> bool:
            return bool(client.cas(name, value, token, expire=expire, noreply=False))

        return self._store(key, cas, value, again=False)

    def _store(self, key: str, command: Callable[[Client], bool], value: bytes, again: bool) -> bool:
        try:
            return self.nodes.call(key, command, again)
        except MemcacheServerError as error:
            limit = self.nodes.item_limit(key)
            raise StoreError(
                f"memcached takes items of up to {limit} bytes, and this session has {len(value)}: start memcached "
                "with a larger -I, or lower sessionkit.max_size"
            ) from error


def pack(record: Record) -> bytes:
    """A record as bytes: a line of JSON with its fields, then its contents."""
    head = (
        record.version.word,
        record.userid,
        record.authenticated,
        record.credentials,
        record.created,
        record.renewed,
        record.timeout,
        record.deadline,
        record.persistent,
    )
    return orjson.dumps(head) + b"\n" + record.data


def unpack(value: bytes, token: bytes | None) -> Record:
    """The record in the bytes of :func:`pack`; bytes that are none give one whose contents cannot be decoded."""
    head, _, data = value.partition(b"\n")
    try:
        word, userid, authenticated, credentials, created, renewed, timeout, deadline, persistent = orjson.loads(head)
    except (ValueError, TypeError):
        return Record(value, None, None, None, 0, 0, None, None, False, Version("", token))
    return Record(
        data,
        userid,
        authenticated,
        credentials,
        created,
        renewed,
        timeout,
        deadline,
        persistent,
        Version(word, token),
    )


def expiry(record: Record) -> int:
    """memcached's expiry for a record: 0 for never, seconds from now, or beyond 30 days a time since 1970.

    Never too early, since the record itself tells when it ends.
    """
    if record.expires is None:
        return 0
    seconds = max(1, ceil(record.expires - time()) + 1)
    return seconds if seconds <= LONGEST_RELATIVE else record.expires + 1
