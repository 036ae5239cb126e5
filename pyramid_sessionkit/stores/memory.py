"""Sessions in the memory of one process: for development, tests, and applications that never need a second one."""

from __future__ import annotations

import heapq
import logging
from itertools import count, islice
from threading import Lock
from time import time

from zope.interface import implementer

from pyramid_sessionkit.interfaces import GRACE, IListable, IPurgeable, ISessionStore, IUserIndex, Record
from pyramid_sessionkit.settings import Settings

log = logging.getLogger(__name__)


def from_settings(settings: Settings) -> MemoryStore:
    return MemoryStore(settings.memory.max_sessions)


@implementer(ISessionStore, IUserIndex, IListable, IPurgeable)
class MemoryStore:
    """A dict behind a lock. Records are immutable and their contents bytes, so nothing can be changed in place."""

    process_local = True

    def __init__(self, max_sessions: int = 100_000) -> None:
        self._max_sessions = max_sessions
        self._records: dict[str, Record] = {}
        self._keys_of: dict[str, set[str]] = {}
        """The keys of each user's sessions."""
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
            return self._put(key, record)

    def update(self, key: str, record: Record) -> Record | None:
        with self._lock:
            stored = self._records.get(key)
            if stored is None or stored.version != record.version or stored.expired(time() - GRACE):
                return None
            return self._put(key, record)

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
            found = [(key, self._records[key]) for key in self._keys_of.get(userid, ())]
        return sorted((item for item in found if not item[1].expired(now)), key=_login)

    def live_sessions(self, limit: int | None = None) -> list[tuple[str, Record]]:
        live = self._live()
        return sorted(live, key=_age, reverse=True) if limit is None else heapq.nlargest(limit, live, key=_age)

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        return list(islice((key for key, _ in self._live() if key.startswith(prefix)), limit))

    def count(self, expired: bool = False) -> int:
        now = time()
        with self._lock:
            return sum(record.expired(now) is expired for record in self._records.values())

    def clear(self) -> int:
        with self._lock:
            removed = len(self._records)
            self._records.clear()
            self._keys_of.clear()
            return removed

    def purge(self, limit: int | None = None) -> int:
        with self._lock:
            return self._purge(limit)

    def _live(self) -> list[tuple[str, Record]]:
        now = time()
        with self._lock:
            stored = list(self._records.items())
        return [item for item in stored if not item[1].expired(now)]

    def _put(self, key: str, record: Record) -> Record:
        stored = record.versioned(next(self._versions))
        before = self._records.get(key)
        self._records[key] = stored
        if before is None or before.userid != stored.userid:
            self._index(key, None if before is None else before.userid, stored.userid)
        return stored

    def _remove(self, key: str) -> None:
        self._index(key, self._records.pop(key).userid, None)

    def _index(self, key: str, before: str | None, after: str | None) -> None:
        """Note that a session belongs to another user than before."""
        if before is not None:
            keys = self._keys_of[before]
            keys.discard(key)
            if not keys:
                del self._keys_of[before]
        if after is not None:
            self._keys_of.setdefault(after, set()).add(key)

    def _purge(self, limit: int | None) -> int:
        before = time() - GRACE
        over = (key for key, record in self._records.items() if record.expired(before))
        keys = list(islice(over, limit))
        for key in keys:
            self._remove(key)
        return len(keys)

    def _make_room(self) -> None:
        """Remove what expired, and more up to a hundredth of all: looking through all of it should be rare."""
        now = time()
        batch = max(1, self._max_sessions // 100) - self._purge(None)
        victims = heapq.nsmallest(batch, self._records.items(), key=lambda item: _worth(item[1], now))
        for key, _ in victims:
            self._remove(key)
        ended = sum(not record.expired(now) for _, record in victims)
        if ended:
            log.warning("The memory store is full: %d live sessions ended; raise sessionkit.memory.max_sessions", ended)


def _login(item: tuple[str, Record]) -> tuple[int, str]:
    return item[1].authenticated or 0, item[0]


def _age(item: tuple[str, Record]) -> tuple[int, str]:
    return item[1].created, item[0]


def _worth(record: Record, now: float) -> tuple[bool, bool, int]:
    """The expired are worth least, then the anonymous, then those that were unused for longest."""
    return not record.expired(now), record.userid is not None, record.renewed
