"""Sessions in the memory of one process: for development, tests, and applications that never need a second one."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable
from itertools import count, islice
from threading import Lock
from time import monotonic, time

from zope.interface import implementer

from pyramid_sessionkit.interfaces import GRACE, IListable, IPurgeable, ISessionStore, IUserIndex, Record, lasting
from pyramid_sessionkit.sealing.format import head_in
from pyramid_sessionkit.session_id.tokens import is_trace
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.memory_order import Order

log = logging.getLogger(__name__)


def from_settings(settings: Settings) -> MemoryStore:
    return MemoryStore(settings.memory.max_sessions)


WARN_EVERY = 60
"""Seconds between two warnings that the store is full."""


@implementer(ISessionStore, IUserIndex, IListable, IPurgeable)
class MemoryStore:
    """A dict behind a lock. Records are immutable and their contents bytes, so nothing can be changed in place.

    A full store removes a session for each that is created: one that has expired, or the trace of one that was ended,
    or an anonymous one, or else one of those logged in; of these the one that was written or renewed the longest time
    ago.
    """

    process_local = True

    def __init__(self, max_sessions: int = 100_000) -> None:
        self._max_sessions = max_sessions
        self._records: dict[str, Record] = {}
        self._keys_of: dict[str, set[str]] = {}
        """The keys of each user's sessions."""
        self._order = Order(self._records)
        self._ended = 0
        """Live sessions that ended for want of room and that no warning has told of."""
        self._warned: float | None = None
        self._lock = Lock()
        self._versions = count(1)
        """One for all keys, so that none comes twice."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        record = self._records.get(key)
        return None if record is None or record.expired(time() if at is None else at) else record

    def create(self, key: str, record: Record) -> Record | None:
        with self._lock:
            if key in self._records:
                return None
            if len(self._records) >= self._max_sessions:
                self._make_room()
            created = record.versioned(next(self._versions))
            self._index(key, None, created.userid)
            self._order.added(key, created)
            self._records[key] = created  # last: if this is interrupted, no record stays that is never removed
        if self._ended:
            self._warn()
        return created

    def update(self, key: str, record: Record) -> Record | None:
        with self._lock:
            stored = self._records.get(key)
            if stored is None or stored.version != record.version:
                return None
            expires = stored.expires
            if expires is not None and expires <= time() - GRACE:
                return None
            updated = record.versioned(next(self._versions))
            self._records[key] = updated
            if updated.userid == stored.userid:
                self._order.used(key, stored, updated)
            else:
                self._index(key, stored.userid, updated.userid)
                self._order.removed(key, stored)
                self._order.added(key, updated)
            return updated

    def delete(self, key: str, record: Record | None = None) -> bool:
        with self._lock:
            stored = self._records.get(key)
            if stored is None or (record is not None and stored.version != record.version):
                return False
            self._remove(key)
            return True

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        now = time()
        with self._lock:
            stored = [(key, self._records.get(key)) for key in self._keys_of.get(userid, ())]
        # The index says where to look. It may be behind where a change was interrupted.
        found = [(key, record) for key, record in stored if record is not None and record.userid == userid]
        return sorted((item for item in found if not item[1].expired(now)), key=_login)

    def live_sessions(self, limit: int) -> list[tuple[str, Record]]:
        first = heapq.nlargest(limit, self._live(), key=lasting)
        return [(key, record.without_contents()) for key, record in first]

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        return list(islice((key for key, _ in self._live() if key.startswith(prefix)), limit))

    def count(self, expired: bool = False) -> int:
        now = time()
        with self._lock:
            stored = list(self._records.values())
        return sum(record.expired(now) is expired and (expired or bool(record.verifier)) for record in stored)

    def count_by_seal(self) -> dict[bytes, int]:
        """How many live sessions there are by how their data begin; empty bytes for those that are not sealed."""
        return dict(Counter(head_in(record.data) for _, record in self._live()))

    def keys_without_seal(self, head: bytes) -> list[str]:
        """The keys of live sessions whose data begin otherwise."""
        return [key for key, record in self._live() if not record.data.startswith(head)]

    def clear(self) -> int:
        with self._lock:
            removed = len(self._records)
            self._records.clear()
            self._keys_of.clear()
            self._order.cleared()
            return removed

    def purge(self, limit: int | None = None, tell: Callable[[str, Record], None] | None = None) -> int:
        before = time() - GRACE
        removed = 0
        while limit is None or removed < limit:
            with self._lock:  # for each of them, so that nobody waits for a long purge
                key = self._order.expired(before)
                if key is None:
                    break
                record = self._records[key]
                self._remove(key)
            removed += 1
            if tell is not None:
                tell(key, record)
        return removed

    def _live(self) -> list[tuple[str, Record]]:
        now = time()
        with self._lock:
            stored = list(self._records.items())
        return [item for item in stored if not item[1].expired(now)]

    def _remove(self, key: str) -> None:
        record = self._records.pop(key)
        self._index(key, record.userid, None)
        self._order.removed(key, record)

    def _index(self, key: str, before: str | None, after: str | None) -> None:
        """Note that a session belongs to another user than before."""
        if before is not None:
            keys = self._keys_of.get(before, set())
            keys.discard(key)
            if not keys:
                self._keys_of.pop(before, None)
        if after is not None:
            self._keys_of.setdefault(after, set()).add(key)

    def _make_room(self) -> None:
        key = self._order.expired(time())
        if key is None:
            key = self._order.unused_for_longest()
            self._ended += key is not None and not is_trace(key)
        if key is not None:
            self._remove(key)

    def _warn(self) -> None:
        """Once a minute at most: a visitor who fills the store must not fill the log as well."""
        now = monotonic()
        if self._warned is None or now - self._warned >= WARN_EVERY:
            self._warned = now
            ended, self._ended = self._ended, 0
            log.warning("The memory store is full: %d live sessions ended; raise sessionkit.memory.max_sessions", ended)


def _login(item: tuple[str, Record]) -> tuple[int, str]:
    return item[1].authenticated or 0, item[0]
