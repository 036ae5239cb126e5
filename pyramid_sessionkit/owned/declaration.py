"""Whose rows are whose: ``@owned_by`` says it for a class, ``OWNED`` keeps it for all tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Column, MetaData, Table, event, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.visitors import iterate

from pyramid_sessionkit.owned.userids import OwnerId, check_type, to_owner_id

Class = TypeVar("Class", bound=type)


class Ownership:
    """The rows of a class, its subclasses' included, belong to the user whose id is in ``column``."""

    def __init__(self, mapper: Mapper[Any], key: str, column: Column[Any], table: Table) -> None:
        self.mapper = mapper
        self.key = key
        self.column = column
        self.table = table

    @property
    def attribute(self) -> Any:
        return getattr(self.mapper.class_, self.key)

    @property
    def name(self) -> str:
        """For messages: ``Message.user_id``."""
        return f"{self.mapper.class_.__name__}.{self.key}"

    def owner_id(self, userid: str | None) -> OwnerId:
        """The value that ``column`` has in this user's rows."""
        return to_owner_id(userid, self.column)


class OwnedTable(NamedTuple):
    """A table whose rows have owners.

    The table of a subclass (joined inheritance) has no column of the owner. It has a ``parent``, and its rows belong to
    whom the parent's row belongs to that ``link`` names: pairs of columns, of this table and of the parent's.
    """

    table: Table
    ownership: Ownership
    parent: OwnedTable | None = None
    link: tuple[tuple[Column[Any], Column[Any]], ...] = ()

    @property
    def class_name(self) -> str:
        """For messages."""
        mappers = self.ownership.mapper.self_and_descendants
        return next((each.class_.__name__ for each in mappers if each.local_table is self.table), self.table.name)


class OwnedTables:
    """All that were declared in this process. They are kept here, since Alembic writes down what is in a table's info.

    ``version`` changes whenever one is added.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[OwnedTable, ...]] = {}
        self.version = 0

    def __iter__(self) -> Iterator[OwnedTable]:
        for found in self._by_name.values():
            yield from found

    def add(self, owned: OwnedTable) -> None:
        name = owned.table.name.lower()
        self._by_name[name] = (*self._by_name.get(name, ()), owned)
        self.version += 1

    def of_name(self, name: str, schema: str | None = None) -> list[OwnedTable]:
        """Those that a name in SQL may mean, in lower or upper case.

        A schema that one side does not name may be any. There are several only if several models of this process have
        tables of one name.
        """
        found = self._by_name.get(name.lower(), ())
        return [
            each
            for each in found
            if not schema or each.table.schema is None or each.table.schema.lower() == schema.lower()
        ]

    def of_table(self, table: Any) -> OwnedTable | None:
        name = str(getattr(table, "name", "")).lower()
        # The annotated tables that the ORM makes have the hash of the table that they stand for.
        return next((each for each in self._by_name.get(name, ()) if hash(each.table) == hash(table)), None)

    def of_mapper(self, mapper: Mapper[Any]) -> OwnedTable | None:
        """Of a class, which may be a subclass of the one that declared it."""
        return self.of_table(mapper.base_mapper.local_table)

    def of_metadata(self, metadata: MetaData) -> list[OwnedTable]:
        """In the order in which the tables were declared, parents first."""
        return [each for each in self if each.table.metadata is metadata]

    def metadatas(self) -> set[MetaData]:
        return {each.table.metadata for each in self}

    def ownerships(self, registry: Any) -> list[Ownership]:
        """Those of the classes that are mapped with a registry."""
        return [each.ownership for each in self if each.parent is None and each.ownership.mapper.registry is registry]


OWNED = OwnedTables()


def owned_by(attribute: str) -> Callable[[Class], Class]:
    """Declare that each row of a mapped class belongs to the user whose id is in this attribute.

    ``@owned_by("user_id")`` above ``class Message(Base)``; for the users themselves ``@owned_by("id")``. Subclasses
    are owned with it. Raises :exc:`TypeError` if there is no such column, or it is of a type that holds no userids, or
    the class is not mapped (yet).
    """
    if not isinstance(attribute, str):
        raise TypeError(f'@owned_by takes the name of an attribute, as in @owned_by("user_id"), and not {attribute!r}')

    def declare(cls: Class) -> Class:
        mapper = _mapper(cls)
        ownership = _ownership(mapper, attribute)
        OWNED.add(OwnedTable(ownership.table, ownership))
        event.listen(mapper, "instrument_class", _add_subclass, propagate=True)
        return cls

    return declare


def _mapper(cls: type) -> Mapper[Any]:
    mapper: Any = inspect(cls, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise TypeError(
            f"{getattr(cls, '__name__', cls)} is no mapped class: put @owned_by on each class that has a table, above "
            "other decorators"
        )
    if mapper.inherits is not None:
        raise TypeError(
            f"{cls.__name__} inherits from a mapped class: put @owned_by on {mapper.base_mapper.class_.__name__}"
        )
    if OWNED.of_mapper(mapper) is not None:
        raise TypeError(f"{cls.__name__} has an owner already: use @owned_by once for a table")
    return mapper


def _ownership(mapper: Mapper[Any], attribute: str) -> Ownership:
    name, table = mapper.class_.__name__, mapper.local_table
    column = mapper.columns.get(attribute)
    if not isinstance(table, Table) or not isinstance(column, Column):
        columns = ", ".join(key for key, each in mapper.columns.items() if isinstance(each, Column))
        raise TypeError(f"@owned_by({attribute!r}): {name} has no such column; it has {columns}")
    if not attribute.isidentifier() or iskeyword(attribute):
        raise TypeError(f"@owned_by({attribute!r}): the name is no identifier, which it has to be")
    check_type(column)
    subclasses = list(mapper.self_and_descendants)[1:]
    if subclasses:
        raise TypeError(f"@owned_by has to be on {name} before {subclasses[0].class_.__name__} is made")
    return Ownership(mapper, attribute, column, table)


def _add_subclass(mapper: Mapper[Any], cls: type) -> None:
    """What is in the table of a subclass belongs to the same owner."""
    parent_mapper = mapper.inherits
    parent = None if parent_mapper is None else _table_of(parent_mapper)
    assert parent is not None
    table = mapper.local_table
    if mapper.concrete or not isinstance(table, Table):
        raise TypeError(
            f"{cls.__name__} cannot inherit its owner from {parent.ownership.name}: it has a table without that column"
        )
    if table is parent.table:
        return
    link = tuple(_equal_columns(mapper, table, parent.table))
    if not link:
        raise TypeError(
            f"{cls.__name__} cannot inherit its owner from {parent.ownership.name}: its inherit_condition has to say "
            f"which column of {table.name!r} equals which of {parent.table.name!r}"
        )
    OWNED.add(OwnedTable(table, parent.ownership, parent, link))


def _table_of(mapper: Mapper[Any]) -> OwnedTable | None:
    return OWNED.of_table(mapper.local_table)


def _equal_columns(mapper: Mapper[Any], table: Table, parent: Table) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """What the condition of the inheritance compares: columns of a subclass's table and of its parent's."""
    for element in iterate(mapper.inherit_condition):
        if isinstance(element, BinaryExpression) and element.operator is operators.eq:
            for own, theirs in ((element.left, element.right), (element.right, element.left)):
                if getattr(own, "table", None) is table and getattr(theirs, "table", None) is parent:
                    yield own, theirs  # type: ignore[misc]  # both are columns, since they have tables
