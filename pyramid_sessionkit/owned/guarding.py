"""``guard``: a session that writes no owned rows but those of the logged-in user."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import Session

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned import flushing
from pyramid_sessionkit.owned.guards import INFO, Guard, guard_of, is_owner, plain
from pyramid_sessionkit.owned.statements import MARK
from pyramid_sessionkit.owned.writing import Write, write_of

DBSession = TypeVar("DBSession")


def guard(dbsession: DBSession, request: Any) -> DBSession:
    """Let a session write no rows with an owner but those of the user who is logged in to ``request``.

    Returns the same session (or ``scoped_session``), for ``return guard(get_tm_session(...), request)``. Who is logged
    in is asked when something is written. What is refused raises :class:`NotOwned`, or :class:`NotLoggedIn` if it would
    be fine for somebody who is logged in. Called again for a session, it guards it for the other request.
    """
    session = plain(dbsession)
    before = guard_of(session)
    session.info[INFO] = Guard(request, None if before is None else before.untrusted)
    if before is None and session.in_transaction():
        _take_over(session)
    return dbsession


def _take_over(session: Session) -> None:
    """Guard a session that is in use: its connections, and its objects, of which nobody knows where they are from."""
    for connection in _connections(session):
        _watch(session, connection)
    guard = session.info[INFO]
    for instance in session.identity_map.values():
        guard.distrust(inspect(instance))


def _connections(session: Session) -> Iterable[Connection]:
    transaction: Any = session.get_transaction()
    known = getattr(transaction, "_connections", None)
    return [session.connection()] if known is None else {entry[0] for entry in known.values()}


_sessions: WeakKeyDictionary[Connection, tuple[ref[Session], ...]] = WeakKeyDictionary()
"""Which guarded sessions use a connection: one, but for sessions that were bound to a connection."""

_engines: WeakSet[Any] = WeakSet()
"""Those with our listener. One on each connection would cost a request more than all the rest."""

_lock = Lock()


def _watch(session: Session, connection: Connection) -> None:
    users = _sessions.get(connection, ())
    if not any(user() is session for user in users):
        _sessions[connection] = (*(user for user in users if user() is not None), ref(session))
    engine = connection.engine
    if engine not in _engines:
        with _lock:
            if engine not in _engines:
                event.listen(engine, "before_cursor_execute", _before_cursor_execute, retval=True)
                _engines.add(engine)


@event.listens_for(Session, "after_begin")
def _after_begin(session: Session, transaction: Any, connection: Connection) -> None:
    if INFO in session.info:
        _watch(session, connection)


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, flush_context: Any, instances: Any) -> None:
    guard = session.info.get(INFO)
    if guard is not None:
        guard.begin_flush()


@event.listens_for(Session, "after_flush")
@event.listens_for(Session, "after_soft_rollback")
def _after_flush(session: Session, *rest: Any) -> None:
    guard = session.info.get(INFO)
    if guard is not None:
        guard.end_flush()


@event.listens_for(Session, "detached_to_persistent")
def _detached_to_persistent(session: Session, instance: Any) -> None:
    guard = session.info.get(INFO)
    if guard is not None:
        guard.distrust(inspect(instance))


def _before_cursor_execute(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> tuple[str, Any]:
    """All that a session sends comes by here: objects, statements, text, and what goes to its connection directly."""
    for user in _sessions.get(connection, ()):
        session = user()
        guard = None if session is None else guard_of(session)
        if guard is None or guard.lifted or session is None or not session.in_transaction():
            continue
        try:
            _check(guard, context, connection)
        except BaseException:
            with suppress(Exception):
                cursor.close()
            raise
    return statement, parameters


def _check(guard: Guard, context: Any, connection: Connection) -> None:
    write = write_of(context)
    if write is None:
        return
    if MARK in context.execution_options:
        refusal = _refusal_of_owned(guard, write, context)
    elif guard.flushing and _is_of_unit_of_work(write, context):
        refusal = flushing.verify(guard, write, context, connection)
    else:
        refusal = "it was not made with owned()"
    if refusal is not None:
        raise NotOwned(_message(write, refusal))


def _refusal_of_owned(guard: Guard, write: Write, context: Any) -> str | None:
    if write.refusal is not None or write.ownership is None:
        return write.refusal
    ownership, rows = write.ownership, context.compiled_parameters
    if write.verb != "INSERT" and (context.executemany or len(rows) != 1):
        return "it is executed with several sets of parameters"
    owner = guard.owner(ownership)
    if not all(is_owner(row.get(ownership.bind), owner) for row in rows):
        return "it was made for another user than the one who is logged in now, or its parameter was replaced"
    return None


def _is_of_unit_of_work(write: Write, context: Any) -> bool:
    """SQLAlchemy compiles the statements of a flush with a cache of the class, which no other statement has."""
    cache = context.execution_options.get("compiled_cache")
    if cache is None or write.ownership is None:
        return False
    return cache is getattr(write.ownership.mapper.base_mapper, "_compiled_cache", None)


def _message(write: Write, refusal: str) -> str:
    return (
        f"{write.verb} of {write.table!r}, whose rows have owners, was refused: {refusal}. Use owned(request, "
        "statement) or objects of the logged-in user; for what is not on their behalf, unowned(dbsession, reason=...)"
    )
