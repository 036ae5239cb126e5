"""What a compiled statement writes, found out once for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Delete, Insert, Update
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList

from pyramid_sessionkit.owned.models import MISSING, OWNERSHIPS, Ownership, ownership_of_table
from pyramid_sessionkit.owned.sqltext import table_named_in, writes_in


@dataclass(frozen=True)
class Write:
    """A statement that writes rows of an owned table."""

    verb: str
    """``INSERT``, ``UPDATE`` or ``DELETE``; ``SQL`` for text."""
    table: str
    table_key: str
    """With the schema, as SQLAlchemy writes it."""
    ownership: Ownership | None
    """None if the table is known by its name alone."""
    of_model: bool
    """Whether it writes the table with the column of the owner, and not that of a subclass."""
    refusal: str | None
    """Why ``owned`` cannot have made it; None if it looks as if it had."""
    keys: tuple[str, ...]
    """The parameters with the primary key, of a statement of the unit of work."""
    sets_owner: bool
    """Whether it sets the owner to something other than a parameter."""


def write_of(context: Any) -> Write | None:
    """What the statement that is about to be executed writes to owned tables; None for nothing."""
    compiled = context.compiled
    if compiled is None:
        return _of_text(context.statement or "", 0)
    known = _known.get(compiled)
    if known is None or known[0] is not OWNERSHIPS.names:
        known = _known[compiled] = (OWNERSHIPS.names, _analyse(compiled))
    return known[1]


_known: WeakKeyDictionary[Any, tuple[frozenset[str], Write | None]] = WeakKeyDictionary()


def _analyse(compiled: Any) -> Write | None:
    if isinstance(compiled, DDLCompiler):
        return _of_text(str(compiled), 0)
    statements = list(_statements(compiled))
    for statement in statements:
        table = _written(statement, compiled)
        if table is not None:
            return _of_statement(statement, table, compiled, len(statements))
    return _of_text(compiled.string, len(statements))


def _of_text(text: str, expected: int) -> Write | None:
    """``expected``: how many writing statements SQLAlchemy knows to be in it, of tables that nobody owns."""
    if writes_in(text) <= expected:
        return None
    table = table_named_in(text, OWNERSHIPS.names)
    if table is None:
        return None
    return Write("SQL", table, table, None, False, "it is text", (), False)


def _statements(compiled: Any) -> Iterator[Any]:
    """The INSERT, UPDATE and DELETE statements in it: itself, and those in WITH."""
    if isinstance(compiled.statement, UpdateBase):
        state = compiled.dml_compile_state
        yield compiled.statement if state is None else state.statement
    for cte in compiled.ctes or ():
        if isinstance(cte.element, UpdateBase):
            yield cte.element


def _written(statement: Any, compiled: Any) -> Any:
    """The owned table that it writes, or None."""
    if OWNERSHIPS.owns(statement.table):
        return statement.table
    for key in _values(statement, compiled):
        table = getattr(key, "table", None)
        if table is not None and OWNERSHIPS.owns(table):
            return table  # UPDATE of several tables, as MySQL has it
    return None


def _of_statement(statement: Any, table: Any, compiled: Any, count: int) -> Write:
    ownership = ownership_of_table(table)
    of_model = ownership is not None and ownership.is_table(statement.table)
    refusal: str | None = "it has another statement in it, or is in one"
    keys: tuple[str, ...] = ()
    sets_owner = True
    if ownership is not None and count == 1 and isinstance(compiled.statement, UpdateBase):
        refusal = _refusal(statement, ownership, compiled) if of_model else "the owner is in another table"
        keys = tuple(_key_parameters(statement))
        sets_owner = _value(statement, ownership, compiled) is not MISSING
    elif ownership is None:
        refusal = "it is of a table that is no model's"
    return Write(
        statement.__visit_name__.upper(),
        table.name,
        getattr(table, "key", table.name),
        ownership,
        of_model,
        refusal,
        keys,
        sets_owner,
    )


def _refusal(statement: Any, ownership: Ownership, compiled: Any) -> str | None:
    if any(getattr(statement, name) for name in ("_prefixes", "_hints") if hasattr(statement, name)):
        return "it has a prefix or a hint, which may write more rows"
    if isinstance(statement, Insert):
        return _refusal_of_insert(statement, ownership, compiled)
    if isinstance(statement, Update) and (refusal := _refusal_of_values(statement, ownership, compiled)):
        return refusal
    if not isinstance(statement, (Update, Delete)) or not _has_criterion(statement, ownership):
        return "nothing says that the rows are the user's"
    return None


def _refusal_of_insert(statement: Any, ownership: Ownership, compiled: Any) -> str | None:
    if statement._select_names or statement._post_values_clause is not None or statement._multi_values:
        return "it is more than a plain INSERT"
    value = _value(statement, ownership, compiled)
    if not isinstance(value, BindParameter) or value.key != ownership.bind:
        return "it sets the owner to something else"
    return None


def _refusal_of_values(statement: Any, ownership: Ownership, compiled: Any) -> str | None:
    if _sets_owner(statement, ownership, compiled):
        return "it changes the owner"
    for key in _values(statement, compiled):
        table = getattr(key, "table", None)
        if (table is not None and not ownership.is_table(table)) or (table is None and key not in ownership.table.c):
            return "it sets columns of another table"
    return None


def _sets_owner(statement: Any, ownership: Ownership, compiled: Any) -> bool:
    if _value(statement, ownership, compiled) is not MISSING:
        return True
    names = [*(compiled.column_keys or ()), *(column.key for column in compiled.update_prefetch or ())]
    return ownership.column.key in names


def _values(statement: Any, compiled: Any) -> Any:
    """What the statement itself sets: columns, or their names, and values."""
    if isinstance(statement, Delete):
        return {}
    state = compiled.dml_compile_state
    if state is not None and state.statement is statement:
        return state._dict_parameters or {}
    return dict(getattr(statement, "_ordered_values", None) or statement._values or {})


def _value(statement: Any, ownership: Ownership, compiled: Any) -> Any:
    """What the statement itself sets the owner to, or MISSING."""
    for key, value in _values(statement, compiled).items():
        if key == ownership.column.key if isinstance(key, str) else ownership.is_column(key):
            return value
    return MISSING


def _has_criterion(statement: Any, ownership: Ownership) -> bool:
    return any(
        ownership.is_column(left) and right.key == ownership.bind for left, right in _equalities(statement.whereclause)
    )


def _key_parameters(statement: Any) -> Iterator[str]:
    """The names of the parameters with the primary key, in the order of its columns, as the unit of work has them."""
    if isinstance(statement, Insert):
        return
    found = {hash(left): right.key for left, right in _equalities(statement.whereclause)}
    for column in statement.table.primary_key:
        yield found.get(hash(column), "")


def _equalities(whereclause: Any) -> Iterator[tuple[Any, BindParameter[Any]]]:
    """What has to be equal to a parameter in all rows."""
    if isinstance(whereclause, BooleanClauseList) and whereclause.operator is operators.and_:
        for clause in whereclause.clauses:
            yield from _equalities(clause)
    elif (
        isinstance(whereclause, BinaryExpression)
        and whereclause.operator is operators.eq
        and isinstance(whereclause.right, BindParameter)
    ):
        yield whereclause.left, whereclause.right
