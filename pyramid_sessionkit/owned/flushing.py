"""What a flush of a guarded session may write: rows of the logged-in user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Table, event, inspect, select
from sqlalchemy.orm import Mapper, object_session
from sqlalchemy.orm.exc import UnmappedColumnError

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.guards import Guard, guard_of, is_owner
from pyramid_sessionkit.owned.models import MISSING, Ownership, ownership_of
from pyramid_sessionkit.owned.userids import OwnerId
from pyramid_sessionkit.owned.writing import Write


def listen(mapper: Mapper[Any]) -> None:
    """Check the objects of a class right before their SQL, when relationships have set their foreign keys."""
    event.listen(mapper, "before_insert", _before_insert, propagate=True)
    event.listen(mapper, "before_update", _before_update, propagate=True)
    event.listen(mapper, "before_delete", _before_delete, propagate=True)


def _before_insert(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    guard = _guard(target)
    if guard is None:
        return
    ownership = _ownership(mapper)
    owner = guard.owner(ownership)
    if not is_owner(inspect(target).dict.get(ownership.key), owner):
        raise _refusal("add", target, f"set {ownership.name} to the id of the logged-in user")


def _before_update(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    guard = _guard(target)
    session = object_session(target)
    if guard is None or session is None or not session.is_modified(target, include_collections=False):
        return
    ownership = _ownership(mapper)
    owner = guard.owner(ownership)
    _check_stored(guard, ownership, owner, connection, target, "change")
    history = inspect(target).attrs[ownership.key].history
    if (history.deleted and not history.added) or not all(is_owner(value, owner) for value in history.added):
        raise _refusal("give away", target, f"{ownership.name} must stay what it is")
    _approve(guard, mapper, target)


def _before_delete(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    guard = _guard(target)
    if guard is None:
        return
    ownership = _ownership(mapper)
    _check_stored(guard, ownership, guard.owner(ownership), connection, target, "delete")
    _approve(guard, mapper, target)


def _guard(target: Any) -> Guard | None:
    session = object_session(target)
    guard = None if session is None else guard_of(session)
    return None if guard is None or guard.lifted else guard


def _ownership(mapper: Mapper[Any]) -> Ownership:
    ownership = ownership_of(mapper)
    assert ownership is not None
    return ownership


def _check_stored(
    guard: Guard, ownership: Ownership, owner: OwnerId, connection: Connection, target: Any, verb: str
) -> None:
    """Refuse to touch an object whose row in the database is not this user's."""
    state = inspect(target)
    history = state.attrs[ownership.key].history
    known = (*history.deleted, *history.unchanged)
    if guard.trusts(state) and known:
        stored = known[0]
    else:
        stored = stored_owner(connection, ownership, dict(zip(state.mapper.primary_key, state.identity, strict=True)))
    if not is_owner(stored, owner):
        raise _refusal(verb, target, "it is not a row of the logged-in user; load it with owned()")


def stored_owner(connection: Connection, ownership: Ownership, identity: dict[Any, Any]) -> Any:
    """Who owns a row according to the database; None if there is no such row."""
    keys = list(ownership.table.primary_key)
    if not keys or any(column not in identity for column in keys):
        return None
    return connection.scalar(select(ownership.column).where(*(column == identity[column] for column in keys)))


def _approve(guard: Guard, mapper: Mapper[Any], target: Any) -> None:
    state = inspect(target)
    identity = {
        mapper.get_property_by_column(column).key: value
        for column, value in zip(mapper.primary_key, state.identity, strict=True)
    }
    for table in mapper.tables:
        if isinstance(table, Table):
            guard.approved.add((table.key, *_key_of(table, mapper, state, identity)))


def _key_of(table: Table, mapper: Mapper[Any], state: Any, identity: dict[str, Any]) -> Iterator[Any]:
    """The primary key of an object's row in one of the tables of its class, as it is before the flush."""
    for column in table.primary_key:
        try:
            name = mapper.get_property_by_column(column).key
        except UnmappedColumnError:
            yield MISSING
            continue
        if name in identity:
            yield identity[name]
        else:
            history = state.attrs[name].load_history()
            yield next(iter((*history.deleted, *history.unchanged)), MISSING)


def verify(guard: Guard, write: Write, context: Any, connection: Connection) -> str | None:
    """Why a statement of the unit of work must not be executed, or None.

    The objects of a flush were checked before. This sees also what is written without them: post_update, and bulk
    operations that an event starts.
    """
    ownership = write.ownership
    assert ownership is not None
    owner, rows, key = guard.owner(ownership), context.compiled_parameters, ownership.column.key
    if write.of_model and (write.sets_owner or not all(is_owner(row.get(key, owner), owner) for row in rows)):
        return "it sets the owner to something else"
    if write.verb == "INSERT":
        return None if not write.of_model or all(key in row for row in rows) else "it sets no owner"
    for row in rows:
        values = tuple(row.get(name, MISSING) for name in write.keys)
        if (write.table_key, *values) not in guard.approved and not _is_stored(
            write, ownership, owner, values, connection
        ):
            return "its row is not the logged-in user's"
    return None


def _is_stored(
    write: Write, ownership: Ownership, owner: OwnerId, values: tuple[Any, ...], connection: Connection
) -> bool:
    if not write.of_model:
        return False
    identity = dict(zip(ownership.table.primary_key, values, strict=True))
    return is_owner(stored_owner(connection, ownership, identity), owner)


def _refusal(verb: str, target: Any, cure: str) -> NotOwned:
    return NotOwned(f"This flush would {verb} a {type(target).__name__} that is not the logged-in user's: {cure}")
