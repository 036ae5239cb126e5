"""What a request knew about its session when it was over, as rows of text."""

from __future__ import annotations

from datetime import datetime, timezone
from time import time
from typing import NamedTuple

from pyramid_sessionkit.debugtoolbar.differences import Difference, differences
from pyramid_sessionkit.debugtoolbar.journal import Journal, Note
from pyramid_sessionkit.debugtoolbar.reasons import reasons
from pyramid_sessionkit.interfaces import FIRST, Record
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.state import BLANK, DELETE, KEEP, SEND, Cookie, Found
from pyramid_sessionkit.unit_of_work import UnitOfWork

Row = tuple[str, str]


class Saving(NamedTuple):
    """One attempt to save the session or to end one."""

    outcome: str
    wanted: str
    why: str


class Explained(NamedTuple):
    """One session of a request. Neither the ID nor the CSRF token is in it, nor anything that holds the request."""

    name: str
    """The attribute of the request."""
    rows: list[Row]
    savings: list[Saving]
    differences: list[Difference]


def explain(name: str, work: UnitOfWork, journal: Journal) -> Explained:
    savings = [_saving(note) for note in journal.notes if note.outcome not in _ABOUT_SENDING]
    rows = [*_rows(name, work, journal.found or work.found), ("Sent", _sending(work, journal))]
    changed = [difference for note in journal.notes for difference in note.differences]
    return Explained(name, rows, savings or [_nothing_saved(work, journal)], list(dict.fromkeys(changed)))


_ABOUT_SENDING = (Outcome.SENT, Outcome.NOT_SENT)


def _saving(note: Note) -> Saving:
    return Saving(note.outcome.value, "; ".join(note.reasons), note.detail)


def _nothing_saved(work: UnitOfWork, journal: Journal) -> Saving:
    if work.found is None:
        return Saving("not saved", "", "it could not be read" if journal.calls else "not used")
    wanted = reasons(work, differences(work))
    return Saving("not saved", "; ".join(wanted), "the request failed before" if wanted else "read only")


def _rows(name: str, work: UnitOfWork, found: Found | None) -> list[Row]:
    if found is None:
        return [("Key", "not known, since the session was not read")]
    if work.contents is None:
        return [("Key", "not known, since what was read was rolled back"), ("Received", _RECEIVED[found])]
    if work.stored is None:
        return [("Key", "none, since nothing is stored"), ("Received", _RECEIVED[found])]
    record = work.stored.record
    # Nobody logs in with a second session, whoever is logged in with the first.
    user = [("User", record.userid or "nobody is logged in")] if name == FIRST else []
    return [
        ("Key", work.stored.key),
        ("Received", _RECEIVED[found]),
        *user,
        *_times(record, time()),
    ]


_RECEIVED = {
    Found.LIVE: "the ID of a stored session",
    Found.REPLACED: "an ID that another request has just replaced, or of a session that was just ended",
    Found.BLANK: "an ID that carries a CSRF token alone",
    Found.DEAD: "the ID of a session that has ended",
    Found.UNREADABLE: "the ID of a session that cannot be read",
    Found.NOTHING: "no ID",
}


def _times(record: Record, now: float) -> list[Row]:
    login = None if record.authenticated is None else record.authenticated // 1_000_000
    times = [("Created", record.created), ("Logged in", login), ("Renewed", record.renewed)]
    rows = [(name, moment(at, now)) for name, at in times if at is not None]
    return [*rows, ("Expires", "never" if record.expires is None else moment(record.expires, now))]


def moment(at: float, now: float) -> str:
    """A time as a date, and how long before or after ``now`` it is."""
    seconds = int(at - now)
    length = _length(abs(seconds))
    there = f"in {length}" if seconds > 0 else f"{length} ago"
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S} UTC ({there})"


def _length(seconds: int) -> str:
    for name, unit in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * unit:
            return f"{round(seconds / unit)} {name}"
    return f"{seconds} s"


def _sending(work: UnitOfWork, journal: Journal) -> str:
    """What the client was told about its ID."""
    note = next((note for note in reversed(journal.notes) if note.outcome in _ABOUT_SENDING), None)
    if note is None:
        return _NOTHING_SENT[work.cookie]
    if note.outcome is Outcome.NOT_SENT:
        return f"nothing: {note.detail}"
    return f"{note.detail}: {_SENT[work.cookie]}"


_SENT: dict[Cookie, str] = {
    KEEP: "the cookie of the library that was used before is deleted",
    SEND: "the ID of the session",
    BLANK: "an ID that names nothing stored, for the CSRF token",
    DELETE: "the client is to forget its ID",
}
_NOTHING_SENT: dict[Cookie, str] = {
    KEEP: "nothing, since the client has the right ID or needs none",
    SEND: "nothing, since the request failed",
    BLANK: "nothing, since the request failed",
    DELETE: "nothing, since the client had no ID to forget",
}
