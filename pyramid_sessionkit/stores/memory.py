"""Sessions in the memory of one process: for development, tests, and applications that never need a second one."""

from __future__ import annotations

import heapq
import logging
from itertools import count
from threading import Lock
from time import time

from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.settings import Settings

log = logging.getLogger(__name__)


def from_settings(settings: Settings) -> MemoryStore:
    return MemoryStore(settings.memory.max_sessions)


@implementer(ISessionStore, IUserIndex, IPurgeable)
class MemoryStore:
    """A dict behind a lock. Records are immutable and their contents bytes, so nothing can be changed in place."""

    process_local = True

    def __init__(self, max_sessions: int = 100_000) -> None:
        self._max_sessions = max_sessions
        self._records: dict[str, Record] = {}
        self._lock = Lock()
        self._versions = count(1)

    def load(self, key: str, fresh: bool = False) -> Record | None:
        record = self._records.get(key)
        return None if record is None or record.expired(time()) else record

    def create(self, key: str, record: Record) -> Record | None:
        with self._lock:
            if key in self._records:
                return None
            if len(self._records) >= self._max_sessions:
                self._make_room()
            return self._put(key, record)

    def update(self, key: str, record: Record) -> Record | None:
        with self._lock:
            return self._put(key, record) if self._is_current(key, record) else None

    def move(self, key: str, new_key: str, record: Record) -> Record | None:
        with self._lock:
            if not self._is_current(key, record):
                return None
            if new_key in self._records:
                raise StoreError("A session cannot be moved to a key that is taken")
            del self._records[key]
            return self._put(new_key, record)

    def delete(self, key: str) -> bool:
        with self._lock:
            return self._records.pop(key, None) is not None

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        now = time()
        with self._lock:
            found = [(k, r) for k, r in self._records.items() if r.userid == userid and not r.expired(now)]
        return sorted(found, key=_age)

    def live_sessions(self, limit: int | None = None) -> list[tuple[str, Record]]:
        now = time()
        with self._lock:
            found = [item for item in self._records.items() if not item[1].expired(now)]
        return sorted(found, key=_age, reverse=True)[:limit]

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        return [key for key, _ in self.live_sessions() if key.startswith(prefix)][:limit]

    def purge(self, limit: int | None = None) -> int:
        with self._lock:
            return self._purge(limit)

    def count(self, expired: bool = False) -> int:
        now = time()
        with self._lock:
            return sum(record.expired(now) is expired for record in self._records.values())

    def clear(self) -> int:
        with self._lock:
            removed = len(self._records)
            self._records.clear()
            return removed

    def _put(self, key: str, record: Record) -> Record:
        stored = record.versioned(next(self._versions))
        self._records[key] = stored
        return stored

    def _is_current(self, key: str, record: Record) -> bool:
        stored = self.load(key)
        return stored is not None and stored.version == record.version

    def _purge(self, limit: int | None) -> int:
        now = time()
        expired = [key for key, record in self._records.items() if record.expired(now)][:limit]
        for key in expired:
            del self._records[key]
        return len(expired)

    def _make_room(self) -> None:
        """Remove what expired, and more up to a hundredth of all: looking through all of it should be rare."""
        batch = max(1, self._max_sessions // 100) - self._purge(None)
        if batch <= 0:
            return
        victims = heapq.nsmallest(batch, self._records.items(), key=_expendable)
        for key, _ in victims:
            del self._records[key]
        log.warning("The memory store is full: %d live sessions ended; raise sessionkit.memory.max_sessions", batch)


def _age(item: tuple[str, Record]) -> tuple[int, str]:
    return item[1].created, item[0]


def _expendable(item: tuple[str, Record]) -> tuple[bool, int]:
    record = item[1]
    return record.userid is not None, record.created
