"""``owned``: a statement that can only touch rows of the logged-in user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import Delete, Insert, Select, TableClause, TextClause, Update, and_, inspect
from sqlalchemy.orm import LoaderCriteriaOption, Mapper, RelationshipProperty, class_mapper
from sqlalchemy.sql.elements import ColumnClause, Grouping
from sqlalchemy.sql.visitors import cloned_traverse

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import OWNED, OwnedTable, Ownership
from pyramid_sessionkit.owned.loading import LoadsOwned, limit_relationships
from pyramid_sessionkit.owned.parameter import MARK, OBJECTS, owner_parameter, parts_of

Statement = TypeVar("Statement")


def owned(request: Any, statement: Statement) -> Statement:
    """Limit a statement to the rows of the user who is logged in to ``request``.

    Takes ``select()``, ``update()``, ``delete()`` or ``insert()`` of classes with :func:`owned_by`, and returns the
    same with a condition for each owned class that it reads or writes; an ``insert()`` sets the owner. Objects that a
    ``select()`` returns are loaded again if they were loaded before, and so are limited what their relationships load.

    Raises :exc:`NotLoggedIn` if nobody is logged in, and :exc:`TypeError` for what is no such statement. Where a
    condition does not reach everything, the statement raises :exc:`NotOwned` when it is executed.
    """
    for kinds, limit in _LIMITS:
        if isinstance(statement, kinds):
            limited: Statement = limit(request.authenticated_userid, statement)
            return limited
    raise TypeError(
        "owned() takes select(), update(), delete() or insert() of a class with @owned_by, and no "
        f"{type(statement).__name__}"
    )


def _select(userid: str | None, statement: Any) -> Any:
    found = {each.ownership for each in _tables_in(statement)}
    if not found:
        raise TypeError(
            "owned(): this SELECT names no class with @owned_by. If it has text that reads one, write that with the "
            "class; otherwise execute it as it is"
        )
    for ownership in found:
        ownership.owner_id(userid)
    criteria = _criteria(userid, found)
    limited = _limited(statement, criteria)
    entities = [each["entity"] for each in statement.column_descriptions if each.get("entity") is each["expr"]]
    for entity in entities:
        _check_relationships(inspect(entity).mapper)
    if not entities:
        return limited
    # Objects that were loaded before may hold what is not the user's.
    return limited.options(LoadsOwned(userid, criteria)).execution_options(populate_existing=True, **{MARK: OBJECTS})


def _tables_in(statement: Any) -> Iterator[OwnedTable]:
    for element in parts_of(statement):
        for table in (element, getattr(element, "table", None)):
            if isinstance(table, TableClause):
                yield from OWNED.of_name(table.name, getattr(table, "schema", None))


def _criteria(userid: str | None, found: set[Ownership]) -> tuple[Any, ...]:
    """Those of all classes that may be loaded along with what was found in a statement."""
    registries = {ownership.mapper.registry for ownership in found}
    return tuple(_criterion(each, userid) for registry in registries for each in OWNED.ownerships(registry))


@lru_cache(512)
def _criterion(ownership: Ownership, userid: str) -> Any:
    try:
        owner = ownership.owner_id(userid)
    except NotOwned:
        owner = None  # of another kind of users: none of those rows belong to this one
    criterion = _criterion_of(ownership)(owner_parameter(ownership, owner))
    return _Criterion(ownership, userid, criterion)


class _Criterion(LoaderCriteriaOption):
    """What ``with_loader_criteria`` makes, but it can be pickled, as objects are that have it among their options."""

    __slots__ = ("ownership", "userid")

    _traverse_internals = LoaderCriteriaOption._traverse_internals
    """By which SQLAlchemy knows that it has seen a statement before."""

    def __init__(self, ownership: Ownership, userid: str, criterion: Any) -> None:
        super().__init__(ownership.mapper, criterion, include_aliases=True)
        self.ownership = ownership
        self.userid = userid

    def __reduce__(self) -> Any:
        return _unpickled_criterion, (self.ownership.mapper.class_, self.userid)


def _unpickled_criterion(cls: type, userid: str) -> Any:
    owned = OWNED.of_mapper(class_mapper(cls))
    assert owned is not None
    return _criterion(owned.ownership, userid)


_numbers = count(1)


@lru_cache(None)
def _criterion_of(ownership: Ownership) -> Callable[[Any], Any]:
    """Makes what ``with_loader_criteria`` takes: for a parameter, a function from a class or an alias to its criterion.

    It has to be a lambda, since SQLAlchemy does not adapt an expression to an alias that is joined with an ON clause.
    And it has to be of code that no other class has, since SQLAlchemy recognizes a lambda by its code, and takes the
    parameter from another class's criterion where the code is the same.
    """
    variable = f"owner_{next(_numbers)}"
    maker: Callable[[Any], Any] = eval(f"lambda {variable}: lambda cls: cls.{ownership.key} == {variable}")  # noqa: S307
    return maker


def _grouped(statement: Any) -> Any:
    """Put text that is a condition into parentheses, so that an OR in it does not reach what is added."""
    if not any(isinstance(each, TextClause) or getattr(each, "is_literal", False) for each in parts_of(statement)):
        return statement
    return cloned_traverse(statement, {}, dict.fromkeys(("select", "update", "delete"), _group))


def _group(element: Any) -> None:
    element._where_criteria = tuple(map(Grouping, element._where_criteria))
    if isinstance(element, Select):
        joins: Any = element._setup_joins
        element._setup_joins = tuple(
            (target, Grouping(on) if _is_text(on) else on, *rest) for target, on, *rest in joins
        )


def _change(userid: str | None, statement: Any) -> Any:
    ownership = _ownership(statement)
    ownership.owner_id(userid)
    return _limited(statement, _criteria(userid, {ownership}))


def _limited(statement: Any, criteria: tuple[Any, ...]) -> Any:
    return _grouped(statement).options(*criteria).execution_options(**{MARK: True})


def _insert(userid: str | None, statement: Any) -> Any:
    ownership = _ownership(statement)
    parameter = owner_parameter(ownership, ownership.owner_id(userid))
    if statement._select_names:
        raise NotOwned(
            "owned() takes insert() of values, which insert().from_select() is not: select the rows and add objects"
        )
    if statement._multi_values:
        raise NotOwned("owned() takes insert() of one row; give the rows to session.execute() instead of values()")
    if _names_owner(statement, ownership):
        raise NotOwned(f"owned() sets {ownership.name} itself: leave it out of values()")
    done = statement.values({ownership.attribute: parameter}).execution_options(**{MARK: True})
    return _limit_conflict(done, ownership.column == parameter)


def _names_owner(statement: Any, ownership: Ownership) -> bool:
    given = getattr(statement, "_values", None) or {}
    return any(key == ownership.column.key or hash(key) == hash(ownership.column) for key in given)


def _limit_conflict(statement: Any, is_owners: Any) -> Any:
    """Where there is such a row already, DO UPDATE changes it only if it is the user's."""
    clause = statement._post_values_clause
    if clause is None or not hasattr(clause, "update_whereclause"):
        return statement
    limited = copy(clause)
    before = clause.update_whereclause
    limited.update_whereclause = is_owners if before is None else and_(Grouping(before), is_owners)
    done = copy(statement)
    done._post_values_clause = limited
    return done


def _ownership(statement: Any) -> Ownership:
    """Of the class whose rows an INSERT, UPDATE or DELETE writes."""
    entity, name = statement.entity_description.get("entity"), type(statement).__name__.lower()
    mapper = inspect(entity, raiseerr=False)
    owned = OWNED.of_mapper(mapper) if isinstance(mapper, Mapper) else None
    if owned is None:
        raise TypeError(f"owned() takes {name}() of a class with @owned_by, and of no table, alias or other class")
    if mapper.local_table is not owned.table:
        raise TypeError(
            f"owned(): {name}() of {entity.__name__} writes to {mapper.local_table.name!r}, but the owner is in "
            f"{owned.ownership.column}; change its objects instead"
        )
    return owned.ownership


def _is_text(element: Any) -> bool:
    return isinstance(element, TextClause) or (isinstance(element, ColumnClause) and element.is_literal)


@lru_cache(1024)
def _check_relationships(mapper: Mapper[Any]) -> None:
    """Refuse classes whose relationships make SELECTs of their own, which nothing limits."""
    seen, todo = set(), [mapper]
    while todo:
        for each in todo.pop().self_and_descendants:
            if each not in seen:
                seen.add(each)
                limit_relationships(each)
                todo += map(_checked_target, each.relationships)


def _checked_target(relationship: RelationshipProperty[Any]) -> Mapper[Any]:
    target = OWNED.of_mapper(relationship.mapper)
    selects = relationship.lazy in ("dynamic", "write_only")
    if selects and target is not None and not _is_of_same_owner(relationship, target.ownership):
        raise NotOwned(
            f"owned() cannot limit {relationship}, which is lazy={relationship.lazy!r}: select columns instead of "
            "objects, or let it load as a list"
        )
    return relationship.mapper


def _is_of_same_owner(relationship: Any, target: Ownership) -> bool:
    """Whether what a relationship leads to belongs to whom the object belongs to, or who it is."""
    parent = OWNED.of_mapper(relationship.parent)
    owners = [hash(own) for own, theirs in relationship.local_remote_pairs if hash(theirs) == hash(target.column)]
    return bool(owners) if parent is None else hash(parent.ownership.column) in owners


_LIMITS: tuple[tuple[Any, Callable[[str | None, Any], Any]], ...] = (
    (Select, _select),
    ((Update, Delete), _change),
    (Insert, _insert),
)
