"""SQL decides, memcached answers reads: as safe as SQL, and where memcached is up nearly as fast as memcached.

What is in the cache is a *copy* of a row, or a *tombstone*, which says to ask the database and keeps copies away.

- A reader who misses fills with ``add``, which a tombstone refuses: so one who loaded before a change cannot put what
  he saw in the place of what came after.
- A writer replaces the copy that was read, and no other, with ``cas``; if that is not what is there any more, a short
  tombstone takes its place.
- An ending, and a move, leave a tombstone that outlives any request before the row is touched.
- With memcached down the database answers. A copy that could not be replaced then lives ``sessionkit.cached_sql.ttl``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from time import monotonic, time
from typing import NamedTuple, TypeVar

from pymemcache import Client, MemcacheError
from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores import sql
from pyramid_sessionkit.stores.memcached import Version, pack, unpack
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore

log = logging.getLogger(__name__)

T = TypeVar("T")

TOMBSTONE = b""
SHORT_TOMBSTONE = 5
"""Seconds: longer than the moment between a reader's look at the database and his filling the cache."""
LONG_TOMBSTONE = 3600
"""Seconds: longer than any request."""

PAUSE_AFTER_FAILURE = 5.0
LOG_INTERVAL = 60.0
"""Both in seconds."""


def from_settings(settings: Settings) -> CachedSQLStore:
    options = settings.memcached
    cache = Cache(Nodes(options.servers, options.timeout), options.prefix, settings.cached_sql.ttl)
    return CachedSQLStore(sql.from_settings(settings), cache)


@implementer(ISessionStore, IUserIndex, IPurgeable)
class CachedSQLStore:
    """A :class:`~pyramid_sessionkit.stores.sql.SQLStore` with memcached in front."""

    def __init__(self, sql: SQLStore, cache: Cache) -> None:
        self.sql = sql
        self.cache = cache
        self.sessions_of = sql.sessions_of
        self.live_sessions = sql.live_sessions
        self.find_keys = sql.find_keys
        self.purge = sql.purge
        self.count = sql.count
        self.create_table = sql.create_table
        self.has_table = sql.has_table

    def load(self, key: str, fresh: bool = False) -> Record | None:
        if fresh:
            return _read(self.sql.load(key))
        copy = self.cache.read(key)
        if copy.record is not None and not copy.record.expired(time()):
            return copy.record
        record = _read(self.sql.load(key))
        if record is not None and copy.missing:
            self.cache.fill(key, record)
        return record

    def create(self, key: str, record: Record) -> Record | None:
        created = _read(self.sql.create(key, record))
        if created is not None:
            self.cache.fill(key, created)
        return created

    def update(self, key: str, record: Record) -> Record | None:
        updated = _read(self.sql.update(key, record.versioned(record.version.word)))
        if updated is not None:
            self.cache.replace(key, updated, record.version.token)
        return updated

    def move(self, key: str, new_key: str, record: Record) -> Record | None:
        self.cache.bury(key, LONG_TOMBSTONE, even_while_resting=True)
        moved = _read(self.sql.move(key, new_key, record.versioned(record.version.word)))
        if moved is None:
            self.cache.bury(key, SHORT_TOMBSTONE)
        else:
            self.cache.fill(new_key, moved)
        return moved

    def delete(self, key: str) -> bool:
        self.cache.bury(key, LONG_TOMBSTONE, even_while_resting=True)
        return self.sql.delete(key)

    def clear(self) -> int:
        for key in self.sql.all_keys():
            self.cache.bury(key, LONG_TOMBSTONE)
        return self.sql.clear()

    def close(self) -> None:
        """Close all connections; the next operation opens new ones."""
        self.sql.close()
        self.cache.nodes.close()


def _read(record: Record | None) -> Record | None:
    return None if record is None else record.versioned(Version(record.version))


class Copy(NamedTuple):
    """What the cache said: a record, that there is nothing, or neither (a tombstone, or no answer)."""

    record: Record | None
    missing: bool


class Cache:
    """Copies of rows, for ``ttl`` seconds. Nothing here raises: without an answer the database is asked."""

    def __init__(self, nodes: Nodes, prefix: str, ttl: int) -> None:
        self.nodes = nodes
        self._prefix = prefix
        self._ttl = ttl
        self._resting: dict[str, float] = {}
        self._logged = 0.0

    def read(self, key: str) -> Copy:
        """The copy, whose version has memcached's token for it."""
        name = self._prefix + key
        answer: tuple[bytes | None, bytes | None] | None = self._try(key, lambda client: client.gets(name), again=True)
        if answer is None:
            return Copy(None, missing=False)
        value, token = answer
        if not value:
            return Copy(None, missing=value is None)
        record = unpack(value, token)
        return Copy(record if isinstance(record.version.word, int) else None, missing=False)

    def fill(self, key: str, record: Record) -> bool:
        """Put a copy where nothing is."""
        name, value, expire = self._prefix + key, pack(record), self._expiry(record)
        return bool(self._try(key, lambda client: client.add(name, value, expire=expire, noreply=False), again=False))

    def replace(self, key: str, record: Record, token: bytes | None) -> None:
        """Put the copy of a row that was just written over that of an older version."""
        if token is None:
            copy = self.read(key)
            if copy.missing and self.fill(key, record):
                return
            if copy.record is not None:
                if copy.record.version.word >= record.version.word:
                    return
                token = copy.record.version.token
        if token is None or not self._cas(key, record, token):
            self.bury(key, SHORT_TOMBSTONE)

    def bury(self, key: str, seconds: int, even_while_resting: bool = False) -> None:
        """Put a tombstone over whatever is there; an ending tries that on a node that rests too, for who can read."""
        name = self._prefix + key

        def bury(client: Client) -> object:
            return client.set(name, TOMBSTONE, expire=seconds, noreply=False)

        self._try(key, bury, again=True, resting_too=even_while_resting)

    def _cas(self, key: str, record: Record, token: bytes) -> bool:
        name, value, expire = self._prefix + key, pack(record), self._expiry(record)
        return bool(
            self._try(key, lambda client: client.cas(name, value, token, expire=expire, noreply=False), again=False)
        )

    def _expiry(self, record: Record) -> int:
        left = self._ttl if record.expires is None else ceil(record.expires - time())
        return max(1, min(self._ttl, left))

    def _try(self, key: str, command: Callable[[Client], T], again: bool, resting_too: bool = False) -> T | None:
        """Run a command; None if there was no answer, after which the node is left alone for a moment."""
        node = self.nodes.node_of(key)
        if not resting_too and self._resting.get(node, 0.0) > monotonic():
            return None
        try:
            return self.nodes.call(key, command, again)
        except MemcacheError:
            return None  # larger than memcached takes
        except StoreError as error:
            self._resting[node] = monotonic() + PAUSE_AFTER_FAILURE
            self._log(error)
            return None

    def _log(self, error: StoreError) -> None:
        if monotonic() - self._logged > LOG_INTERVAL or not self._logged:
            self._logged = monotonic()
            log.warning("Sessions are read from the database, since %s", error)
