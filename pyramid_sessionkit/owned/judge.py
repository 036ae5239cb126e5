"""Whether SQL may be executed: what it writes and shows has to be the rows of the logged-in user.

The SQL is judged that reaches the driver, and not how it was made. An INSERT into a table with an owner has to set the
owner's column to the parameter that ``owned`` added; an UPDATE or DELETE has to compare them in its WHERE, in a
condition that cannot be made ineffective by an OR beside it; so has a SELECT that ``owned`` made, for each table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Table
from sqlglot import exp

from pyramid_sessionkit.owned.declaration import OWNED, OwnedTable, Ownership
from pyramid_sessionkit.owned.refusals import (
    EVERYBODY,
    NO_OWNER,
    NOT_LIMITED,
    OTHER_OWNER,
    REPLACES,
    UNDECLARED,
    Refused,
)
from pyramid_sessionkit.owned.relations import (
    Limits,
    Relation,
    Relations,
    conjuncts,
    marker,
    relations_of,
    relations_of_select,
    relations_of_table,
)
from pyramid_sessionkit.owned.sqltext import Text, tree_of, unreadable


class Given(NamedTuple):
    """A parameter that ``owned`` did not add, and that sets a column which says whose a row is."""

    owned: OwnedTable
    column: str
    name: str


class Verdict(NamedTuple):
    """``given`` has what depends on values: in a flush the objects name their owners, and nothing else may."""

    given: tuple[Given, ...] = ()


def judge(text: Text, owners: Mapping[str, Ownership], tables: Collection[Table], reads: bool) -> Verdict:
    """Raise :class:`Refused`, or say what has to be compared before a statement is executed.

    ``owners`` names the parameters that ``owned`` added, ``tables`` are those from which SQLAlchemy made the statement.
    With ``reads`` also what is read has to be the user's.
    """
    return _Judge(text, owners, tables).verdict(reads)


class _Judge:
    def __init__(self, text: Text, owners: Mapping[str, Ownership], tables: Collection[Table]) -> None:
        self._text = text
        self._owners = owners
        self._tables = tables
        self._tree = tree_of(text)
        self._given: list[Given] = []
        self._seen: set[int] = set()
        """The tables in it that are known to be limited, or not to be read."""

    def verdict(self, reads: bool) -> Verdict:
        if "sessionkit." in self._text.sql.lower():
            raise unreadable(self._text, "it names a setting of the guard")
        if not isinstance(self._tree, (exp.Query, exp.Values, *_WRITES)):
            self._other(self._tree)
        if self._tree.find(exp.Command, exp.ExecuteAsProperty):
            raise unreadable(self._text, "it has a part that the guard does not know")
        nodes: Iterator[Any] = self._tree.find_all(*_WRITES)
        for node in nodes:
            if not isinstance(node.parent, exp.When):  # a part of MERGE
                _WRITES[type(node)](self, node)
        if reads:
            self._reads()
        return Verdict(tuple(self._given))

    # What writes.

    def _insert(self, node: exp.Insert) -> None:
        schema = node.this
        table = schema.this if isinstance(schema, exp.Schema) else schema
        target = self._target(node, table)
        if target is None:
            return
        if not isinstance(schema, exp.Schema):
            raise Refused("INSERT", self._which(target), NO_OWNER)
        if node.args.get("alternative") or node.args.get("overwrite"):
            raise Refused("INSERT", self._which(target), REPLACES)
        columns = [column.name.lower() for column in schema.expressions]
        for row in self._rows(node, target):
            self._new_row(target, columns, row)
        self._conflict(node.args.get("conflict"), target)

    def _rows(self, node: exp.Insert, target: Relation) -> Iterator[list[Any]]:
        source = node.expression
        selects = [source] if isinstance(source, exp.Values) else list(_selects(source))
        if not selects:
            raise Refused("INSERT", self._which(target), NO_OWNER)
        for select in selects:
            if isinstance(select, exp.Values):
                yield from (each.expressions for each in select.expressions)
            else:
                yield from _rows_of(select)

    def _new_row(self, target: Relation, columns: list[str], row: list[Any]) -> None:
        owned = self._which(target)
        named = dict(zip(columns, row, strict=False))
        if len(row) != len(columns) or any(value.find(exp.Star) for value in row):
            raise Refused("INSERT", owned, NO_OWNER)
        for name in _decisive(owned):
            if name not in named:
                raise Refused("INSERT", owned, NO_OWNER)
            self._decide("INSERT", owned, name, named[name])

    def _conflict(self, conflict: Any, target: Relation) -> None:
        action = "" if conflict is None else str(conflict.args.get("action") or "").upper()
        if conflict is None or action == "DO NOTHING":
            return
        limits = Limits((target.where(conjuncts(conflict.args.get("where"))),), self._owner)
        if (
            action != "DO UPDATE"
            or conflict.args.get("duplicate")
            or not _qualified(conflict.args.get("where"), limits)
        ):
            raise Refused("INSERT", self._which(target), REPLACES)
        self._assignments(conflict.expressions, (target,), "INSERT")

    def _update(self, node: exp.Update) -> None:
        table, source = node.this, node.args.get("from_")
        own = relations_of(table)
        if not isinstance(table, exp.Table) or not own:
            raise unreadable(self._text, "nobody can say which table it updates")
        relations = own + relations_of(*(() if source is None else (source.this, *(source.args.get("joins") or ()))))
        where = conjuncts(node.args.get("where"))
        limits = Limits(tuple(each.where(where) for each in relations), self._owner)
        written = limits.relations[: len(own)]
        if len(own) > 1:
            written = tuple(each for each in written if self._is_assigned(each, node.expressions))
        for relation in written:
            self._changed("UPDATE", relation, limits)
        self._assignments(node.expressions, limits.relations[: len(own)], "UPDATE")
        self._mark_read(limits)

    def _delete(self, node: exp.Delete) -> None:
        using, where = node.args.get("using") or [], conjuncts(node.args.get("where"))
        named, sources = (node.args["tables"], [node.this]) if node.args.get("tables") else ([node.this], using)
        if not all(isinstance(each, exp.Table) for each in named) or not all(sources):
            raise unreadable(self._text, "nobody can say which table it deletes from")
        relations = relations_of(*sources)
        targets = [each for target in named for each in target.find_all(exp.Table)]
        for target in targets:
            if not target.alias and any(each.name == target.name.lower() for each in relations):
                self._seen.add(id(target))  # the alias of a table that is named elsewhere
            else:
                relations += relations_of(target)
        limits = Limits(tuple(each.where(where) for each in relations), self._owner)
        names = [target.alias_or_name.lower() for target in targets]
        for relation in limits.relations:
            if relation.name in names:
                self._changed("DELETE", relation, limits)
        self._mark_read(limits)

    def _merge(self, node: exp.Merge) -> None:
        target = self._target(node, node.this)
        if target is not None:
            raise Refused("MERGE", self._which(target), REPLACES)

    def _changed(self, verb: str, relation: Relation, limits: Limits) -> None:
        self._check_declared(verb, relation)
        if relation.owned and not limits.holds(relation):
            raise Refused(verb, self._which(relation), NOT_LIMITED)

    def _target(self, node: Any, table: Any) -> Relation | None:
        """The table that a statement writes, if its rows have owners."""
        verb = type(node).__name__.upper()
        if not isinstance(table, exp.Table):
            raise unreadable(self._text, "nobody can say which table it writes")
        self._seen.add(id(table))
        relation = relations_of_table(table)[0]
        self._check_declared(verb, relation)
        return relation if relation.owned else None

    def _check_declared(self, verb: str, relation: Relation) -> None:
        table = relation.table
        if table is None or relation.owned:
            return
        known = [*self._tables, *(each for metadata in OWNED.metadatas() for each in metadata.tables.values())]
        if table.name.lower() not in (each.name.lower() for each in known):
            raise Refused(verb, table.name, UNDECLARED)

    def _assignments(self, assignments: list[Any], relations: Relations, verb: str) -> None:
        """What says whose a row is must stay what it is."""
        for assignment in assignments:
            for column in self._assigned(assignment):
                for relation in relations:
                    if not relation.owned or column.table.lower() not in ("", relation.name):
                        continue
                    owned = self._which(relation)
                    if column.name.lower() in (*_decisive(owned), *self._rowids(owned)):
                        value = assignment.expression if assignment.this is column else None
                        self._decide(verb, owned, column.name.lower(), value)

    def _rowids(self, owned: OwnedTable) -> list[str]:
        """Other names of an integer primary key, which may be the owner."""
        return [] if self._text.dialect != "sqlite" else [name for name in _ROWIDS if name not in owned.table.c]

    def _assigned(self, assignment: Any) -> list[Any]:
        """The columns, of which an element may be assigned where they are arrays."""
        left = assignment.this if isinstance(assignment, exp.EQ) else None
        sides = left.expressions if isinstance(left, exp.Tuple) else [left]
        columns: list[Any] = [each.this if isinstance(each, (exp.Paren, exp.Bracket)) else each for each in sides]
        if not all(isinstance(column, exp.Column) for column in columns):
            raise unreadable(self._text, "nobody can say which column it sets")
        return columns

    def _is_assigned(self, relation: Relation, assignments: list[Any]) -> bool:
        """Of an UPDATE of several tables: whether it may set a column of this one."""
        columns = [column for each in assignments for column in self._assigned(each)]
        return any(column.table.lower() in ("", relation.name) for column in columns)

    def _which(self, relation: Relation) -> OwnedTable:
        """The one table that a name means, where models of this process share it."""
        hints = {*self._owners.values(), *(found.ownership for found in map(OWNED.of_table, self._tables) if found)}
        return next((each for each in relation.owned if each.ownership in hints), relation.owned[-1])

    def _decide(self, verb: str, owned: OwnedTable, column: str, value: Any) -> None:
        """Whether a value may be given to a column that says whose a row is."""
        number = marker(value)
        name = None if number is None else self._text.names[number]
        if name is None:
            raise Refused(verb, owned, OTHER_OWNER)
        if self._owners.get(name) is not owned.ownership or owned.parent is not None:
            self._given.append(Given(owned, column, name))

    def _other(self, node: Any) -> None:
        """What is neither a query nor one of the statements that write rows."""
        if isinstance(node, _HARMLESS):
            return
        if isinstance(node, exp.Create):
            if node.kind in ("TABLE", "INDEX", "SEQUENCE", "SCHEMA", "TYPE") and not node.args.get("replace"):
                return
        elif isinstance(node, (exp.Alter, exp.Drop, exp.TruncateTable)):
            tables = list(node.find_all(exp.Table))
            for table in tables:
                for owned in OWNED.of_name(table.name, table.db):
                    raise Refused(type(node).__name__.upper().removesuffix("TABLE"), owned, EVERYBODY)
            if not node.args.get("cascade") and (not isinstance(node, exp.Drop) or node.kind in ("TABLE", "INDEX")):
                return
        raise unreadable(self._text, "it is not a statement that the guard knows")

    # What reads.

    def _reads(self) -> None:
        for select in self._tree.find_all(exp.Select):
            self._mark_read(Limits(relations_of_select(select), self._owner))
        for lock in self._tree.find_all(exp.Lock):
            self._seen.update(map(id, lock.expressions))
        for table in self._tree.find_all(exp.Table):
            if id(table) not in self._seen:
                for owned in OWNED.of_name(table.name, table.db):
                    raise Refused("SELECT", owned, NOT_LIMITED)
        for node in self._tree.find_all(exp.In):
            field = node.args.get("field")
            for owned in OWNED.of_name(field.name) if field is not None else ():
                raise Refused("SELECT", owned, NOT_LIMITED)

    def _mark_read(self, limits: Limits) -> None:
        self._seen.update(
            id(each.table)
            for each in limits.relations
            if each.table is not None and (not each.owned or limits.holds(each))
        )

    def _owner(self, node: Any) -> Ownership | None:
        number = marker(node)
        return None if number is None else self._owners.get(self._text.names[number])


_WRITES: dict[type, Any] = {
    exp.Insert: _Judge._insert,
    exp.Update: _Judge._update,
    exp.Delete: _Judge._delete,
    exp.Merge: _Judge._merge,
}
_ROWIDS = ("rowid", "oid", "_rowid_")
_HARMLESS = (exp.Set, exp.Pragma, exp.Show, exp.Describe, exp.Transaction, exp.Commit, exp.Rollback)


def _decisive(owned: OwnedTable) -> tuple[str, ...]:
    """The columns that say whose a row is."""
    if owned.parent is None:
        return (owned.ownership.column.name.lower(),)
    return tuple(own.name.lower() for own, _ in owned.link)


def _selects(query: Any) -> Iterator[Any]:
    """The parts of a UNION, or the one SELECT that a query is."""
    if isinstance(query, (exp.Subquery, exp.Paren)):
        yield from _selects(query.this)
    elif isinstance(query, exp.SetOperation):
        yield from _selects(query.left)
        yield from _selects(query.right)
    elif isinstance(query, (exp.Select, exp.Values)):
        yield query


def _rows_of(select: exp.Select) -> Iterator[list[Any]]:
    """What a SELECT gives to an INSERT: its columns, or the parameters that they are in a VALUES from which it reads.

    SQLAlchemy inserts many rows into PostgreSQL as ``SELECT p0::INTEGER, p1 FROM (VALUES (?, ?)) AS data (p0, p1)``.
    """
    row = [each.unalias() for each in select.expressions]
    source = select.args.get("from_")
    values = None if source is None else source.this
    if (
        not isinstance(values, exp.Values)
        or select.args.get("joins")
        or not isinstance(values.args.get("alias"), exp.TableAlias)
    ):
        yield row
        return
    names = [column.name for column in values.args["alias"].columns]
    for tuple_ in values.expressions:
        given = dict(zip(names, tuple_.expressions, strict=False))
        yield [given.get(value.name, value) if isinstance(value, exp.Column) else value for value in map(_uncast, row)]


def _uncast(node: Any) -> Any:
    return node.this if isinstance(node, exp.Cast) else node


def _qualified(where: Any, limits: Limits) -> bool:
    """In DO UPDATE a column without a table may be that of the new row, which is the user's in any case."""
    columns = [] if where is None else where.find_all(exp.Column)
    return all(column.table for column in columns) and limits.holds(limits.relations[0])
