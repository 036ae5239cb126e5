"""Which classes and tables are owned, and by which column."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from keyword import iskeyword
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Mapper

from pyramid_sessionkit.owned.userids import OwnerId, to_owner_id

INFO = "pyramid_sessionkit.ownership"
"""Where the ``info`` of a table holds its :class:`Ownership`."""

MISSING = object()


class Ownership:
    """The rows of a class, its subclasses' included, belong to the user whose id is in ``column``."""

    def __init__(self, mapper: Mapper[Any], key: str, column: Column[Any], table: Table) -> None:
        self.mapper = mapper
        self.key = key
        self.column = column
        self.table = table
        self.bind = f"owner_{table.name}_{column.name}"
        """The name of the parameter that holds the owner in statements made by ``owned``."""
        self.criterion = _criterion_maker(key)

    @property
    def attribute(self) -> Any:
        return getattr(self.mapper.class_, self.key)

    @property
    def name(self) -> str:
        """For messages: ``Message.user_id``."""
        return f"{self.mapper.class_.__name__}.{self.key}"

    def owner(self, userid: str | None) -> OwnerId:
        """The value that ``column`` has in this user's rows."""
        return to_owner_id(userid, self.column)

    def is_column(self, other: Any) -> bool:
        # The annotated columns that the ORM makes have the hash of the column that they stand for.
        return hash(other) == hash(self.column)

    def is_table(self, other: Any) -> bool:
        return hash(other) == hash(self.table)


_numbers = count(1)


def _criterion_maker(key: str) -> Callable[[OwnerId], Any]:
    """Makes what ``with_loader_criteria`` takes: for a userid, a function from a class or an alias to its criterion.

    It has to be a lambda, since SQLAlchemy does not adapt an expression to an alias that is joined with an ON clause.
    And it has to be of code that no other class has, since SQLAlchemy recognizes a lambda by its code, and takes the
    userid from another class's criterion where the code is the same.
    """
    if not key.isidentifier() or iskeyword(key):
        raise TypeError(f"@owned_by({key!r}): the name is no identifier, which it has to be")
    variable = f"owner_{next(_numbers)}"
    maker: Callable[[OwnerId], Any] = eval(f"lambda {variable}: lambda cls: cls.{key} == {variable}")  # noqa: S307
    return maker


class Ownerships:
    """All that were declared in this process."""

    def __init__(self) -> None:
        self._all: tuple[Ownership, ...] = ()
        self._tables: dict[str, set[str | None]] = {}
        self.names: frozenset[str] = frozenset()
        """The names of the owned tables, in lower case; a new object whenever one is added."""

    def add(self, ownership: Ownership) -> None:
        self._all += (ownership,)
        self.add_table(ownership, ownership.table)

    def add_table(self, ownership: Ownership, table: Table) -> None:
        table.info[INFO] = ownership
        self._tables.setdefault(table.name.lower(), set()).add(table.schema)
        self.names = frozenset(self._tables)

    def of_registry(self, registry: Any) -> list[Ownership]:
        return [ownership for ownership in self._all if ownership.mapper.registry is registry]

    def owns(self, table: Any) -> bool:
        """Whether the rows of this table are owned.

        It is known by its name, for that is all that another Table object of the same table shares with the model's.
        """
        schemas = self._tables.get(str(getattr(table, "name", "")).lower())
        if schemas is None:
            return False
        schema = getattr(table, "schema", None)
        return schema is None or None in schemas or schema in schemas


OWNERSHIPS = Ownerships()


def ownership_of(mapper: Mapper[Any]) -> Ownership | None:
    """Of a class, which may be a subclass of the one that declared it."""
    return ownership_of_table(mapper.base_mapper.local_table)


def ownership_of_table(table: Any) -> Ownership | None:
    found: Ownership | None = getattr(table, "info", {}).get(INFO)
    return found
