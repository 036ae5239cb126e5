"""What SQLAlchemy tells of: all SQL of sessions and connections, which is judged before the driver gets it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import ref

from sqlalchemy import Connection, Delete, Engine, Insert, SelectBase, Update, UpdateBase, event
from sqlalchemy.orm import Session

from pyramid_sessionkit.exceptions import NotLoggedIn, NotOwned
from pyramid_sessionkit.owned import flushing
from pyramid_sessionkit.owned.guard import Guard, guard_of, guards_of, sessions_of
from pyramid_sessionkit.owned.judge import Verdict
from pyramid_sessionkit.owned.loading import check_flushed
from pyramid_sessionkit.owned.parameter import MARK, OBJECTS, OwnerValue
from pyramid_sessionkit.owned.refusals import OTHER_OWNER, OTHER_USER, Refused
from pyramid_sessionkit.owned.transaction_user import SET_USER, set_user, touches_no_rows
from pyramid_sessionkit.owned.verdicts import Owners, case_of
from pyramid_sessionkit.stores.sql_table import OF_SESSIONS


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
    is_write = isinstance(statement, UpdateBase)
    if (is_write or (Guard.any_policies and isinstance(statement, SelectBase))) and OF_SESSIONS not in options:
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
    guards = guards_of(connection)
    if (not guards and not case_of(context).reads) or statement == SET_USER:
        return
    try:
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
            raise Refused(_verb(context), verdict.given[0].owned, OTHER_OWNER)
        for guard in guards:
            _compare(guard, connection, context, case.owners, verdict)
    except Refused as refused:
        raise (refused.in_flush() if flushes else refused.as_statement(case.reads)) from None


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
                raise Refused(_verb(context), ownership.table.name, OTHER_USER)
    flushing.check_given(connection, verdict.given, rows, guard, context.isinsert)


def _verb(context: Any) -> str:
    kinds = {"INSERT": context.isinsert, "DELETE": context.isdelete, "UPDATE": context.isupdate}
    return next((verb for verb, is_it in kinds.items() if is_it), "SELECT")
