"""What ``owned`` adds to a statement: a mark, and the owner as a parameter, which the judge knows by its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BindParameter, Dialect, bindparam
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import Ownership
from pyramid_sessionkit.owned.userids import OwnerId

MARK = "pyramid_sessionkit_owned"
"""The execution option of statements made by ``owned``, so that they are judged whether there is a guard or not."""

OBJECTS = "objects"
"""Its value where a SELECT returns objects."""


class OwnerValue:
    """A userid that ``owned`` wrote. No parameter of an application can be one: not what came as JSON, for instance.

    Without an id it is NULL, which equals nothing: the rows of a class whose ids this kind of user cannot have.
    """

    __slots__ = ("value",)

    def __init__(self, value: OwnerId | None) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        # SQLAlchemy compares it with the attributes of objects, to find those that an UPDATE has changed.
        return self.value is not None and self.value == (other.value if isinstance(other, OwnerValue) else other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "OwnerValue(...)"


class OwnerType(TypeDecorator[Any]):
    """The type of the owner's column, which takes no value but one that ``owned`` wrote."""

    impl = NullType
    cache_ok = True

    def __init__(self, ownership: Ownership) -> None:
        super().__init__()
        self.ownership = ownership

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(self.ownership.column.type)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return self

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if not isinstance(value, OwnerValue):
            raise _Replaced(
                f"A parameter of this statement replaces {self.ownership.name}, which owned() has set: leave it out"
            )
        return value.value


class _Replaced(NotOwned, DontWrapMixin):
    """SQLAlchemy would show all parameters in an error of its own."""


def parts_of(statement: Any) -> Iterator[Any]:
    """All elements of a statement, each once: to a subquery in another there are many ways."""
    found, todo = {id(statement)}, [statement]
    for element in todo:
        yield element
        for child in element.get_children():
            if id(child) not in found:
                found.add(id(child))
                todo.append(child)


def owner_parameter(ownership: Ownership, owner: OwnerId | None) -> BindParameter[Any]:
    return bindparam("sessionkit_owner", OwnerValue(owner), OwnerType(ownership), unique=True)
