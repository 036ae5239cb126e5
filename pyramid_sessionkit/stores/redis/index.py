"""The sessions of each user: a sorted set, whose members are session keys. It heals itself when it is read.

**An entry too many does no harm**: whoever reads it loads the session, and sees whose it is. **One that is missing**
would let a session survive "log out everywhere". So a session is in its user's set before its record says so.

On one server, and with Sentinel, the script that writes a record also writes the set. On a Cluster the set lives on
another node than the record, and there are three steps:

1. the entry is put into the set, as one that is *under way*;
2. the record is written;
3. the entry becomes an ordinary one.

After a crash before the second it is an entry too many, and after a crash before the third one that a reader finds to
be true. Nobody removes it for a minute: the record may be on its way.

A score is when the session expires, rounded up, so that few renewals change it; with a random fraction, so that no two
entries that are made for one session have the same. Whoever finds an entry that is not true removes it only if it still
has the score that was read, and not one that a login has made meanwhile. An entry under way has a negative score: when
it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import random
from time import time
from typing import Any

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import GRACE, UNREADABLE, Record
from pyramid_sessionkit.stores.redis.client import Client
from pyramid_sessionkit.stores.redis.scripts import ADD, HEAL
from pyramid_sessionkit.stores.redis.version import kept_until

HEAL_EVERY = 64
"""A set is read and healed when it has grown to a multiple of this, also where nobody asks for it."""


def score(until: int) -> str:
    return f"{until + random() * 0.999:.6f}"


def under_way() -> str:
    return f"{-time():.6f}"


class UserIndex:
    """``prefix``: what the names of the sets begin with; ``load_all`` gives the records of session keys."""

    def __init__(self, client: Client, prefix: str, load_all: Callable[[list[str]], list[Record | None]]) -> None:
        self._client = client
        self._prefix = prefix
        self._load_all = load_all

    def name(self, userid: str) -> str:
        """Without a further colon, which only the names of a site with another prefix have."""
        return self._prefix + userid.replace("%", "%25").replace(":", "%3A")

    def add(self, userid: str, key: str, entry: str) -> None:
        grown = self._client.run(ADD, [self.name(userid)], [key, entry], again=True)
        self.grown(userid, grown)

    def grown(self, userid: str, size: int) -> None:
        """It has this size since an entry was added; 0 if none was."""
        if size and size % HEAL_EVERY == 0:
            with suppress(StoreError):  # what was asked for is done
                self.read(userid)

    def read(self, userid: str) -> list[tuple[str, Record]]:
        """The sessions of a user, expired ones too. What is not true in the set is put right."""
        name = self.name(userid)
        answer = self._client.call("ZRANGE", name, 0, -1, "WITHSCORES", again=True)
        entries = {bytes(member).decode("utf-8", "replace"): float(at) for member, at in _pairs(answer)}
        found, changes = [], []
        for key, record in zip(entries, self._load_all(list(entries)), strict=True):
            is_true = record is not None and record.userid == userid
            if is_true:
                found.append((key, record))
            changes += _change(key, entries[key], record, is_true)
        if changes:
            with suppress(StoreError):  # what was asked for is there
                self._client.run(HEAL, [name], changes, again=True)
        return found  # type: ignore[return-value]


def _change(key: str, at: float, record: Record | None, is_true: bool) -> list[Any]:
    """The arguments of ``HEAL`` that put an entry right; none if it is right."""
    shown = repr(at)
    if is_true and record is not None:
        return [key, shown, score(kept_until(record))] if at < 0 and -at < time() - GRACE else []
    if at < 0 and -at > time() - GRACE:
        return []
    # Whose an unreadable session is cannot be said: it stays until it expires.
    return [] if record is not None and record.data == UNREADABLE else [key, shown, ""]


def _pairs(answer: list[Any]) -> list[tuple[Any, Any]]:
    """Members with their scores, as redis-py or as Redis itself gives them."""
    if answer and isinstance(answer[0], (tuple, list)):
        return [(member, at) for member, at in answer]
    return list(zip(answer[::2], answer[1::2], strict=True))
