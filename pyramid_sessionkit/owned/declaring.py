"""``@owned_by``: which attribute of a class holds the owner's userid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Column, Table, event, inspect
from sqlalchemy.orm import Mapper

from pyramid_sessionkit.owned import flushing
from pyramid_sessionkit.owned.models import OWNERSHIPS, Ownership, ownership_of
from pyramid_sessionkit.owned.userids import check_type

Class = TypeVar("Class", bound=type)


def owned_by(attribute: str) -> Callable[[Class], Class]:
    """Declare that each row of a mapped class belongs to the user whose id is in this attribute.

    ``@owned_by("user_id")`` above ``class Message(Base)``; for the users themselves ``@owned_by("id")``. Subclasses
    are owned with it. Raises :exc:`TypeError` if there is no such column, or it is of a type that holds no userids, or
    the class is not mapped (yet).
    """

    def declare(cls: Class) -> Class:
        mapper = _mapper(cls)
        ownership = _ownership(mapper, attribute)
        OWNERSHIPS.add(ownership)
        event.listen(mapper, "instrument_class", _adopt, propagate=True)
        flushing.listen(mapper)
        return cls

    return declare


def _mapper(cls: type) -> Mapper[Any]:
    mapper: Any = inspect(cls, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise TypeError(
            f"{_name(cls)} is not a mapped class: put @owned_by on each class that has a table, above other decorators"
        )
    if mapper.inherits is not None:
        raise TypeError(
            f"{_name(cls)} inherits from a mapped class: put @owned_by on {_name(mapper.base_mapper.class_)}"
        )
    if ownership_of(mapper) is not None:
        raise TypeError(f"{_name(cls)} has an owner already: use @owned_by once for a table")
    return mapper


def _ownership(mapper: Mapper[Any], attribute: str) -> Ownership:
    name, table = _name(mapper.class_), mapper.local_table
    column = mapper.columns.get(attribute) if isinstance(attribute, str) else None
    if not isinstance(table, Table) or not isinstance(column, Column):
        columns = ", ".join(key for key, each in mapper.columns.items() if isinstance(each, Column))
        raise TypeError(f"@owned_by({attribute!r}): {name} has no such column; it has {columns}")
    check_type(column)
    subclasses = list(mapper.self_and_descendants)[1:]
    if subclasses:
        raise TypeError(f"@owned_by has to be on {name} before {_name(subclasses[0].class_)} is made")
    return Ownership(mapper, attribute, column, table)


def _adopt(mapper: Mapper[Any], cls: type) -> None:
    """What is in the table of a subclass belongs to the same owner."""
    ownership = ownership_of(mapper)
    assert ownership is not None
    if mapper.concrete or not isinstance(mapper.local_table, Table):
        raise TypeError(
            f"{_name(cls)} cannot inherit its owner from {ownership.name}: it has a table without that column"
        )
    if mapper.local_table is not ownership.table:
        OWNERSHIPS.add_table(ownership, mapper.local_table)


def _name(cls: type) -> str:
    return cls.__name__
