"""SQL decides, memcached answers reads: as safe as SQL, and where memcached is up nearly as fast as memcached.

:mod:`~pyramid_sessionkit.stores.copies` says what stands in memcached and why that is safe. The order of the steps is
here, and after each of them this holds:

- **load**: a lease is left *before* the row is read, and a copy is put only in the place of that lease. So a reader who
  stalls while the session changes or ends, or while memcached restarts, puts nothing.
- **create**: the same, around the INSERT.
- **update**: after the commit the new copy takes the place of the copy before, or what is there is removed. When the
  update returns, nobody finds an older copy.
- **update of verifier, userid or credentials**: before the commit a mark is left, and until after it nobody finds a
  copy, even if the process dies in between. So whoever holds the old secret is out with the commit.
- **delete**: the same, with a mark for an hour; and once more after the commit, if the first one was lost meanwhile.
- **an error of the database** leaves the outcome open, and so a mark.
- **memcached does not answer**: the database does, and :mod:`~pyramid_sessionkit.stores.resting_nodes` tells it what it
  missed once it is back. If the process dies before, an old copy lives ``sessionkit.cached_sql.ttl`` at most.
"""

from __future__ import annotations

from time import time

from zope.interface import implementer

from pyramid_sessionkit.interfaces import IListable, IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.sealing.copy_mac import CopyMac
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores import sql
from pyramid_sessionkit.stores.copies import CRC, Cache, Version, identity, versioned
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore


def from_settings(settings: Settings) -> CachedSQLStore:
    options = settings.memcached
    checksum = CopyMac(settings.seal_key, settings.cookie.name) if settings.seal_key else CRC
    cache = Cache(Nodes(options.servers, options.timeout), options.prefix, settings.cached_sql.ttl, checksum)
    return CachedSQLStore(sql.from_settings(settings), cache)


@implementer(ISessionStore, IUserIndex, IListable, IPurgeable)
class CachedSQLStore:
    """A :class:`~pyramid_sessionkit.stores.sql.SQLStore` with memcached in front."""

    def __init__(self, sql: SQLStore, cache: Cache) -> None:
        self.sql = sql
        self.cache = cache
        self.find_keys = sql.find_keys
        self.purge = sql.purge
        self.count = sql.count
        self.live_sessions = sql.live_sessions
        self.create_table = sql.create_table
        self.has_table = sql.has_table

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        if fresh:
            return _found(self.sql.load(key, at=at))
        answer, started = self.cache.read(key), time()
        copy = answer.record
        # The row of an expired copy may have been renewed.
        if copy is not None and not copy.expired(started if at is None else at):
            return copy
        lease = self.cache.lease(key) if answer.missing else None
        record = _found(self.sql.load(key, at=at))
        if record is not None and lease is not None:
            self.cache.fill(key, lease, record, started)
        return record

    def create(self, key: str, record: Record) -> Record | None:
        lease, started = self.cache.lease(key), time()
        created = _found(self.sql.create(key, record))
        if created is not None:
            self.cache.settle(key, lease, created, started)
        return created

    def update(self, key: str, record: Record) -> Record | None:
        before: Version | None = record.version
        if before is None:
            return None
        mine: bytes | int | None = before.word
        if identity(record) != before.identity:
            mine = self.cache.mark_change(key)
        started = time()
        try:
            updated = _found(self.sql.update(key, record.versioned(before.word)))
        except BaseException:
            self.cache.doubt(key)
            raise
        if updated is None:
            self.cache.drop(key, before.word)
        else:
            self.cache.settle(key, mine, updated, started)
        return updated

    def delete(self, key: str, record: Record | None = None) -> bool:
        return self._end(key) if record is None else self._end_version(key, record)

    def _end(self, key: str, even_if_resting: bool = True) -> bool:
        self.cache.mark_end(key, even_if_resting)
        try:
            return self.sql.delete(key)
        finally:
            self.cache.end(key)

    def _end_version(self, key: str, record: Record) -> bool:
        if record.version is None:
            return False
        # Perhaps it goes on: so the mark for an hour has to wait until it is known to have ended.
        self.cache.mark_change(key)
        try:
            deleted = self.sql.delete(key, record.versioned(record.version.word))
        except BaseException:
            self.cache.doubt(key)
            raise
        if deleted:
            self.cache.end(key)
        return deleted

    def clear(self) -> int:
        # One by one, so that no copy stays without its row.
        return sum(self._end(key, even_if_resting=False) for key in self.sql.all_keys())

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        return [(key, versioned(record)) for key, record in self.sql.sessions_of(userid)]

    def close(self) -> None:
        """Close all connections; the next operation opens new ones."""
        self.sql.close()
        self.cache.nodes.close()


def _found(record: Record | None) -> Record | None:
    return None if record is None else versioned(record)
