"""``unowned``: a block in which a guarded session may write any row."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from pyramid_sessionkit.owned.guard import Guard, connection_guard, guard_of

log = logging.getLogger("pyramid_sessionkit")


@contextlib.contextmanager
def unowned(dbsession: Any, reason: str) -> Iterator[None]:
    """Lift the guard inside a ``with`` block, for what is not done on behalf of the logged-in user.

    Takes what :func:`guard` took. What was pending before is flushed under the guard, and what was done inside is
    flushed inside. It is lifted for the function with the block and what that calls; if that is a generator, not while
    it is suspended. It is logged at INFO with its reason, such as ``"sign-up"``, and the userid.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError('unowned() needs a reason, such as unowned(dbsession, reason="sign-up")')
    session = dbsession() if isinstance(dbsession, scoped_session) else dbsession
    if not isinstance(session, (Session, Connection)):
        raise TypeError(f"unowned() needs a Session or a Connection of SQLAlchemy, not a {type(session).__name__}")
    guard = connection_guard(session) if isinstance(session, Connection) else guard_of(session)
    _flush(session)
    if log.isEnabledFor(logging.INFO):
        log.info("unowned: %s (%s)", reason, _by_whom(guard))
    with contextlib.nullcontext() if guard is None else _lifted(guard, _function_with_block(sys._getframe())):
        yield
        _flush(session)


def _flush(session: Session | Connection) -> None:
    if isinstance(session, Session):
        session.flush()


@contextlib.contextmanager
def _lifted(guard: Guard, frame: Any) -> Iterator[None]:
    guard.lifted_in += (frame,)
    try:
        yield
    finally:
        remaining = list(guard.lifted_in)
        remaining.remove(frame)
        guard.lifted_in = tuple(remaining)


def _function_with_block(frame: Any) -> Any:
    """The function in which the ``with`` is written.

    It is not one of contextlib, nor a context manager that was made of a generator, since these are suspended while the
    block is executed. A generator that something else runs is that function.
    """
    while frame.f_code.co_flags & inspect.CO_GENERATOR and _is_contextlib(frame.f_back):
        while _is_contextlib(frame.f_back):
            frame = frame.f_back
        frame = frame.f_back
    return frame


def _is_contextlib(frame: Any) -> bool:
    return frame is not None and frame.f_globals is vars(contextlib)


def _by_whom(guard: Guard | None) -> str:
    if guard is None or guard.is_gone:
        return "the session has no guard" if guard is None else "its request is gone"
    if guard.is_asking:
        return "user not known yet"
    userid = guard.userid()
    return "nobody is logged in" if userid is None else f"user {userid}"
