"""What stands in memcached for the rows of a database, and the steps that keep it from being older than they are.

For one key there is at most one of these:

- a *copy* of the row;
- a *lease*: somebody is about to read the row, and may then put a copy in this place;
- a *change mark*: somebody is about to write the row, and may then put a copy in this place;
- an *end mark*: the session was ended. Nothing but another end mark takes its place before its time is over.

Leases and marks send readers to the database. Each lease and each change mark has a random token, so that who left it
can tell it from all others.

Everything rests on one sentence: **whoever commits a change to a row does not return before the cache has nothing from
which an older copy could be made or read.** That is: no older copy, and no lease or change mark that somebody else may
still fill. :meth:`Cache.settle` and :meth:`Cache.end` see to that. What the other steps may do follows from it:

- A copy is put only in the place of what was there *before* its row was read or written: a lease, a change mark, or the
  copy of the version before. If that is gone, somebody has committed meanwhile, or memcached was restarted, and nobody
  can say whether the row is still the latest. Then nothing is put.
- What is there is replaced by compare-and-set, on the connection on which it was looked at: after a restart memcached
  gives the same numbers again. So a command that is carried out late, by a server that was frozen, does no harm.
- A mark is never shortened. A change mark may give way to a later change mark, which lasts longer; an end mark may not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import ceil
from secrets import token_hex
from time import time
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from pyramid_sessionkit.interfaces import UNREADABLE, Record
from pyramid_sessionkit.stores.memcached import LONGEST_RELATIVE
from pyramid_sessionkit.stores.memcached_client import Client, TooLarge
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.packed import pack, unpack_from
from pyramid_sessionkit.stores.resting_nodes import RestingNodes

COPY = b"copy"
ENDED = b"ended"
LEASE_OR_MARK = re.compile(rb"(lease|change) [0-9a-f]{32}|ended")

LEASE_SECONDS = 10
"""For so long at most nobody else fills the cache, if who left the lease is gone."""
CHANGE_SECONDS = 10
END_SECONDS = 3600
"""Longer than any request."""
AT_ONCE = -1
"""memcached removes an item that has expired before it was stored."""

SKEW_SECONDS = 5
"""How far the clocks of two processes may be apart. A copy from further in the future is not used."""

TRIES = 20
"""One is lost only to somebody else who succeeded at the same moment."""


Mine = bytes | Callable[[bytes], bool] | None


class Version(NamedTuple):
    """Which state of a row a record is, and who could open it then: an update that changes that first leaves a mark."""

    word: int
    identity: tuple[str, str | None, str | None]


def versioned(record: Record) -> Record:
    """The record of a row, with a :class:`Version` instead of the row's number."""
    return record.versioned(Version(record.version, identity(record)))


def identity(record: Record) -> tuple[str, str | None, str | None]:
    return record.verifier, record.userid, record.credentials


class Answer(NamedTuple):
    """What the cache said: a record, that there is nothing, or neither (a lease, a mark, or no answer)."""

    record: Record | None
    missing: bool


NEITHER = Answer(None, missing=False)
NOTHING = Answer(None, missing=True)


class Checksum(Protocol):
    """What says that a copy is as it was put there. ``body`` is all of it but this."""

    size: int

    def make(self, name: str, body: bytes) -> bytes: ...

    def accepts(self, found: bytes, name: str, body: Any) -> bool: ...


class Crc:
    """Against damage. Where sessions are sealed, a MAC takes its place: see ``sealing/copy_mac.py``."""

    size = 4

    def make(self, name: str, body: bytes) -> bytes:
        return crc32(body).to_bytes(4, "big")

    def accepts(self, found: bytes, name: str, body: Any) -> bool:
        return found == self.make(name, body)


CRC = Crc()


class Cache:
    """Copies of rows, for ``ttl`` seconds. Nothing here raises: without an answer the database is asked.

    ``at`` is a time before the row was read or written. The seconds of its copy count from then, however long it took
    to put the copy here.
    """

    def __init__(self, nodes: Nodes, prefix: str, ttl: int, checksum: Checksum = CRC) -> None:
        self.nodes = nodes
        self._checksum = checksum
        self._prefix = prefix
        self._ttl = min(ttl, LONGEST_RELATIVE)
        self._resting = RestingNodes(nodes, partial(_tell, prefix))

    def read(self, key: str) -> Answer:
        """The copy. One that cannot be understood is removed, and counts as nothing."""
        name = self._prefix + key
        found: tuple[bytes | None, bytes | None] | None = self._resting.call(key, lambda client: client.gets(name))
        if found is None:
            return NEITHER
        value = found[0]
        if value is None:
            return NOTHING
        record = _unpack_copy(value, self._ttl, name, self._checksum)
        if record is not None:
            return Answer(record, missing=False)
        if LEASE_OR_MARK.fullmatch(value):
            return NEITHER
        self.settle(key)
        return NOTHING

    def lease(self, key: str) -> bytes | None:
        """To be called before the row is read, where nothing is in the cache: what :meth:`fill` needs afterwards."""
        name, lease = self._prefix + key, b"lease " + token_hex(16).encode()
        added = self._resting.call(key, lambda client: client.add(name, lease, LEASE_SECONDS))
        return lease if added else None

    def fill(self, key: str, lease: bytes, record: Record, at: float | None = None) -> None:
        """Put a copy of the row that was read after the lease was left, if the lease is still there."""
        if record.data != UNREADABLE:
            self._exchange(key, lease, self._pack_copy(key, record, at), self._expiry(record))

    def mark_change(self, key: str) -> bytes | None:
        """To be called before the row is written by an update that changes who can open the session.

        Until :meth:`settle` nobody finds a copy and nobody puts one, even if the process dies after its commit. Returns
        the mark, which settling needs; None if an end mark stays in its place, or the node gave no answer.
        """
        mark = _change_mark()
        command = partial(_mark_change, name=self._prefix + key, mark=mark)
        return mark if self._resting.call(key, command, even_if_resting=True) == mark else None

    def mark_end(self, key: str, even_if_resting: bool = True) -> None:
        """To be called before the row is removed. As :meth:`mark_change`, for an hour, and nobody may fill it."""
        self._resting.call(key, partial(_mark_end, name=self._prefix + key), even_if_resting)

    def end(self, key: str) -> None:
        """To be called after the row was removed: the mark may have been lost in between, and a copy put there."""
        if not self._resting.call(key, partial(_mark_end, name=self._prefix + key)):
            self._resting.owe(key)

    def doubt(self, key: str) -> None:
        """To be called after a write whose outcome is unknown. The database may still carry it out: nobody may fill."""
        if not self._resting.call(key, partial(_mark_change, name=self._prefix + key, mark=_change_mark())):
            self._resting.owe(key)

    def settle(
        self,
        key: str,
        mine: bytes | int | None = None,
        record: Record | None = None,
        at: float | None = None,
    ) -> None:
        """To be called after a row was written: leave nothing of which an older copy could be made or read.

        The new record takes the place of what is ``mine``: the mark of :meth:`mark_change`, or the copy of the version
        that was updated. Anything else goes, except for an end mark; a change mark stays, but nobody may fill it.
        """
        copy = None if record is None or mine is None else self._pack_copy(key, record, at)
        expire = 0 if record is None else self._expiry(record)
        name = self._prefix + key
        command = partial(_settle, name=name, mine=self._recognized(name, mine), copy=copy, expire=expire)
        try:
            settled = self._resting.call(key, command)
        except TooLarge:
            return self.settle(key)
        if not settled:
            self._resting.owe(key)

    def drop(self, key: str, word: int) -> None:
        """To be called after an update of this version was refused: a copy of it is behind the row.

        A mark stays. Another writer may count on it, whose own was replaced by this one.
        """
        self._exchange(key, word, b"", AT_ONCE)

    def _exchange(self, key: str, mine: bytes | int, value: bytes, expire: int) -> None:
        name = self._prefix + key
        command = partial(_exchange, name=name, mine=self._recognized(name, mine), value=value, expire=expire)
        with suppress(TooLarge):  # the lease stays, so that it is not tried again at once
            self._resting.call(key, command)

    def _expiry(self, record: Record) -> int:
        left = self._ttl if record.expires is None else ceil(record.expires - time())
        return max(1, min(self._ttl, left))

    def _pack_copy(self, key: str, record: Record, at: float | None = None) -> bytes:
        body = int(time() if at is None else at).to_bytes(8, "big") + pack(record)
        return COPY + self._checksum.make(self._prefix + key, body) + body

    def _recognized(self, name: str, mine: bytes | int | None) -> Mine:
        """What tells whether something in the cache is mine: the bytes of it, or a function for a copy's version."""
        if not isinstance(mine, int):
            return mine
        return partial(_is_copy_of, word=mine, name=name, checksum=self._checksum)


def _unpack_copy(value: bytes, ttl: float, name: str = "", checksum: Checksum = CRC) -> Record | None:
    """The record of a copy; None for anything else, and for a copy that was changed or outlived its time.

    The time is looked at here too, since that of a server stands still while its machine does.
    """
    start = 4 + checksum.size
    if value[:4] != COPY or not checksum.accepts(value[4:start], name, memoryview(value)[start:]):
        return None
    if not -SKEW_SECONDS <= time() - int.from_bytes(value[start : start + 8], "big") <= ttl:
        return None
    record = unpack_from(value, start + 8, _version_of)
    return record if record is not None and type(record.version.word) is int else None


def _version_of(fields: list[Any]) -> Version:
    return Version(fields[0], (fields[_VERIFIER], fields[_USERID], fields[_CREDENTIALS]))


_VERIFIER, _USERID, _CREDENTIALS = map(Record._fields.index, ("verifier", "userid", "credentials"))


def _is(value: bytes, mine: Mine) -> bool:
    return mine(value) if callable(mine) else value == mine


def _is_copy_of(value: bytes, word: int, name: str, checksum: Checksum) -> bool:
    record = _unpack_copy(value, float("inf"), name, checksum)
    return record is not None and record.version.word == word


def _change_mark() -> bytes:
    return b"change " + token_hex(16).encode()


# What follows runs on one connection, and once more from the beginning if that was dead. So each step looks first.


def _exchange(client: Client, name: str, mine: Mine, value: bytes, expire: int) -> bool:
    found, token = client.gets(name)
    if found is None or token is None or not _is(found, mine):
        return False
    return client.cas(name, value, token, expire)


def _mark_change(client: Client, name: str, mark: bytes) -> bytes:
    """What stands there then: the mark, or an end mark, which no change mark may replace. Empty for neither."""
    for _ in range(TRIES):
        found, token = client.gets(name)
        if found in (mark, ENDED):
            return bytes(found)
        if _store(client, name, mark, token):
            return mark
    return b""


def _mark_end(client: Client, name: str) -> bool:
    # Nothing lasts longer, so that this may take the place of anything.
    return client.set(name, ENDED, END_SECONDS)


def _settle(client: Client, name: str, mine: Mine, copy: bytes | None, expire: int) -> bool:
    for _ in range(TRIES):
        found, token = client.gets(name)
        if found is None or token is None or found in (ENDED, copy):
            return True
        if copy is not None and _is(found, mine):
            value, seconds = copy, expire
        elif found.startswith(b"change "):
            # Nobody has this mark, so that the writer who left the one before does not fill it any more.
            value, seconds = _change_mark(), CHANGE_SECONDS
        else:
            value, seconds = b"", AT_ONCE
        if client.cas(name, value, token, seconds):
            return True
    return False


def _store(client: Client, name: str, mark: bytes, token: bytes | None) -> bool:
    """Put a mark where nothing is, if there is no token, or in the place of what has the token."""
    if token is None:
        return client.add(name, mark, CHANGE_SECONDS)
    return client.cas(name, mark, token, CHANGE_SECONDS)


def _tell(prefix: str, client: Client, key: str) -> bool:
    """What a node that was away missed: that the row has changed, or is gone."""
    return _settle(client, prefix + key, None, None, 0)
