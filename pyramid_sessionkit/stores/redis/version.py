"""A record of the Redis store as bytes, and its version."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import urandom
from time import time

from pyramid_sessionkit.interfaces import GRACE, Record, unreadable
from pyramid_sessionkit.stores.packed import unpack_from
from pyramid_sessionkit.stores.redis.scripts import NEVER, WORD_LENGTH, WORD_START


@dataclass(slots=True, unsafe_hash=True)
class Version:
    """Which state of a record this is: a random word inside the value. And notes on that state."""

    word: str
    """Random for each state, and no number that is counted up: a failover may lose an update that was acknowledged, and
    the next one must not get the number of the lost one."""
    userid: str | None = field(default=None, compare=False)
    expires: int | None = field(default=None, compare=False)
    kept_until: int = field(default=0, compare=False)
    """Of its entry in the set of its user."""

    @property
    def stored(self) -> bytes:
        """The word as it is in the value: of a damaged one these may be any bytes."""
        return self.word.encode("latin-1")


def with_new_version(record: Record) -> Record:
    """The record as a state that is about to be stored."""
    return record.versioned(_version_of(urandom(WORD_LENGTH // 2).hex(), record))


def unpack(value: bytes) -> Record:
    """The record in a stored value, with its :class:`Version`; an unreadable one if it cannot be understood."""
    word = value[WORD_START : WORD_START + WORD_LENGTH].decode("latin-1")
    record = unpack_from(value, 0, lambda fields: fields[0])
    if record is None or record.version != word or len(word) != WORD_LENGTH:
        return unreadable(Version(word))
    return record.versioned(_version_of(word, record))


def kept_until(record: Record) -> int:
    """When the entry of a session in its user's set may go, in epoch seconds.

    That is a minute after it expires, which is rounded up to a multiple of its timeout: so few renewals change it.
    """
    expires = record.expires
    if expires is None:
        return NEVER
    if record.timeout and expires != record.deadline:
        expires = (expires // record.timeout + 1) * record.timeout
        if record.deadline is not None:
            expires = min(expires, record.deadline)
    return min(expires + GRACE, NEVER)


def expiry(record: Record) -> str:
    """Milliseconds until Redis removes a record; empty for never.

    Not a time: the clock of the server may differ from ours.
    """
    if record.expires is None:
        return ""
    # Redis takes no time that is over already.
    return str(max(1, int((record.expires + GRACE - time()) * 1000) + 1))


def _version_of(word: str, record: Record) -> Version:
    return Version(word, record.userid, record.expires, 0 if record.userid is None else kept_until(record))
