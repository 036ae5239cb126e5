"""What somebody may still do to a statement, before or after ``owned()``, and parameters that name the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, func, literal_column, or_, select, text, true
from sqlalchemy.orm import aliased

from tests.owned.family.pick import Pick
from tests.owned.family.shapes import BOB, Letter, Ticket, Writer

Alteration = Callable[[Any, Pick], Any]


def _table(pick: Pick) -> str:
    return pick.shape.table.name


READS: dict[str, Alteration] = {
    "where text OR": lambda s, p: s.where(text("1 = 1 OR 1 = 1")),
    "where or_": lambda s, p: s.where(or_(p.target.key > 0, true())),
    "where parentheses": lambda s, p: s.where(text("1 = 1) OR (1 = 1")),
    "where comment": lambda s, p: s.where(text("1 = 1 --")),
    "suffix OR": lambda s, p: s.suffix_with("OR 1 = 1"),
    "suffix UNION": lambda s, p: s.suffix_with(f"UNION ALL SELECT {', '.join(p.shape.columns)} FROM {_table(p)}"),
    "suffix UNION of one": lambda s, p: s.suffix_with(f"UNION ALL SELECT {p.shape.text} FROM {_table(p)}"),
    "suffix comment": lambda s, p: s.suffix_with("--"),
    "prefix column": lambda s, p: s.prefix_with(f"(SELECT max({p.shape.text}) FROM {_table(p)}) AS leaked,"),
    "prefix UNION": lambda s, p: s.prefix_with(f"* FROM {_table(p)} UNION ALL SELECT"),
    "prefix comment": lambda s, p: s.prefix_with(f"* FROM {_table(p)} --"),
    "prefix DISTINCT": lambda s, p: s.prefix_with("DISTINCT"),
    "statement hint": lambda s, p: s.with_statement_hint("OR 1 = 1"),
    "statement hint UNION": lambda s, p: s.with_statement_hint(
        f"UNION ALL SELECT {', '.join(p.shape.columns)} FROM {_table(p)}"
    ),
    "hint": lambda s, p: s.with_hint(p.target.source, f"CROSS JOIN {_table(p)} AS z"),
    "add a column of others": lambda s, p: s.add_columns(select(func.max(Letter.text)).scalar_subquery()),
    "add text": lambda s, p: s.add_columns(literal_column(f"(SELECT max({p.shape.text}) FROM {_table(p)})")),
    "add an alias": lambda s, p: s.add_columns(aliased(Ticket).text),
    "only the columns of others": lambda s, p: s.with_only_columns(Writer.text, Ticket.text),
    "select from": lambda s, p: s.select_from(aliased(Letter)),
    "join": lambda s, p: s.join(aliased(Letter), true()).add_columns(literal_column("letters_1.text")),
    "outer join": lambda s, p: s.outerjoin(Ticket, true()),
    "group by text": lambda s, p: s.group_by(text(f"1 UNION SELECT {p.shape.text} FROM {_table(p)}")),
    "order by text": lambda s, p: s.order_by(text("1")),
    "having": lambda s, p: s.having(text("1 = 1 OR 1 = 1")),
    "limit text": lambda s, p: s.limit(literal_column("5 OFFSET 0")),
    "populate existing": lambda s, p: s.execution_options(populate_existing=True),
    "outer select": lambda s, p: select(func.count()).select_from(s.subquery()),
}

WRITES: dict[str, Alteration] = {
    "values of the owner": lambda s, p: s.values({p.shape.owner: p.shape.whose(BOB)}),
    "values without an owner": lambda s, p: s.values({p.shape.owner: None}),
    "values by expression": lambda s, p: s.values({p.shape.owner: p.target[p.shape.owner] + 1}),
    "values by text": lambda s, p: s.values({p.shape.owner: literal_column(str(BOB))}),
    "values by column": lambda s, p: s.values({p.target[p.shape.owner]: p.shape.whose(BOB)}),
    "values": lambda s, p: s.values({p.shape.text: "altered"}),
    "values with more SET": lambda s, p: s.values({p.shape.text: literal_column(f"'x', {p.shape.owner} = {BOB}")}),
    "values with WHERE": lambda s, p: s.values({p.shape.text: literal_column("'x' WHERE 1 = 1 --")}),
    "where text OR": lambda s, p: s.where(text("1 = 1 OR 1 = 1")),
    "where or_": lambda s, p: s.where(or_(p.target.key > 0, true())),
    "where parentheses": lambda s, p: s.where(text("1 = 1) OR (1 = 1")),
    "where comment": lambda s, p: s.where(text("1 = 1 --")),
    "where open comment": lambda s, p: s.where(text("1 = 1 /*")),
    "prefix OR REPLACE": lambda s, p: s.prefix_with("OR REPLACE"),
    "prefix IGNORE": lambda s, p: s.prefix_with("IGNORE"),
    "prefix table": lambda s, p: s.prefix_with(f"{_table(p)} SET {p.shape.text} = 'x' --"),
    "prefix tables": lambda s, p: s.prefix_with(f"{_table(p)} AS z,"),
    "prefix comment that runs": lambda s, p: s.prefix_with(f"/*! {_table(p)} AS z, */"),
    "prefix FROM": lambda s, p: s.prefix_with(f"FROM {_table(p)} --"),
    "hint": lambda s, p: s.with_hint("OR 1 = 1", p.target.source),
    "returning all": lambda s, p: s.returning(select(func.max(Letter.text)).scalar_subquery()),
    "returning text": lambda s, p: s.returning(text(f"(SELECT max(text) FROM {Letter.__tablename__})")),
    "CTE that deletes": lambda s, p: s.add_cte(delete(Letter).returning(Letter.id).cte("gone")),
    "CTE": lambda s, p: s.add_cte(select(Letter.id).cte("found")),
    "not synchronised": lambda s, p: s.execution_options(synchronize_session=False),
    "synchronised by fetching": lambda s, p: s.execution_options(synchronize_session="fetch"),
}


def of_parameters(pick: Pick, binds: list[str]) -> dict[str, Any]:
    """Parameters of ``execute`` that name the owner's column, or a bind of the statement."""
    owner, bob = pick.shape.owner, pick.shape.whose(BOB)
    named: dict[str, dict[str, Any]] = {
        "of the column": {owner: bob},
        "of the column, NULL": {owner: None},
        "of the binds": dict.fromkeys(binds, bob),
        "of the column and the binds": {**dict.fromkeys(binds, bob), owner: bob},
        "of the key": {pick.shape.key: pick.shape.theirs},
    }
    return dict(pick.choose(**named))
