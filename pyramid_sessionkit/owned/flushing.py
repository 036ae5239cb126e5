"""What a flush of a guarded session writes: its statements name a row by its primary key alone."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Connection, Delete, Insert, Update, and_, bindparam, exists, func, not_, or_, select
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import OWNED, OwnedTable
from pyramid_sessionkit.owned.guard import Guard
from pyramid_sessionkit.owned.judge import Given
from pyramid_sessionkit.owned.parameter import OwnerType, OwnerValue
from pyramid_sessionkit.owned.refusals import flush_refused
from pyramid_sessionkit.owned.userids import OwnerId


class Completed(OwnerValue):
    """The owner in a statement that was completed here. It knows the WHERE that was there before."""

    __slots__ = ("owned", "where")

    def __init__(self, value: OwnerId, owned: OwnedTable, where: Any) -> None:
        super().__init__(value)
        self.owned = owned
        self.where = where


def complete(statement: Any, rows: Any, guard: Guard) -> tuple[Any, Any]:
    """Let an UPDATE or DELETE of a flush reach the row only if it is the user's."""
    known = _completed.get(statement)
    if known is None:
        owned = OWNED.of_table(statement.table)
        if owned is None or not _is_by_primary_key(statement):
            return statement, rows
        owner = bindparam(OWNER, type_=OwnerType(owned.ownership))
        known = _completed[statement] = owned, statement.where(_is_owners(owned, owner))
    owned, completed = known
    value = Completed(owned.ownership.owner_id(guard.userid()), owned, statement.whereclause)
    return completed, [{**row, OWNER: value} for row in rows]


OWNER = "sessionkit_owner"

_completed: WeakKeyDictionary[Any, tuple[OwnedTable, Any]] = WeakKeyDictionary()
"""By what SQLAlchemy made, which is the same object in each flush: and so is what is known of it."""


def _is_by_primary_key(statement: Update | Delete) -> bool:
    """As the statements of a flush are; another one, of a listener, is judged as it is."""
    where = statement.whereclause
    conditions = list(where.clauses) if isinstance(where, BooleanClauseList) else [where]
    if isinstance(where, BooleanClauseList) and where.operator is not operators.and_:
        return False
    equal = [each for each in conditions if isinstance(each, BinaryExpression) and each.operator is operators.eq]
    compared = {each.left.name for each in equal if isinstance(each.left, Column)}
    return all(column.name in compared for column in statement.table.primary_key)


def _is_owners(owned: OwnedTable, owner: Any) -> Any:
    conditions, current = [], owned
    while current.parent is not None:
        conditions += [own == theirs for own, theirs in current.link]
        current = current.parent
    conditions.append(current.ownership.column == owner)
    return and_(*conditions) if current is owned else exists().where(*conditions).correlate(owned.table)


def check_count(connection: Connection, result: Any, done: Completed) -> None:
    """Refuse a flush of which a statement found a row of somebody else.

    A row that is gone, or has another version, is left to SQLAlchemy, which has an error for it.
    """
    rows = result.context.compiled_parameters
    if result.rowcount == len(rows):
        return
    owned = done.owned
    others = select(func.count()).select_from(owned.table).where(done.where, _is_not_owners(owned, done.value))
    if any(connection.scalar(others, row) for row in rows):
        verb = "delete" if result.context.isdelete else "change"
        raise flush_refused(verb, owned, "load it with owned()")


def _is_not_owners(owned: OwnedTable, owner: Any) -> Any:
    """A row without an owner is not theirs either."""
    found = _is_owners(owned, owner)
    return not_(found) if owned.parent is not None else or_(owned.ownership.column.is_(None), not_(found))


def check_parents(connection: Connection, statement: Insert, rows: list[Any], guard: Guard) -> None:
    """Look whether new rows of a subclass belong to rows of the user, where it can be seen before it is compiled."""
    owned = OWNED.of_table(statement.table)
    if owned is not None and not guard.is_gone:
        guard.userid()
    if owned is None or owned.parent is None or not all(own.key in row for own, _ in owned.link for row in rows):
        return
    keys = {tuple(row[own.key] for own, _ in owned.link) for row in rows}
    if not _are_parents(connection, owned, keys, guard):
        raise _not_added(owned)
    guard.parents = keys


def check_given(
    connection: Connection, given: tuple[Given, ...], rows: list[Any], guard: Guard, is_insert: bool
) -> None:
    """Compare what the objects of a flush say of their owners with the user who is logged in."""
    for owned in dict.fromkeys(each.owned for each in given):
        named = [each for each in given if each.owned is owned]
        if owned.parent is None:
            owner = owned.ownership.owner_id(guard.userid())
            fine = all(is_owner(row.get(each.name), owner) for each in named for row in rows)
        else:
            fine = is_insert and _are_parents(connection, owned, {*_keys(owned, named, rows)} - guard.parents, guard)
        if not fine and is_insert:
            raise _not_added(owned)
        if not fine:
            raise flush_refused("give away", owned, f"{owned.ownership.name} must stay what it is")
    guard.parents = frozenset()


def _not_added(owned: OwnedTable) -> NotOwned:
    return flush_refused("add", owned, f"set {owned.ownership.name} to the id of the logged-in user")


def _keys(owned: OwnedTable, named: list[Given], rows: list[Any]) -> Iterator[tuple[Any, ...]]:
    """What each new row says of its parent's key, which may have several columns."""
    size = len(owned.link)
    for start in range(0, len(named), size):
        names = {each.column: each.name for each in named[start : start + size]}
        for row in rows:
            yield tuple(row.get(names[own.name.lower()]) for own, _ in owned.link)


def _are_parents(connection: Connection, owned: OwnedTable, keys: Set[Any], guard: Guard) -> bool:
    """Whether the rows of the parent's table, which a flush has written before, are the user's."""
    assert owned.parent is not None
    owner = owned.ownership.owner_id(guard.userid())
    found = select(func.count()).select_from(owned.parent.table).where(_is_owners(owned.parent, owner))
    parents = [theirs for _, theirs in owned.link]
    return all(connection.scalar(found.where(_is_one_of(parents, some))) == len(some) for some in _batches(list(keys)))


def _batches(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), 200):
        yield values[start : start + 200]


def _is_one_of(columns: list[Any], keys: list[Any]) -> Any:
    if len(columns) == 1:
        return columns[0].in_([value for (value,) in keys])
    return or_(*(and_(*map(operators.eq, columns, key)) for key in keys))


def is_owner(value: Any, owner: OwnerId) -> bool:
    """Whether a value given to the owner's column is the user's id; where that is a number, text of it counts too."""
    if isinstance(owner, int) and isinstance(value, str):
        return value == str(owner)
    return isinstance(value, type(owner)) and not isinstance(value, bool) and value == owner
