"""``unowned``: a block in which a guarded session may write any row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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
    if guard is None:
        _tell(guard, reason)
        yield
        return
    session.flush()
    _tell(guard, reason)
    guard.lifted += 1
    try:
        yield
        session.flush()
    finally:
        guard.lifted -= 1


def _tell(guard: Guard | None, reason: str) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    if guard is None:
        log.info("unowned: %s (the session has no guard)", reason)
    else:
        log.info("unowned: %s (user %s)", reason, "not known yet" if guard.is_asking else guard.userid())
