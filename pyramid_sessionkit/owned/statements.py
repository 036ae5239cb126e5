"""``owned``: a statement that can only touch rows of the logged-in user."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Delete, Insert, Select, Update, bindparam, false
from sqlalchemy.orm import Mapper, with_loader_criteria

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.models import OWNERSHIPS, Ownership, ownership_of
from pyramid_sessionkit.owned.reaching import NOTHING, Reach, Scope

Statement = TypeVar("Statement")

MARK = "pyramid_sessionkit_owned"
"""The execution option of statements made here, for the guard, which checks that they are what they were made."""


def owned(request: Any, statement: Statement) -> Statement:
    """The same statement, limited to rows of the user who is logged in.

    It takes ``select()``, ``update()`` and ``delete()`` of classes that have an owner, and ``insert()`` of one, whose
    owner it sets. A SELECT shows no rows of others of any owned class that it reads, nor do the relationships of what
    it returns. Raises :class:`NotLoggedIn` if nobody is logged in, :class:`NotOwned` if the statement cannot be limited
    so, and :exc:`TypeError` if it is not one of these.
    """
    limited: Statement = _maker(statement)(request, statement)
    return limited


def _maker(statement: Any) -> Any:
    for kinds, maker in (((Select,), _select), ((Update, Delete), _change), ((Insert,), _insert)):
        if isinstance(statement, kinds):
            return maker
    raise TypeError(
        "owned() takes select(), update(), delete() or insert() of a class with @owned_by, and no "
        f"{type(statement).__name__}"
    )


def _select(request: Any, statement: Any) -> Any:
    reach = Reach()
    reach.select(statement)
    if not reach.found:
        raise TypeError("owned(): this SELECT reads no class with @owned_by; execute it as it is")
    if statement._propagate_attrs.get("compile_state_plugin") != "orm":
        raise NotOwned("owned(): select a class or a column of one first, or add .select_from() with a class")
    return statement.options(*_criteria(request, reach))


def _change(request: Any, statement: Any) -> Any:
    ownership = _ownership(statement)
    reach = Reach()
    reach.found[ownership] = None
    mapper = statement.table._annotations["parententity"]
    mappers = frozenset((mapper,))
    reach.elements(
        (child for child in statement.get_children() if child is not statement.table), Scope(mappers, all=mappers)
    )
    criteria = _criteria(request, reach, loads=bool(statement._returning))
    return _mark(statement, request).where(ownership.attribute == _bind(request, ownership)).options(*criteria)


def _insert(request: Any, statement: Any) -> Any:
    ownership = _ownership(statement)
    for attribute, cure in (
        ("_select_names", "insert().from_select() is not one of them: select the rows and add objects"),
        ("_post_values_clause", "ON CONFLICT and ON DUPLICATE KEY may change rows of others: use update()"),
        ("_multi_values", "give the rows to session.execute() instead of values()"),
    ):
        value = getattr(statement, attribute)
        if value is not None and value != ():
            raise NotOwned(f"owned() takes plain insert() statements; {cure}")
    given = getattr(statement, "_values", None) or {}
    if any(key == ownership.column.key or ownership.is_column(key) for key in given):
        raise NotOwned(f"owned() sets {ownership.name} itself: leave it out of values()")
    reach = Reach()
    reach.elements((value for value in given.values() if hasattr(value, "get_children")), NOTHING)
    if reach.found:
        raise NotOwned("owned(): the values of this INSERT are read from rows with owners; read them first")
    return _mark(statement, request).values({ownership.attribute: _bind(request, ownership)})


def _ownership(statement: Any) -> Ownership:
    """Of the class whose rows an INSERT, UPDATE or DELETE writes."""
    mapper = statement.table._annotations.get("parententity")
    name = type(statement).__name__.lower()
    ownership = ownership_of(mapper) if isinstance(mapper, Mapper) else None
    if ownership is None:
        raise TypeError(f"owned() takes {name}() of a class with @owned_by, and of no table, alias or other class")
    if not ownership.is_table(mapper.local_table):
        raise TypeError(
            f"owned(): {name}() of {mapper.class_.__name__} writes to {mapper.local_table.name!r}, but the owner is in "
            f"{ownership.column}; change its objects instead"
        )
    return ownership


def _criteria(request: Any, reach: Reach, loads: bool = True) -> list[Any]:
    """Those of the classes that are read, and if it loads objects, of all that may be loaded along with them."""
    userid = request.authenticated_userid
    for ownership in reach.found:
        ownership.owner(userid)
    if not loads:
        return [_option(ownership, userid) for ownership in reach.found]
    registries = {ownership.mapper.registry for ownership in reach.found}
    return [_option(each, userid) for registry in registries for each in OWNERSHIPS.of_registry(registry)]


@lru_cache(512)
def _option(ownership: Ownership, userid: str) -> Any:
    try:
        criterion: Any = ownership.criterion(ownership.owner(userid))
    except NotOwned:
        criterion = false()  # of another kind of users: none of those rows belong to this one
    return with_loader_criteria(ownership.mapper, criterion, include_aliases=True)


def _bind(request: Any, ownership: Ownership) -> Any:
    return bindparam(ownership.bind, ownership.owner(request.authenticated_userid), ownership.column.type)


def _mark(statement: Any, request: Any) -> Any:
    return statement.execution_options(**{MARK: True})
