"""What a part of a statement reads or writes: its tables, and the conditions that hold for their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sqlglot import exp

from pyramid_sessionkit.owned.declaration import OWNED, OwnedTable, Ownership
from pyramid_sessionkit.owned.sqltext import MARKER

Conditions = tuple[exp.Expression, ...]


class Relation(NamedTuple):
    """A table as one part of a statement sees it, or a subquery in FROM, which has no ``table``."""

    name: str
    """Its alias or its name, in lower case."""
    table: exp.Table | None
    owned: tuple[OwnedTable, ...]
    """What the name may mean; more than one only if models of this process share a name."""
    conditions: Conditions = ()
    """What is true of each of its rows that the statement reaches."""
    subquery: Any = None
    """The subquery in FROM that it is, where it has no ``table``."""

    def where(self, conditions: Conditions) -> Relation:
        return self._replace(conditions=self.conditions + conditions)


Relations = tuple[Relation, ...]


def relations_of(*nodes: Any) -> Relations:
    """Those of a FROM, with its joins, the commas between them included."""
    found: Relations = ()
    for node in nodes:
        if isinstance(node, exp.Join):
            found = _joined(found, node)
        elif node is not None:
            found += _relation(node)
    return found


def _relation(node: Any) -> Relations:
    joins = node.args.get("joins") or ()
    inner = node.this
    if isinstance(node, exp.Table) and isinstance(inner, exp.Identifier):
        return relations_of_table(node, joins)
    if isinstance(node, (exp.Subquery, exp.Paren)) and isinstance(inner, (exp.Table, exp.Subquery)) and not node.alias:
        return relations_of(inner, *joins)
    if isinstance(node, exp.Subquery) and isinstance(inner, exp.Table):
        # An alias for several tables hides their names; what is in them is not limited by any condition.
        return _nameless(relations_of(inner)) + relations_of(*joins)
    return _then((Relation(node.alias.lower(), None, (), (), node),), joins)


def relations_of_table(node: exp.Table, joins: Iterable[Any] = ()) -> Relations:
    owned = tuple(OWNED.of_name(node.name, node.db))
    return _then((Relation(node.alias_or_name.lower(), node, owned),), joins)


def _then(found: Relations, joins: Iterable[Any]) -> Relations:
    for join in joins:
        found = _joined(found, join)
    return found


def _nameless(relations: Relations) -> Relations:
    return tuple(relation._replace(name="", conditions=()) for relation in relations)


def _joined(left: Relations, join: exp.Join) -> Relations:
    """The condition of an outer join says nothing about the rows of the side that is kept whole."""
    right, on = _relation(join.this), conjuncts(join.args.get("on"))
    if join.kind not in ("", "INNER", "OUTER", "CROSS"):
        on = ()
    if join.side in ("", "RIGHT"):
        left = tuple(relation.where(on) for relation in left)
    if join.side in ("", "LEFT"):
        right = tuple(relation.where(on) for relation in right)
    return left + right


def conjuncts(condition: Any) -> Conditions:
    """What has to be true, each of it, where a condition is."""
    found, todo = [], [condition]
    while todo:
        each = todo.pop()
        if isinstance(each, (exp.Paren, exp.Where)):
            todo.append(each.this)
        elif isinstance(each, exp.And):
            todo += (each.right, each.left)
        elif each is not None:
            found.append(each)
    return tuple(found)


Owner = Callable[[Any], "Ownership | None"]
"""Of which table's owner an expression is the id: the parameter that ``owned`` added, and nothing else."""


class Limits:
    """Whether the rows of a relation are the logged-in user's, among the relations of one FROM."""

    def __init__(self, relations: Relations, owner: Owner) -> None:
        self.relations = relations
        self._owner = owner
        self._named: dict[str, list[Relation]] = {}
        for relation in relations:
            self._named.setdefault(relation.name, []).append(relation)

    def holds(self, relation: Relation) -> bool:
        return any(self._is_limited(relation, owned) for owned in relation.owned)

    def _is_limited(self, relation: Relation, owned: OwnedTable) -> bool:
        if owned.parent is None:
            return any(self._is_owners(condition, relation, owned.ownership) for condition in relation.conditions)
        return self._has_parent(relation, owned, relation.conditions, self) or any(
            self._has_parent(relation, owned, None, inner)
            for inner in _subqueries(relation.conditions, self._owner)
            if all(each.name != relation.name for each in inner.relations)
        )

    def _is_owners(self, condition: Any, relation: Relation, ownership: Ownership) -> bool:
        return any(
            self._owner(value) is ownership and self.is_column(column, relation, ownership.column.name)
            for column, value in _equals(condition)
        )

    def _has_parent(self, relation: Relation, owned: OwnedTable, conditions: Conditions | None, among: Limits) -> bool:
        """Whether each row has a parent ``among`` some relations, which is the user's."""
        assert owned.parent is not None
        return any(
            owned.parent in parent.owned
            and parent is not relation
            and not _may_be_cte(parent.table)
            and among._is_limited(parent, owned.parent)
            and all(
                self._is_linked(
                    parent.conditions if conditions is None else conditions, relation, parent, among, *names
                )
                for names in ((own.name, theirs.name) for own, theirs in owned.link)
            )
            for parent in among.relations
        )

    def _is_linked(
        self, conditions: Conditions, relation: Relation, parent: Relation, among: Limits, own: str, theirs: str
    ) -> bool:
        return any(
            self.is_column(left, relation, own)
            and among.is_column(right, parent, theirs)
            and (among is self or left.table)  # what has no table's name there is of the inner tables
            for condition in conditions
            for left, right in _equals(condition)
        )

    def is_column(self, node: Any, relation: Relation, name: str) -> bool:
        """Whether it is this column of this relation, and of no other that has the same name here."""
        if not isinstance(node, exp.Column) or not _is_named(node.this, name):
            return False
        candidates = self._named.get(node.table.lower(), ()) if node.table else self.relations
        if len(candidates) != 1 or candidates[0] is not relation:
            return False
        table = relation.table
        if _renames(relation):
            return False
        return not node.db or (table is not None and not table.alias and table.db.lower() == node.db.lower())


def _renames(relation: Relation) -> bool:
    """Whether columns have other names, as in ``letters AS l (a, b)``."""
    source: Any = relation.subquery or relation.table
    alias = source.args.get("alias")
    return bool(alias is not None and alias.args.get("columns"))


def _may_be_cte(table: Any) -> bool:
    """Whether something in a WITH has the name of a table, so that it may not be the table."""
    around = table
    while around is not None:
        ctes = around.args.get("with_")
        if ctes is not None and any(cte.alias.lower() == table.name.lower() for cte in ctes.expressions):
            return True
        around = around.parent
    return False


def _is_named(identifier: Any, name: str) -> bool:
    if not isinstance(identifier, exp.Identifier):
        return False
    return identifier.name == name if identifier.quoted else identifier.name.lower() == name.lower()


def _equals(condition: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(condition, exp.EQ):
        yield condition.left, condition.right
        yield condition.right, condition.left


def _subqueries(conditions: Conditions, owner: Owner) -> Iterator[Limits]:
    for condition in conditions:
        if isinstance(condition, exp.Exists):
            select = condition.this.unnest() if isinstance(condition.this, exp.Subquery) else condition.this
            if isinstance(select, exp.Select) and _has_only_plain(select) and all(map(_is_plain, select.expressions)):
                yield Limits(relations_of_select(select), owner)


def _is_plain(expression: Any) -> bool:
    """Not a count, which is there also where nothing is."""
    return isinstance(expression, (exp.Star, exp.Column, exp.Literal))


_PLAIN = {"expressions", "from_", "joins", "where"}


def _has_only_plain(select: exp.Select) -> bool:
    """Not GROUP BY or HAVING, for which there may be a row where nothing is."""
    return all(name in _PLAIN for name, value in select.args.items() if value)


def relations_of_select(select: exp.Select) -> Relations:
    source = select.args.get("from_")
    found = relations_of(None if source is None else source.this, *(select.args.get("joins") or ()))
    where = conjuncts(select.args.get("where")) + tuple(_from_outside(select))
    return tuple(relation.where(where) for relation in found)


def _from_outside(select: exp.Select) -> Iterator[Any]:
    """What the statement around a plain subquery in FROM requires of its columns, as the subquery would write it."""
    around = select.parent
    outer = None if not isinstance(around, exp.Subquery) else around.find_ancestor(exp.Select)
    if outer is None or not _has_only_plain(select):
        return
    columns = {each.alias_or_name.lower(): each.unalias() for each in select.expressions}
    if len(columns) != len(select.expressions) or not all(isinstance(each, exp.Column) for each in columns.values()):
        return
    relations = relations_of_select(outer)
    limits = Limits(relations, lambda node: None)
    for relation in relations:
        if relation.subquery is around:
            for condition in relation.conditions:
                for column, value in _equals(condition):
                    inner = columns.get(column.name.lower()) if isinstance(column, exp.Column) else None
                    if (
                        inner is not None
                        and limits.is_column(column, relation, column.name)
                        and marker(value) is not None
                    ):
                        yield exp.EQ(this=inner.copy(), expression=value.copy())


def marker(node: Any) -> int | None:
    """The number of the parameter that an expression is, a cast of it included."""
    while isinstance(node, (exp.Cast, exp.Paren)):
        node = node.this
    if not isinstance(node, exp.Placeholder) or not str(node.this).startswith(MARKER):
        return None
    return int(str(node.this)[len(MARKER) :])
