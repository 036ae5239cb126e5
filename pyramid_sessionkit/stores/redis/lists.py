"""Lists of all sessions, by SCAN over all keys.

They are read in batches and without contents: of each value only how it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from pyramid_sessionkit.interfaces import UNREADABLE, Record
from pyramid_sessionkit.stores.redis.client import IN_A_PIPELINE, Client
from pyramid_sessionkit.stores.redis.version import unpack

HEAD = 1024
"""Bytes that are read of a value: all of its fields but the contents, unless a userid is very long."""

ROOM_FOR_A_SEAL = 64
"""Bytes of the contents that are read at least: by these it shows whether they are sealed."""

_is_special = re.compile(r"([*?\[\]\\^])")


class Lists:
    """``prefix``: what the names of sessions begin with; ``users``: those of the sets of users."""

    def __init__(self, client: Client, prefix: str, users: str) -> None:
        self._client = client
        self._prefix = prefix
        self._users = users

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The session keys that begin so."""
        return (name[len(self._prefix) :] for name in self._names(self._prefix, prefix))

    def records(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """The sessions with these keys, without contents. Those that cannot be understood are left out."""
        return ((key, record.without_contents()) for key, record in self.beginnings(prefix))

    def beginnings(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """The same, with how their contents begin."""
        for keys in _batches(self.keys(prefix)):
            heads = self._client.all(("GETRANGE", self._prefix + key, 0, HEAD - 1) for key in keys)
            for key, head in zip(keys, heads, strict=True):
                record = self._record(key, head)
                if record is not None and record.data != UNREADABLE:
                    yield key, record

    def clear(self) -> int:
        """Remove all sessions, and the sets of users; how many sessions."""
        removed = 0
        for keys in _batches(self.keys()):
            removed += sum(self._removed(self._prefix + key for key in keys))
        for names in _batches(self._names(self._users)):
            self._removed(names)
        return removed

    def _names(self, start: str, more: str = "") -> Iterator[str]:
        """The names that begin with both. One with a further colon is that of a site with a longer prefix."""
        pattern = _is_special.sub(r"\\\1", start + more) + "*"
        return (name for name in self._client.names(pattern) if ":" not in name[len(start) :])

    def _record(self, key: str, head: bytes) -> Record | None:
        if len(head) == HEAD and b"\n" not in head[:-ROOM_FOR_A_SEAL]:
            head = self._client.call("GET", self._prefix + key, again=True) or b""
        return unpack(head) if head else None

    def _removed(self, names: Iterable[str]) -> list[int]:
        return self._client.all(("UNLINK", name) for name in names)


def _batches(items: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(items, IN_A_PIPELINE)):
        yield batch
