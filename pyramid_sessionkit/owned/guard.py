"""``guard``: a session that writes no owned rows but those of the logged-in user."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar
from weakref import ref

from sqlalchemy import Connection, Delete, Engine, Insert, SelectBase, Update, UpdateBase, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pyramid_sessionkit.exceptions import NotLoggedIn, NotOwned
from pyramid_sessionkit.owned import flushing
from pyramid_sessionkit.owned.guards import (
    INFO,
    Guard,
    GuardedFactory,
    guard_connection,
    guard_of,
    guard_session,
    guards_of,
    sessions_of,
)
from pyramid_sessionkit.owned.judge import NOT_LIMITED, Refused, Verdict
from pyramid_sessionkit.owned.loading import check_flushed
from pyramid_sessionkit.owned.parameter import MARK, OBJECTS, OwnerValue
from pyramid_sessionkit.owned.transaction_user import SET_USER, set_user, touches_no_rows
from pyramid_sessionkit.owned.verdicts import Owners, case_of
from pyramid_sessionkit.stores.sql_table import OF_SESSIONS

Guarded = TypeVar("Guarded")


def guard(dbsession: Guarded, request: Any, policies: bool = False) -> Guarded:
    """Let a session write no rows with an owner but those of the user who is logged in to ``request``.

    Takes a :class:`~sqlalchemy.orm.Session`, a ``scoped_session`` or a :class:`~sqlalchemy.Connection`, and returns it,
    for ``return guard(get_tm_session(...), request)``; for a ``sessionmaker`` it returns another one, whose sessions
    are guarded. Who is logged in is asked when something is written. What is refused raises :class:`NotOwned`, or
    :class:`NotLoggedIn` if it would be fine for somebody who is logged in. Called again for a session, it guards it for
    the other request. The request is not kept alive: once it is gone, no row with an owner is written.

    With ``policies`` it tells PostgreSQL who the user is, for the row-level security of :func:`owned_policies`. It
    raises :exc:`~pyramid.exceptions.ConfigurationError` where that would keep nothing.
    """
    if isinstance(dbsession, sessionmaker):
        return _guarded_maker(dbsession, request, policies)  # type: ignore[return-value]
    if isinstance(dbsession, Connection):
        guard_connection(dbsession, request, policies)
        return dbsession
    session = dbsession() if isinstance(dbsession, scoped_session) else dbsession
    if not isinstance(session, Session):
        raise TypeError(f"guard() needs a Session or a Connection of SQLAlchemy, not a {type(session).__name__}")
    guard_session(session, request, policies)
    if isinstance(dbsession, scoped_session):
        GuardedFactory.guard(dbsession)
    return dbsession


def _guarded_maker(maker: sessionmaker[Any], request: Any, policies: bool) -> sessionmaker[Any]:
    holder = Session()
    guard_session(holder, request, policies)
    info = {**(maker.kw.get("info") or {}), INFO: holder.info[INFO]}
    return sessionmaker(class_=maker.class_, **{**maker.kw, "info": info})


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, flush_context: Any, instances: Any) -> None:
    guard = guard_of(session)
    if guard is not None:
        guard.in_flush = True


@event.listens_for(Session, "after_flush")
@event.listens_for(Session, "after_soft_rollback")
def _after_flush(session: Session, *rest: Any) -> None:
    guard = guard_of(session)
    if guard is not None:
        guard.in_flush = False


@event.listens_for(Engine, "before_execute", retval=True)
def _before_execute(connection: Connection, statement: Any, multi: Any, params: Any, options: Any) -> Any:
    """What needs queries of its own is done here, if it can: those who take times cannot stand a query in another."""
    if isinstance(statement, (SelectBase, UpdateBase)) and OF_SESSIONS not in options:
        try:
            for guard in guards_of(connection):
                statement, rows = _prepared(guard, connection, statement, multi or [params])
                multi, params = ((), rows[0]) if len(rows) == 1 else (rows, {})
        except (NotOwned, NotLoggedIn) as error:
            _tell_of_blocks(error, connection)
            raise
    return statement, multi, params


def _prepared(guard: Guard, connection: Connection, statement: Any, rows: Any) -> tuple[Any, Any]:
    if guard.policies:
        set_user(connection, guard.claimed_userid(), guard.is_lifted())
    if not guard.flushing or isinstance(statement, SelectBase) or guard.is_lifted():
        return statement, rows
    if isinstance(statement, Insert):
        flushing.check_parents(connection, statement, rows, guard)
        return statement, rows
    return flushing.complete(statement, rows, guard)


@event.listens_for(Engine, "before_cursor_execute")
def _before_cursor_execute(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    """All SQL comes by here: of objects, statements and text, of a session or its connection."""
    if statement == SET_USER:
        return
    try:
        guards = guards_of(connection)
        for guard in guards:
            if guard.policies and touches_no_rows(statement):
                set_user(connection, None, False, statement)
            elif guard.policies and OF_SESSIONS not in context.execution_options:
                set_user(connection, guard.claimed_userid(), guard.is_lifted(), statement)
        _check(connection, context, [guard for guard in guards if not guard.is_lifted()])
    except BaseException as error:
        with suppress(Exception):
            cursor.close()
        if isinstance(error, (NotOwned, NotLoggedIn)):
            _tell_of_blocks(error, connection)
        raise


def _tell_of_blocks(error: Exception, connection: Connection) -> None:
    """Whoever has opened a block of ``unowned`` in a helper wonders why it does not help."""
    for guard in guards_of(connection):
        for frame in guard.lifted_in[-1:]:
            told = f". The unowned() block in {frame.f_code.co_name}() lifts the guard only while that function runs"
            error.args = (str(error).removesuffix(told) + told,)


@event.listens_for(Engine, "after_execute")
def _after_execute(connection: Connection, statement: Any, multi: Any, params: Any, options: Any, result: Any) -> None:
    if isinstance(statement, (Update, Delete)):
        for name, _ in case_of(result.context).owners:
            value = result.context.compiled_parameters[0].get(name)
            if isinstance(value, flushing.Completed):
                flushing.check_count(connection, result, value)


def _check(connection: Connection, context: Any, guards: list[Guard]) -> None:
    case = case_of(context)
    if not guards and not case.reads:
        return
    if context.execution_options.get(MARK) == OBJECTS:
        for session in sessions_of(connection):
            check_flushed(session, context.statement)
    flushes = any(guard.flushing for guard in guards)
    try:
        verdict = case.verdict(context)
        if verdict.given and not flushes:
            raise Refused(_verb(context), verdict.given[0].owned, OWN)
        for guard in guards:
            _compare(guard, connection, context, case.owners, verdict)
    except Refused as refused:
        raise _refusal(refused, case.reads, flushes) from None


OWN = "it sets the owner to something else"


def _compare(guard: Guard, connection: Connection, context: Any, owners: Owners, verdict: Verdict) -> None:
    if not owners and not verdict.given:
        return
    rows = context.compiled_parameters
    if len(rows) > 1:
        # Many rows are sent in several statements, and the context has them all each time.
        if guard.compared is not None and guard.compared() is context:
            return
        guard.compared = ref(context)
    userid = guard.userid()
    for name, ownership in owners:
        for value in {row.get(name) for row in rows}:
            if not isinstance(value, OwnerValue) or value.value not in (None, ownership.owner_id(userid)):
                why = "it was made for another user than the one who is logged in now, or its parameter was replaced"
                raise Refused(_verb(context), ownership.table.name, why)
    flushing.check_given(connection, verdict.given, rows, guard, context.isinsert)


def _verb(context: Any) -> str:
    kinds = {"INSERT": context.isinsert, "DELETE": context.isdelete, "UPDATE": context.isupdate}
    return next((verb for verb, is_it in kinds.items() if is_it), "SELECT")


def _refusal(refused: Refused, reads: bool, flushes: bool) -> NotOwned:
    owned, why = refused.owned, refused.why
    if isinstance(owned, str):
        return NotOwned(
            f"{refused.verb} of {owned!r} was refused: {why}. For what is not on behalf of the logged-in user, "
            "use unowned(dbsession, reason=...)"
        )
    if refused.verb == "SELECT" and not isinstance(owned, str) and refused.why == NOT_LIMITED:
        return NotOwned(
            f"owned() cannot limit this SELECT: {why} where it reads {owned.table.name!r}. Write it with the class, in "
            "select_from() or join()"
        )
    if flushes and refused.verb == "INSERT":
        return flushing.refusal("add", owned, f"set {owned.ownership.name} to the id of the logged-in user")
    if flushes and refused.why != NOT_LIMITED:
        return flushing.refusal("give away", owned, f"{owned.ownership.name} must stay what it is")
    if not reads:
        why = "it was not made with owned()"
    return NotOwned(
        f"{refused.verb} of {owned.table.name!r}, whose rows have owners, was refused: {why}. Use owned(request, "
        "statement) or objects of the logged-in user; for what is not on their behalf, unowned(dbsession, reason=...)"
    )
