"""Which idle timeout holds for a stored session: the shorter of the one that it was stored with and the configured one.

So a lowered ``sessionkit.timeout`` holds for all sessions at once, and a raised one from their next login on. A timeout
that ``set_expiry`` has given to one session stays as it is.
"""

from __future__ import annotations

from pyramid_sessionkit.interfaces import Record


def with_timeout_in_force(record: Record, configured: int | None) -> Record:
    """The record with the idle timeout that holds for it. The same object where that is the stored one."""
    if configured is None or record.own_timeout or (record.timeout is not None and record.timeout <= configured):
        return record
    return record._replace(timeout=configured)


def reissue_time_of(record: Record, configured: int) -> int:
    """How often reading renews a session: more often where its idle timeout is short, or it would end while in use."""
    return configured if record.timeout is None else min(configured, max(1, record.timeout // 10))
