"""Why the login that a browser had is over, so that a login page can say so."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.idle_timeout import with_timeout_in_force
from pyramid_sessionkit.in_use import find_session
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.session_id.tokens import opens
from pyramid_sessionkit.state import Found, Presented
from pyramid_sessionkit.unit_of_work import UnitOfWork

JUDGEMENTS = ("credentials_changed", "user_gone")

BEFORE_ALL = 0.0
"""A time at which no record has expired."""


def why_logged_out(request: Any) -> str | None:
    """Why the login of this browser has ended; None where that is not known, or where there was none.

    - ``timeout``: the session was not used for longer than its idle timeout;
    - ``lifetime``: it came to the end of its lifetime;
    - ``credentials_changed``, ``user_gone``: this request has found that out, and ended the session, or another one
      has in the last seven days;
    - ``revoked``: it was ended in the last seven days from another device, or by an administrator;
    - ``limit``: in the last seven days its user logged in elsewhere once too often
      (``sessionkit.max_sessions_per_user``).

    A logout leaves no trace. Neither do sessions that were purged, or that expired in a store which removes them at
    once, such as memcached.
    """
    session = find_session(request)
    if session is None:
        return None
    work = session.work
    work.read()
    if work.judged in JUDGEMENTS:
        return work.judged
    return _why_ended(work, work.seed) if work.found is Found.DEAD and work.seed is not None else None


def _why_ended(work: UnitOfWork, presented: Presented) -> str | None:
    persistence = work.persistence
    record = persistence.store.load(presented.key, True, BEFORE_ALL)
    if record is None:
        return persistence.why_ended(presented)
    # Only the browser that had the session may know.
    if record.userid is None or not opens(presented.secret, record):
        return None
    return _limit_that_passed(with_timeout_in_force(record, persistence.settings.timeout), work.at)


def _limit_that_passed(record: Record, at: float) -> str | None:
    if not record.expired(at):
        return None
    idle_until = None if record.timeout is None else record.renewed + record.timeout
    if idle_until is not None and (record.deadline is None or idle_until < record.deadline):
        return "timeout"
    return "lifetime"
