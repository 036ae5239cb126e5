"""All that the author of a store imports: the record, and what a store promises to do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from zope.interface import Interface

GRACE = 60
"""Seconds after its end in which a session can still be updated, so that a write that a store accepted is never lost
between the moment when a request loaded the session and the moment when it saves it."""

UNREADABLE = b""
"""The ``data`` of a record that a store found but cannot understand: no JSON object is empty."""

NOT_READ = b"{}"
"""The ``data`` of a record in a list of all sessions, whose contents were not read: see ``without_contents``."""


FIRST = "session"
"""The name of ``request.session``, the session that logs in."""

CREDENTIALS_NOT_KNOWN = "adopted"
"""The ``credentials`` of a session that was adopted from another library, until its user is next asked for."""


class Record(NamedTuple):
    """What a store holds for one key. Times are in epoch seconds unless another unit is named, durations in seconds."""

    data: bytes
    """The contents of the session. Stores keep these bytes and look at nothing in them: they are not empty, and need
    not be JSON, nor text."""
    verifier: str
    """SHA-256, in hex, of the secret that opens the session."""
    salt: str
    """Random text that is made with the session and stays: it goes into each secret that replaces another. A record
    with another salt under the same key is another session."""
    replaced: int | None
    """When the secret was last replaced, in epoch microseconds; None if it is still the first one."""
    userid: str | None
    """Who is logged in; None for an anonymous visitor."""
    authenticated: int | None
    """When the last login was, in epoch microseconds; None for an anonymous visitor."""
    credentials: str | None
    """SHA-256, in hex, of what ``credentials_hash`` returned at that login; None if there is no such function."""
    created: int
    """When the session was created or last logged in: its lifetime counts from here."""
    renewed: int
    """When its idle timeout was last restarted."""
    timeout: int | None
    """The idle timeout; None for no limit."""
    deadline: int | None
    """When the session ends even if it is used; None for no limit."""
    persistent: bool
    """Whether its cookie outlives the browser."""
    version: Any = None
    """Which state of the stored record this is. Only the store writes and understands it; others compare it."""
    own_timeout: bool = False
    """Whether ``timeout`` was set for this session alone, so that it stays whatever the setting is."""

    @property
    def expires(self) -> int | None:
        """When the session ends unless it is renewed; None for never."""
        timeout, deadline = self.timeout, self.deadline
        if timeout is None:
            return deadline
        idle = self.renewed + timeout
        return idle if deadline is None or idle < deadline else deadline

    def expired(self, now: float) -> bool:
        expires = self.expires
        return expires is not None and expires <= now

    def versioned(self, version: Any) -> Record:
        """This record as another version."""
        return _record((*self[:_VERSION], version, *self[_LATER:]))

    def with_data(self, data: bytes) -> Record:
        """This record with other contents, and everything else as it is."""
        return _record((data, *self[1:]))

    def without_contents(self) -> Record:
        """This record as a list of all sessions has it. It has no version, so that no store takes an update of it."""
        return Record._make((NOT_READ, *self[1:_VERSION], None, *self[_LATER:]))

    def renewed_with(self, data: bytes, renewed: int) -> Record:
        """This record with other contents, and its idle timeout restarted: what most requests that write need."""
        return _record((data, *self[1:_RENEWED], renewed, *self[_RENEWED + 1 :]))


_record = partial(tuple.__new__, Record)  # as Record._make, which also counts the fields, in half the time
_VERSION = Record._fields.index("version")
_LATER = _VERSION + 1
_RENEWED = Record._fields.index("renewed")


def unreadable(version: Any = None) -> Record:
    """What a store returns for a record that it found and cannot understand. It belongs to nobody and never expires."""
    return Record(UNREADABLE, "", "", None, None, None, None, 0, 0, None, None, False, version, own_timeout=True)


def lasting(item: tuple[str, Record]) -> tuple[bool, int, int, str]:
    """By this lists of all sessions are sorted: the largest comes first. See ``IListable``."""
    key, record = item
    expires = record.expires
    return expires is None, expires or 0, record.renewed, key


def is_sound(record: Record) -> bool:
    """Whether all fields but the version have the types they should have: a stored record may have been damaged."""
    if tuple(map(type, record[:_VERSION])) not in _SOUND or not record.verifier.isascii():
        return False
    if type(record.own_timeout) is not bool:
        return False
    return record.authenticated is None or (
        record.authenticated < _END_OF_TIME and (record.credentials is None or record.credentials.isascii())
    )


_NONE: type = type(None)
_SOUND = frozenset(
    (bytes, str, str, replaced, userid, authenticated, credentials, int, int, timeout, deadline, bool)
    for replaced, timeout, deadline in product((int, _NONE), repeat=3)
    for credentials in (str, _NONE)
    for userid, authenticated in ((str, int), (_NONE, _NONE))
)
"""The types of all fields before the version, in each combination that there may be."""
_END_OF_TIME = 2**62
"""Microseconds. The next login of the same user has to be later, and fit into 64 bits."""


class ISessionStore(Interface):
    """Where records live. ``SessionStore`` says the same to type checkers.

    A key is 22 to 64 characters of ``[A-Za-z0-9_-]``; case matters. It names a session from its creation to its end.

    **Errors.** Each method of this and the other interfaces raises :exc:`~pyramid_sessionkit.StoreUnavailable` for an
    outage or a time-out, and :exc:`~pyramid_sessionkit.StoreError` for anything else that was refused. A miss is never
    an outage, nor the reverse. No call waits longer than the store's own time-out, and a connection that was closed is
    replaced at the next call. An update that may have been applied is never sent again, also not by a driver.

    **Threads and processes.** Methods are called from many threads at once, and in processes forked from the one that
    made the store. A connection belongs to the process that opened it.

    **Versions.** A version is never used twice for a key: ``create`` begins at a random number.

    **Damage.** A record that is found and cannot be understood is returned as :func:`unreadable`; its bytes stay.

    **Fields that come later.** A later :class:`Record` may have more fields, after those of today, each with a default.
    So store fields by their names, and give those alone that a stored record has: it then loads with the defaults.

    **Attributes.** A store whose records another process would not see has a true attribute ``process_local``:
    start-up then warns. A method ``close()``, where there is one, closes what this process has open, and may be called
    twice. The next call opens it again. The library never calls it.
    """

    def load(key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        """Return the record with its version.

        None if it is missing **or expired** at that time: judged by the record's own times, not by purging. An outage
        raises ``StoreUnavailable``; a record that cannot be understood is :func:`unreadable`, and no error.

        With ``fresh`` no cache is asked. ``at`` is a time in epoch seconds; None is now.
        """

    def create(key: str, record: Record) -> Record | None:
        """Store a new record and return it with its version.

        None if the key is taken. It is taken until its record is removed; whether an expired record still takes it is
        up to the store. An outage raises ``StoreUnavailable``; the record may have been stored then.
        """

    def update(key: str, record: Record) -> Record | None:
        """Replace the whole of the stored record, in one step, if its version is still ``record.version``.

        Returns the record with its new version, also if nothing else changed. None if the stored version is another, or
        the record is gone: it never creates. What expired less than :data:`GRACE` seconds ago is accepted; what expired
        earlier is gone. An outage raises ``StoreUnavailable``, never None: the update may have been applied then.
        """

    def delete(key: str, record: Record | None = None) -> bool:
        """Remove the record and return True; with ``record`` only if that version is still stored.

        False if nothing was removed: of many deletions of one record one returns True. An outage raises
        ``StoreUnavailable``; the record may have been removed then.
        """


class IContentsUpdate(Interface):
    """A store that saves work where it knows that little but the contents changed, as in nearly all requests."""

    def update_contents(key: str, record: Record) -> Record | None:
        """As ``update``, where only ``data``, ``renewed`` and ``timeout`` differ from the stored version.

        It has the same misses and errors, and is never sent again either.
        """


class IUserIndex(Interface):
    """A store that can list the sessions of a user."""

    def sessions_of(userid: str) -> Iterable[tuple[str, Record]]:
        """The key and record of each live session of this user, by time of login (``authenticated``, then key).

        The records are those that are stored now, with their versions. A userid is any text, and means exactly that
        text. A user without sessions has an empty list; an outage raises ``StoreUnavailable`` and is never a list that
        is empty or shorter. Records that cannot be understood are left out.
        """


class IListable(Interface):
    """A store that can list and count all of its sessions, and remove all."""

    def live_sessions(limit: int) -> Iterable[tuple[str, Record]]:
        """The key and record of live sessions, ``limit`` at most, **without contents** and version.

        First come those that never expire, then those that expire last. So where all have the same timeout, those used
        last come first. A store may round expiries up as it chooses, to find the sessions by an index: to ten minutes,
        or an eighth of the idle timeout if that is longer. Those that it chose are in their exact order.

        Each record is made by ``Record.without_contents``; an update or a deletion of it is refused like that of any
        version that has changed. Records that cannot be understood are left out, as far as that shows without their
        contents. A store without sessions has an empty list; an outage raises ``StoreUnavailable``.
        """

    def find_keys(prefix: str, limit: int) -> Iterable[str]:
        """The keys of live sessions that begin with ``prefix``, ``limit`` at most.

        A prefix is not a pattern, and its case matters. Where none begins with it the list is empty; an outage raises
        ``StoreUnavailable``.
        """

    def count(expired: bool = False) -> int:
        """How many live sessions there are; or how many that have expired and were not removed yet.

        A live record without a verifier is not counted: nothing opens it, so that it is no session. An outage raises
        ``StoreUnavailable``, and is never 0.
        """

    def clear() -> int:
        """Remove every record, live or not, and return how many.

        An outage raises ``StoreUnavailable``; some of the records may have been removed then.
        """


class IPurgeable(Interface):
    """A store that keeps expired records until it is told to remove them."""

    def purge(limit: int | None = None, tell: Callable[[str, Record], None] | None = None) -> int:
        """Remove records that expired more than :data:`GRACE` seconds ago, ``limit`` at most; return how many.

        0 if there are none, or ``limit`` is 0. It may come a little late, and never takes what can still be updated. An
        outage raises ``StoreUnavailable``; some of the records may have been removed then.

        ``tell(key, record)`` is called for each record that was removed, as soon as that is certain: of several purges
        at once by the one that removed it. A record that cannot be understood is :func:`unreadable`.
        """


class IJoinable(Interface):
    """A store whose sessions can be part of an application's own transactions."""

    def joined(dbsession: Any) -> Any:
        """An ISessionStore for the same sessions, on the connection and in the transaction of a SQLAlchemy session.

        It commits nothing. A conflict that the database answers by refusing the transaction raises
        :exc:`~pyramid_sessionkit.SessionConflict`; a transaction that can only be rolled back,
        :exc:`~pyramid_sessionkit.TransactionFailed`.
        """
