"""Sessions in Redis or Valkey: one server, one with Sentinel, or a Cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import nlargest
from itertools import islice
from time import time

from zope.interface import implementer

from pyramid_sessionkit.interfaces import GRACE, IListable, ISessionStore, IUserIndex, Record, lasting
from pyramid_sessionkit.sealing.format import head_in
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.redis.client import Client
from pyramid_sessionkit.stores.redis.index import UserIndex
from pyramid_sessionkit.stores.redis.lists import Lists
from pyramid_sessionkit.stores.redis.scripts import WORD_LENGTH
from pyramid_sessionkit.stores.redis.urls import parse
from pyramid_sessionkit.stores.redis.version import Version, unpack, with_new_version
from pyramid_sessionkit.stores.redis.writes import Writes, WritesApart, WritesTogether


def from_settings(settings: Settings) -> RedisStore:
    options = settings.redis
    return RedisStore(options.url, options.timeout, options.prefix)


@implementer(ISessionStore, IUserIndex, IListable)
class RedisStore:
    """Sessions in Redis: they last as long as what Redis keeps.

    - ``load`` is one GET. It judges by the record's own times.
    - ``create``, ``update`` and ``delete`` of a version are each one script, which Redis runs as a whole. ``update``
      compares the version and sets in one step.
    - After a lost connection ``load``, ``create`` and ``delete`` are sent once more, on a new one; ``update`` never.
      ``create`` knows a record of its own. A ``delete`` whose first answer was lost may say False.
    - Redis removes a session by itself, a minute after it expired. Nothing has to be purged.
    - ``sessions_of`` reads a set of the user's, which heals itself. On one server, and with Sentinel, it is written in
      the same script as the record; on a Cluster before it, since it lives on another node.
    - ``live_sessions``, ``find_keys``, ``count`` and ``clear`` go through all keys of the server with SCAN.
    """

    purges_itself = True

    def __init__(self, url: str, timeout: float = 1, prefix: str = "sessionkit:") -> None:
        self.client = Client(parse(url), timeout)
        # What comes last in a name has no colon. So no name of ours is also one of a site with another prefix.
        self._prefix = f"{prefix}session:"
        users = f"{prefix}user:"
        index = UserIndex(self.client, users, self._load_all)
        self._index = index
        self._lists = Lists(self.client, self._prefix, users)
        self._writes: Writes = (WritesApart if self.client.is_cluster else WritesTogether)(self.client, index)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        value = self.client.call("GET", self._prefix + key, again=True)
        if value is None:
            return None
        record = unpack(value)
        expires = record.version.expires
        return None if expires is not None and expires <= (time() if at is None else at) else record

    def create(self, key: str, record: Record) -> Record | None:
        stored = with_new_version(record)
        return stored if self._writes.create(self._prefix + key, key, stored) else None

    def update(self, key: str, record: Record) -> Record | None:
        before = record.version
        if not isinstance(before, Version) or len(before.word) != WORD_LENGTH:
            return None
        if before.expires is not None and before.expires <= time() - GRACE:
            return None
        stored = with_new_version(record)
        return stored if self._writes.update(self._prefix + key, key, stored, before) else None

    def delete(self, key: str, record: Record | None = None) -> bool:
        if record is None:
            # Whose it is would take a second question: the entry in the user's set goes when that is read next.
            return bool(self.client.call("DEL", self._prefix + key, again=True))
        before = record.version
        return isinstance(before, Version) and self._writes.delete(self._prefix + key, key, before)

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        now = time()
        return sorted((item for item in self._index.read(userid) if not item[1].expired(now)), key=_login)

    def live_sessions(self, limit: int) -> list[tuple[str, Record]]:
        return nlargest(limit, self._live(), key=lasting)

    def find_keys(self, prefix: str, limit: int) -> list[str]:
        return list(islice((key for key, _ in self._live(prefix)), limit))

    def count(self, expired: bool = False) -> int:
        now = time()
        records = (record for _, record in self._lists.records() if expired or record.verifier)
        return sum(record.expired(now) is expired for record in records)

    def count_by_seal(self) -> dict[bytes, int]:
        """How many live sessions there are by how their data begin; empty bytes for those that are not sealed."""
        return dict(Counter(head_in(record.data) for _, record in self._live_beginnings()))

    def keys_without_seal(self, head: bytes) -> list[str]:
        """The keys of live sessions whose data begin otherwise."""
        return [key for key, record in self._live_beginnings() if not record.data.startswith(head)]

    def clear(self) -> int:
        return self._lists.clear()

    def close(self) -> None:
        """Close all connections; the next operation opens new ones."""
        self.client.close()

    def _live(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        now = time()
        return (item for item in self._lists.records(prefix) if not item[1].expired(now))

    def _live_beginnings(self) -> Iterator[tuple[str, Record]]:
        now = time()
        return (item for item in self._lists.beginnings() if not item[1].expired(now))

    def _load_all(self, keys: list[str]) -> list[Record | None]:
        values = self.client.all(("GET", self._prefix + key) for key in keys)
        return [None if value is None else unpack(value) for value in values]


def _login(item: tuple[str, Record]) -> tuple[int, str]:
    return item[1].authenticated or 0, item[0]
