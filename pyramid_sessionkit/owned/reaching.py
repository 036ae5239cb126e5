"""Whether the criteria that ``owned`` adds reach everything that a statement reads.

SQLAlchemy adds them where a SELECT has an owned class in its columns, its ``select_from`` or its joins. Where a class
comes into a statement in another way, it would be read unfiltered: such a statement is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Select, TableClause, TextClause
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import QueryableAttribute
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import CTE, AliasedReturnsRows, FromClause, Join, Lateral, SelectBase, Subquery
from sqlalchemy.sql.visitors import HasTraverseInternals

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.models import OWNERSHIPS, Ownership, ownership_of
from pyramid_sessionkit.owned.sqltext import reads_in, table_named_in

Entities = frozenset[Any]
"""Mappers and aliases."""

_NONE: Entities = frozenset()


class Scope(NamedTuple):
    """What is filtered where an expression is: ``own`` in its SELECT, ``outer`` in others, to which it is correlated.

    ``all`` are those of all SELECTs around the expression, to which a SELECT in it can be correlated.
    """

    own: Entities = _NONE
    outer: Entities = _NONE
    all: Entities = _NONE

    @property
    def visible(self) -> Entities:
        return self.own | self.outer


NOTHING = Scope()


class Reach:
    """Walks through a statement; ``found`` has the owned classes that it reads."""

    def __init__(self) -> None:
        self.found: dict[Ownership, None] = {}
        self._seen: set[int] = set()
        self._kept: list[Any] = []

    def select(self, select: Any, around: Scope = NOTHING) -> None:
        """Check one SELECT, which may be correlated to those around it."""
        memoized = _given(select, "_memoized_select_entities")
        joins = [*_given(select, "_setup_joins"), *(join for part in memoized for join in part._setup_joins)]
        entities = frozenset(self._entities(select, memoized, joins))
        owned = [entity for entity in entities if self._note(entity)]
        if owned and select._propagate_attrs.get("compile_state_plugin") != "orm":
            raise _unreachable(owned[0], "select a column of the class, or add .select_from() with it")
        if owned and any(flags.get("full") for *_, flags in joins):
            raise _unreachable(owned[0], "a FULL JOIN shows the rows that its condition leaves out; use outerjoin()")
        scope = Scope(entities, _correlated(select, around), entities | around.all)
        for target, onclause, from_, _ in joins:
            self._joined(target, onclause, from_, scope)
        for child in _children(select):
            self.element(child, scope)

    def elements(self, elements: Iterable[Any], around: Scope) -> None:
        for element in elements:
            self.element(element, around)

    def element(self, element: Any, around: Scope) -> None:
        """Check an expression or a FROM that is in a statement where these entities are filtered."""
        if isinstance(element, Select):
            self.select(element, around)
        elif isinstance(element, UpdateBase):
            raise NotOwned("owned(): the statement has another one inside it that writes; execute that by itself")
        elif isinstance(element, TextClause):
            _check_text(element.text)
        elif isinstance(element, ColumnClause):
            self._column(element, around)
        elif isinstance(element, FromClause):
            self._from(element, around)
        elif (entity := _entity(element)) is not None:
            self._entity(entity, around)
        else:
            self.elements(element.get_children(), around)

    def _entities(self, select: Any, memoized: Any, joins: Any) -> Iterator[Any]:
        """The entities of a SELECT to which SQLAlchemy adds criteria, the same in all its versions."""
        for column in _given(select, "_raw_columns"):
            yield from _of_column(column)
        for part in memoized:
            if len(part._raw_columns) == 1:
                yield from _of_column(part._raw_columns[0])
        for from_ in _given(select, "_from_obj"):
            if (entity := _entity(from_)) is not None:
                yield entity
        for target, _, from_, _ in joins:
            yield _of_target(target)
            if from_ is not None and (entity := _entity(from_)) is not None:
                yield entity

    def _note(self, entity: Any) -> bool:
        ownership = None if entity is None else ownership_of(entity.mapper)
        if ownership is None:
            return False
        self.found[ownership] = None
        return True

    def _joined(self, target: Any, onclause: Any, from_: Any, around: Scope) -> None:
        for relationship in (target, onclause):
            if isinstance(relationship, QueryableAttribute):
                self.elements(relationship._extra_criteria, around)  # of Note.tags.and_(...)
        if onclause is not None and not isinstance(onclause, QueryableAttribute):
            self.element(onclause, around)
        if from_ is not None and _entity(from_) is None:
            self.element(from_, around)

    def _column(self, column: Any, around: Scope) -> None:
        entity, table = _entity(column), column.table
        if column.is_literal:
            _check_text(column.name)
        elif entity is not None and (entity.is_aliased_class or isinstance(table, TableClause) or table is None):
            self._entity(entity, around)
        elif isinstance(table, TableClause):
            self._table(table, around)
        elif table is not None:
            self._from(table, around)

    def _from(self, element: Any, around: Scope) -> None:
        entity = _entity(element)
        if entity is not None:
            self._entity(entity, around)
        elif isinstance(element, TableClause):
            if OWNERSHIPS.owns(element):
                raise _bare(element)
        elif isinstance(element, AliasedReturnsRows):
            self._aliased(element, around)
        elif isinstance(element, Join):
            self._sides(element, around)
        else:
            self.elements(element.get_children(), around)

    def _aliased(self, element: Any, around: Scope) -> None:
        if id(element) in self._seen:
            return
        self._seen.add(id(element))
        self._kept.append(element)  # so that its id is not given to another one
        inner = element.element
        if isinstance(element, Lateral) and isinstance(inner, Subquery):
            inner = inner.element
        if isinstance(inner, TableClause) and OWNERSHIPS.owns(inner):
            raise _bare(inner)
        alone = isinstance(element, (Subquery, CTE)) and not isinstance(element, Lateral)
        self.element(inner, NOTHING if alone else around)

    def _sides(self, join: Any, around: Scope) -> None:
        for side in (join.left, join.right):
            entity = _entity(side)
            if entity is not None and ownership_of(entity.mapper) is not None:
                raise _unreachable(entity, "use select(...).join(...) instead of select_from(join(...))")
            self.element(side, around)
        self.element(join.onclause, around)

    def _table(self, table: Any, around: Scope) -> None:
        """A column without a class: fine if its table is there for a class that is filtered."""
        filtered = {hash(mapper.local_table) for mapper in _mappers(around.visible)}
        if OWNERSHIPS.owns(table) and hash(table) not in filtered:
            raise _bare(table)

    def _entity(self, entity: Any, around: Scope) -> None:
        if ownership_of(entity.mapper) is not None:
            if not _is_among(entity, around.visible):
                raise _unreachable(entity, "join it, or give select_from() the class")
        elif entity.is_aliased_class and not isinstance(entity.selectable, TableClause):
            inner = entity.selectable
            if isinstance(inner, AliasedReturnsRows):
                self._aliased(inner, around)


_VISITED = ("_raw_columns", "_from_obj", "_where_criteria", "_setup_joins", "_correlate", "_correlate_except")


def _given(select: Any, name: str) -> Any:
    try:
        return getattr(select, name)
    except AttributeError:
        raise NotOwned("owned() does not know how this version of SQLAlchemy keeps a SELECT") from None


def _children(select: Any) -> Iterator[Any]:
    """All but the joins, of which the targets are entities."""
    joined = {id(part) for part in select._memoized_select_entities}
    for name in ("_raw_columns", "_from_obj", "_where_criteria"):
        yield from getattr(select, name)
    for target, *_ in select._setup_joins:
        if not isinstance(target, QueryableAttribute):
            yield target
    rest = HasTraverseInternals.get_children(select, omit_attrs=_VISITED)  # Select's own adds bare tables
    yield from (child for child in rest if id(child) not in joined)


def _of_column(column: Any) -> Iterator[Any]:
    entity = _entity(column)
    if entity is not None:
        if entity.is_aliased_class or isinstance(getattr(column, "table", None), (TableClause, type(None))):
            yield entity
        return
    # SQLAlchemy takes the first entity of an expression only.
    entities = set(_in_expression(column))
    if len(entities) == 1:
        yield from entities


def _in_expression(element: Any) -> Iterator[Any]:
    for child in element.get_children():
        if isinstance(child, (SelectBase, FromClause)) and not isinstance(child, FunctionElement):
            continue
        entity = _entity(child)
        if entity is None:
            yield from _in_expression(child)
        elif entity.is_aliased_class or isinstance(getattr(child, "table", None), TableClause):
            yield entity


def _of_target(target: Any) -> Any:
    if not isinstance(target, QueryableAttribute):
        return _entity(target)
    secondary = getattr(target.property, "secondary", None)
    if secondary is not None and OWNERSHIPS.owns(secondary):
        raise _bare(secondary)
    return getattr(target, "_of_type", None) or getattr(target.property, "entity", None)


def _entity(element: Any) -> Any:
    """The mapper or alias that an element stands for, or None."""
    entity = element._annotations.get("parententity")
    if entity is not None and isinstance(element, Join) and hash(element) != hash(entity.selectable):
        return None  # of join(User, Message), which is annotated with the first of the two
    return entity


def _mappers(entities: Entities) -> Iterator[Mapper[Any]]:
    return (entity for entity in entities if isinstance(entity, Mapper))


def _is_among(entity: Any, entities: Entities) -> bool:
    if entity in entities:
        return True
    if isinstance(entity, Mapper):
        return any(mapper.isa(entity) for mapper in _mappers(entities))
    return getattr(entity, "_base_alias", lambda: None)() in entities


def _correlated(select: Any, around: Scope) -> Entities:
    """Which entities around a SELECT it does not read by itself when it refers to them.

    By default those of the next SELECT around it, but only if it reads something else too.
    """
    if select._correlate_except is not None:
        return frozenset(each for each in around.all if not _is_in(each, select._correlate_except))
    if not select._auto_correlate:
        return frozenset(each for each in around.all if _is_in(each, select._correlate))
    elements = (*select._raw_columns, *select._where_criteria)
    froms = {hash(from_) for element in elements for from_ in element._from_objects}
    return around.own if len(froms.union(map(hash, select._from_obj))) > 1 else _NONE


def _is_in(entity: Any, froms: Iterable[Any]) -> bool:
    return hash(entity.selectable) in map(hash, froms)


def _check_text(text: str) -> None:
    table = table_named_in(text, OWNERSHIPS.names)
    if table is not None and reads_in(text):
        raise NotOwned(
            f"owned(): text() reads {table!r}, whose rows are owned; write it with the class and its columns"
        )


def _bare(table: Any) -> NotOwned:
    return NotOwned(
        f"owned(): the statement reads the table {table.name!r} by itself, where nothing says whose rows; use its class"
    )


def _unreachable(entity: Any, cure: str) -> NotOwned:
    return NotOwned(
        f"owned(): the statement reads {entity.mapper.class_.__name__} where it cannot be limited to rows of the "
        f"logged-in user: {cure}"
    )
