"""``unowned``: a block in which a guarded session may write any row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from pyramid_sessionkit.owned.guards import Guard, guard_of, plain

log = logging.getLogger("pyramid_sessionkit")


@contextmanager
def unowned(dbsession: Any, reason: str) -> Iterator[None]:
    """Lift the guard of a session inside a ``with`` block, for what is not done on behalf of the logged-in user.

    What was pending before is flushed under the guard, and what was done inside is flushed inside. It is logged at
    INFO with its reason, such as ``"sign-up"``, and the userid.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError('unowned() needs a reason, such as unowned(dbsession, reason="sign-up")')
    session = plain(dbsession)
    guard = guard_of(session)
    session.flush()
    if log.isEnabledFor(logging.INFO):
        log.info("unowned: %s (%s)", reason, _by_whom(guard))
    with nullcontext() if guard is None else _lifted(guard):
        yield
        session.flush()


@contextmanager
def _lifted(guard: Guard) -> Iterator[None]:
    guard.lifted += 1
    try:
        yield
    finally:
        guard.lifted -= 1


def _by_whom(guard: Guard | None) -> str:
    if guard is None:
        return "the session has no guard"
    if guard.is_asking:
        return "user not known yet"
    userid = guard.userid()
    return "nobody is logged in" if userid is None else f"user {userid}"
