"""What is to be done with the session of a request: a pure function of what was found and what is wanted."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import REPLACED, Condition, Found, NewSecret, Pending, Stored

EMPTY = b"{}"
"""The contents of a session with nothing in it, as bytes."""


class Nothing(NamedTuple):
    """Nothing is to be stored."""


class Create(NamedTuple):
    """A new session is to be stored. Its verifier is filled in with its secret."""

    record: Record


class Update(NamedTuple):
    """The stored session is to be replaced by this record."""

    record: Record
    new_secret: NewSecret | None
    resend: bool
    """Whether the cookie has to be sent again, since its limits changed."""


class Remove(NamedTuple):
    """Nothing is left in the session: it is to be removed, if that is still so when that is done."""

    record: Record
    """The session as an update would store it."""
    resend: bool


class Refused(NamedTuple):
    """The cookie was replaced a moment ago: what this request wants to store belongs in a session that it cannot open.

    ``ending``: it asked to end that session, and may not.
    """

    ending: bool


Plan = Nothing | Create | Update | Remove | Refused
NOTHING = Nothing()


def needs_cookie(wanted: Plan) -> bool:
    """Whether what is stored would be of no use unless the browser gets a cookie for it."""
    return wanted.new_secret is not None if isinstance(wanted, Update) else isinstance(wanted, Create)


def plan(found: Found, stored: Stored | None, pending: Pending, data: bytes, settings: Settings, loaded: float) -> Plan:
    """What to store, where ``data`` are the contents as they are now, and ``loaded`` is when the request loaded
    (epoch seconds)."""
    if (
        pending.endings
        and any(ending.condition is Condition.NEVER for ending in pending.endings)
        and not pending.logs_in
    ):
        return Refused(ending=True)
    if stored is None:
        return _plan_new(found, pending, data, settings, loaded)
    record = stored.record
    removes = settings.delete_empty and is_to_be_removed(record, pending, data)
    asked = pending.renew or pending.new_secret or pending.fields or pending.limits
    if not (asked or removes or data != record.data):
        return NOTHING
    after = next_record(record, pending, data, loaded)
    resend = _must_resend(record, after, pending, settings)
    if removes:
        return Remove(after, resend)
    return Update(after, pending.new_secret, resend)


def is_to_be_removed(record: Record, pending: Pending, data: bytes) -> bool:
    """Whether this request leaves an empty session that belongs to nobody: ``sessionkit.delete_empty`` removes it."""
    if data != EMPTY or record.userid is not None or pending.logs_in:
        return False
    return pending.touched or record.data != EMPTY


def _plan_new(found: Found, pending: Pending, data: bytes, settings: Settings, loaded: float) -> Plan:
    if found is REPLACED and not pending.logs_in:
        return Refused(ending=False) if data != EMPTY else NOTHING
    if data == EMPTY and not pending.logs_in and not settings.save_uninitialized:
        return NOTHING
    return Create(next_record(new_record(settings, loaded), pending, data, loaded))


def new_record(settings: Settings, created: float) -> Record:
    """An anonymous visitor's record without a secret."""
    at = int(created)
    deadline = None if settings.lifetime is None else at + settings.lifetime
    return Record(EMPTY, "", "", None, None, None, None, at, at, settings.timeout, deadline, settings.persistent)


def next_record(record: Record, pending: Pending, data: bytes, loaded: float) -> Record:
    """The record with these contents and what the request wants of its fields. Its secret is as before."""
    renewed = record.renewed if pending.polls else max(record.renewed, int(loaded))
    if not (pending.fields or pending.limits):
        return record.renewed_with(data, renewed)
    changes: dict[str, Any] = {"data": data, "renewed": renewed, **pending.fields}
    if pending.limits:
        limits = dict(pending.limits)
        if "timeout" in limits:
            limits["own_timeout"] = True
        if "lifetime" in limits:
            lifetime = limits.pop("lifetime")
            created = changes.get("created", record.created)
            limits["deadline"] = None if lifetime is None else created + lifetime
        changes.update(limits)
    return record._replace(**changes)


def removed_record(record: Record, now: float) -> Record:
    """What is stored in the place of a session that was removed since it was empty: one with an idle timeout of zero.

    So it has expired for everybody, while a request that loaded it before still finds it, and can begin it again.
    """
    return record._replace(data=EMPTY, renewed=int(now), timeout=0)


def was_removed(record: Record) -> bool:
    """Whether the session was removed since it was empty. No session of a visitor has an idle timeout of zero."""
    return record.timeout == 0


def begun_again(removed: Record, settings: Settings, now: float) -> Record:
    """The session that begins where one was removed: a new one, which the same secret opens."""
    begun = new_record(settings, now)
    return begun._replace(
        verifier=removed.verifier, salt=removed.salt, replaced=removed.replaced, version=removed.version
    )


def merged_record(stored: Record, data: bytes) -> Record:
    """The stored record with contents into which those of a stale request were merged, and nothing else of it."""
    return stored._replace(data=data)


def _must_resend(before: Record, after: Record, pending: Pending, settings: Settings) -> bool:
    """Renewals do not send a cookie again: one that arrives late would overwrite the cookie of a login."""
    if after.persistent is not before.persistent:
        return True
    if not after.persistent:
        return False
    rolls = settings.rolling and not (pending.polls and after.expires == before.expires)
    return rolls or after.deadline != before.deadline
