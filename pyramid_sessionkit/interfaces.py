"""All that the author of a store imports: the record, and what a store promises to do with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zope.interface import Interface


@dataclass(frozen=True, slots=True)
class Record:
    """What a store holds for one key. Times are in epoch seconds, durations in seconds."""

    data: bytes
    """The contents of the session: a JSON object."""
    userid: str | None
    """Who is logged in; None for an anonymous visitor."""
    authenticated: int | None
    """When the last login was; None for an anonymous visitor."""
    credentials: str | None
    """What the security policy's ``credentials_hash`` was at that login."""
    created: int
    """When the session was created or, after a login, logged in: where its lifetime begins."""
    renewed: int
    """When its idle timeout last began again."""
    timeout: int | None
    """The idle timeout; None for no limit."""
    deadline: int | None
    """When the session ends whatever happens; None for no limit."""
    persistent: bool
    """Whether its cookie outlives the browser."""
    version: Any = None
    """Which state of the stored record this is: written and understood by the store alone."""

    @property
    def expires(self) -> int | None:
        """When the session ends unless it is renewed, or None for never."""
        if self.timeout is None:
            return self.deadline
        idle = self.renewed + self.timeout
        return idle if self.deadline is None else min(idle, self.deadline)

    def expired(self, now: float) -> bool:
        expires = self.expires
        return expires is not None and expires <= now

    def versioned(self, version: Any) -> Record:
        """This record as another version: :func:`dataclasses.replace` at a third of its price."""
        return Record(
            self.data,
            self.userid,
            self.authenticated,
            self.credentials,
            self.created,
            self.renewed,
            self.timeout,
            self.deadline,
            self.persistent,
            version,
        )


class ISessionStore(Interface):
    """Where records live. Methods are called from many threads at once.

    Each raises :exc:`~pyramid_sessionkit.StoreUnavailable` for an outage or a time-out, and
    :exc:`~pyramid_sessionkit.StoreError` for anything else that was refused. A miss is never an
    outage, nor the reverse. A store whose records another process would not see has an attribute ``process_local``
    that is true, so that its users are warned.
    """

    def load(key: str, fresh: bool = False) -> Record | None:
        """The record, or None if it is missing **or expired**: judged by the record, not by purging.

        ``fresh`` passes by any cache.
        """

    def create(key: str, record: Record) -> Record | None:
        """Store a new record and return it with its version; None if the key is taken."""

    def update(key: str, record: Record) -> Record | None:
        """Replace the stored record if its version is still ``record.version``.

        Returns the record with its new version; None if it changed, expired or is gone. Never creates.
        """

    def move(key: str, new_key: str, record: Record) -> Record | None:
        """As ``update``, under a new key. From then on the old key is gone."""

    def delete(key: str) -> bool:
        """Remove the record; False if there was none."""


class IUserIndex(Interface):
    """A store that can tell which sessions belong to a user."""

    def sessions_of(userid: str) -> Iterable[tuple[str, Record]]:
        """The key and record of each live session of this user, the oldest (by ``created``, then key) first."""

    def live_sessions(limit: int | None = None) -> Iterable[tuple[str, Record]]:
        """The key and record of all live sessions, the newest first, ``limit`` at most."""

    def find_keys(prefix: str, limit: int) -> Iterable[str]:
        """The keys of live sessions that begin with ``prefix``, ``limit`` at most."""


class IPurgeable(Interface):
    """A store that keeps expired records until it is told to remove them."""

    def purge(limit: int | None = None) -> int:
        """Remove expired records, ``limit`` at most, and return how many."""

    def count(expired: bool = False) -> int:
        """How many live sessions there are; or how many that have expired and were not purged yet."""

    def clear() -> int:
        """Remove every record, live or not, and return how many."""


class IJoinable(Interface):
    """A store whose sessions can be part of an application's own transactions."""

    def joined(dbsession: Any) -> Any:
        """An ISessionStore for the same sessions, on the connection and in the transaction of a SQLAlchemy session.

        It commits nothing. A conflict that the database answers by refusing the transaction raises
        :exc:`~pyramid_sessionkit.SessionConflict`; a transaction that can only be rolled back,
        :exc:`~pyramid_sessionkit.TransactionFailed`.
        """
