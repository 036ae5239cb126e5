"""Statements that read; all go through ``owned()``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    distinct,
    exists,
    func,
    lateral,
    literal,
    literal_column,
    not_,
    select,
    text,
    true,
    union,
    union_all,
)
from sqlalchemy.orm import contains_eager, joinedload, lazyload, selectinload, subqueryload

from tests.owned.family.pick import Form, Pick
from tests.owned.family.shapes import Letter, Rack, Shelf, Topic, Writer

LOADS = {"lazy": lazyload, "joined": joinedload, "selectin": selectinload, "subquery": subqueryload}


def _all(pick: Pick) -> Any:
    return select(pick.target.source) if pick.target.orm else select(*pick.target.columns)


def entity(pick: Pick) -> Any:
    return pick.where(_all(pick))


def columns(pick: Pick) -> Any:
    return pick.where(select(pick.target.text, pick.target.key)).order_by(pick.target.key)


def count(pick: Pick) -> Any:
    return pick.where(select(func.count()).select_from(pick.target.source))


def aggregate(pick: Pick) -> Any:
    t = pick.target
    return pick.where(select(func.max(t.text), func.sum(t.number), func.count(distinct(t.key)), func.min(t.key)))


def limited(pick: Pick) -> Any:
    return pick.where(_all(pick)).order_by(pick.target.key.desc()).limit(1)


def locked(pick: Pick) -> Any:
    return pick.where(_all(pick)).with_for_update()


def join(pick: Pick) -> Any:
    on = pick.on(pick.target.number >= Topic.id, pick.target)
    return select(Topic.name, pick.target.text).join_from(Topic, pick.target.source, on)


def outer_join(pick: Pick) -> Any:
    on = pick.on(pick.target.number == Topic.id, pick.target)
    return select(Topic.name, pick.target.text).outerjoin_from(Topic, pick.target.source, on)


def outer_join_from(pick: Pick) -> Any:
    on = pick.on(pick.target.number == Topic.id, pick.target)
    return select(Topic.name, pick.target.text).outerjoin_from(pick.target.source, Topic, on)


def full_join(pick: Pick) -> Any:
    on = pick.on(pick.target.number == Topic.id, pick.target)
    return select(Topic.name, pick.target.text).join_from(Topic, pick.target.source, on, full=True)


def join_owned(pick: Pick) -> Any:
    other = pick.other()
    on = pick.on(pick.target.number == other.number, pick.target)
    return select(other.text, pick.target.text).join_from(other.source, pick.target.source, on)


def outer_join_owned(pick: Pick) -> Any:
    other = pick.other()
    on = pick.on(pick.target.number == other.number, pick.target)
    return select(other.text, pick.target.text).outerjoin_from(other.source, pick.target.source, on)


def comma_join(pick: Pick) -> Any:
    return pick.where(select(Topic.name, pick.target.text).where(Topic.id == pick.target.number))


def in_subquery(pick: Pick) -> Any:
    return select(Topic.name).where(Topic.id.in_(pick.where(select(pick.target.number))))


def not_in_subquery(pick: Pick) -> Any:
    return select(Topic.name).where(Topic.id.not_in(pick.where(select(pick.target.number))))


def in_exists(pick: Pick) -> Any:
    found = exists(pick.where(select(1).where(pick.target.number == Topic.id)))
    return select(Topic.name).where(pick.choose(exists=found, missing=not_(found)))


def exists_of_a_join(pick: Pick) -> Any:
    inner = select(pick.target.key).join_from(pick.target.source, Topic, pick.target.number == Topic.id)
    return select(Topic.name).where(exists(pick.where(inner).where(pick.target.text.like("%second%")).correlate(None)))


def selected_exists(pick: Pick) -> Any:
    return select(exists(pick.where(select(pick.target.key))).label("found"))


def scalar_subquery(pick: Pick) -> Any:
    return select(Topic.name, pick.where(select(func.max(pick.target.text))).scalar_subquery())


def ordered_by_subquery(pick: Pick) -> Any:
    return select(Topic.name).order_by(pick.where(select(func.max(pick.target.text))).scalar_subquery(), Topic.id)


def subquery(pick: Pick) -> Any:
    inner = pick.where(select(pick.target.key, pick.target.text)).subquery()
    return select(inner)


def cte(pick: Pick) -> Any:
    inner = pick.where(select(pick.target.key, pick.target.text)).cte("found")
    return select(inner)


def nested_cte(pick: Pick) -> Any:
    inner = pick.where(select(pick.target.key.label("k"), pick.target.text.label("x"))).cte("found")
    outer = select(inner.c.x, func.count(inner.c.k).label("n")).group_by(inner.c.x).cte("counted")
    return select(outer).join(inner, inner.c.x == outer.c.x)


def recursive_cte(pick: Pick) -> Any:
    first = pick.where(select(pick.target.key.label("k"), literal(1).label("depth"))).cte("found", recursive=True)
    return select(first.union_all(select(first.c.k, first.c.depth + 1).where(first.c.depth < 2)))


def union_inside(pick: Pick) -> Any:
    one = pick.where(select(pick.target.key.label("k"), pick.target.text.label("x")))
    other = select(Topic.id, Topic.name)
    return select(pick.choose(union=union, union_all=union_all)(one, other).subquery())


def union_on_top(pick: Pick) -> Any:
    return union_all(pick.where(select(pick.target.key, pick.target.text)), select(Topic.id, Topic.name))


def in_lateral(pick: Pick) -> Any:
    found = lateral(pick.where(select(pick.target.text.label("x")).where(pick.target.number >= Topic.id)))
    return select(Topic.name, found.c.x).join(found, true())


def window(pick: Pick) -> Any:
    t = pick.target
    return pick.where(select(t.text, func.count().over(), func.row_number().over(order_by=t.key)))


def having(pick: Pick) -> Any:
    statement = select(pick.target.text, func.count()).group_by(pick.target.text, pick.target.key)
    return statement.having(pick.criterion(pick.target)) if pick.criterion else statement


def grouped(pick: Pick) -> Any:
    return pick.where(select(pick.target.number, func.count())).group_by(pick.target.number)


def letters_of_topics(pick: Pick) -> Any:
    return select(Topic).options(pick.choose(**LOADS)(Topic.letters))


def letters_of_writers(pick: Pick) -> Any:
    return select(Writer).options(pick.choose(**LOADS)(Writer.letters))


def writers_of_letters(pick: Pick) -> Any:
    load = pick.choose(**LOADS)
    return select(Letter).options(load(Letter.topic), load(Letter.writer))


def contains_eagerly(pick: Pick) -> Any:
    return select(Topic).join(Topic.letters).options(contains_eager(Topic.letters))


def relationship_join(pick: Pick) -> Any:
    return pick.choose(
        topic=select(Topic.name, Letter.text).join(Topic.letters),
        outer=select(Topic.name, Letter.text).outerjoin(Topic.letters),
        writer=select(Writer.text, Letter.text).join(Writer.letters),
        any=select(Topic.name).where(Topic.letters.any()),
        none=select(Topic.name).where(~Topic.letters.any()),
        has=select(Letter.text).where(Letter.writer.has()),
    )


def dynamic(pick: Pick) -> Any:
    return pick.choose(dynamic=select(Shelf), write_only=select(Rack))


def text_column(pick: Pick) -> Any:
    shape = pick.shape
    return pick.choose(
        scalar=select(Topic.id, literal_column(f"(SELECT max({shape.text}) FROM {shape.table.name})")),
        star=select(text(f"* FROM {shape.table.name} --")),
        column=select(text(f"{shape.text}")).select_from(text(shape.table.name)),
        named=select(literal_column(shape.text)).select_from(shape.table),
        raw=text(f"SELECT {shape.text} FROM {shape.table.name}"),
        quoted=select(literal_column("*")).select_from(text(f"/**/{shape.table.name} AS q")),
        view=select(text("*")).select_from(text("letters_view")),
        union=select(Topic.name).where(text(f"1=1 UNION SELECT {shape.text} FROM {shape.table.name}")),
        order=select(Topic.name).order_by(text(f"(SELECT max({shape.text}) FROM {shape.table.name})")),
        from_statement=select(shape.model).from_statement(text(f"SELECT * FROM {shape.table.name}")),
    )


def text_and_entity(pick: Pick) -> Any:
    """Another occurrence of the table, in text, beside one that is limited."""
    table, column = pick.shape.table.name, pick.shape.text
    return pick.where(_all(pick)).add_columns(
        pick.choose(
            scalar=literal_column(f"(SELECT max(z.{column}) FROM {table} AS z)"),
            subquery=select(func.max(pick.shape.table.alias("z").c[column])).scalar_subquery(),
            count=literal_column(f"(SELECT count(*) FROM {table} z)"),
        )
    )


READS = (
    Form("entity", entity, reads=True, promised=True),
    Form("columns", columns, reads=True, promised=True),
    Form("count", count, reads=True, promised=True),
    Form("aggregate", aggregate, reads=True, promised=True),
    Form("limited", limited, reads=True, promised=True),
    Form("locked", locked, reads=True, promised=True),
    Form("join", join, reads=True, promised=True),
    Form("outer join", outer_join, reads=True, promised=True),
    Form("outer join from", outer_join_from, reads=True, promised=True),
    Form("full join", full_join, reads=True, databases=("sqlite", "postgresql")),
    Form("join of owned", join_owned, reads=True, promised=True),
    Form("outer join of owned", outer_join_owned, reads=True, promised=True),
    Form("comma join", comma_join, reads=True, promised=True),
    Form("IN", in_subquery, reads=True, promised=True),
    Form("NOT IN", not_in_subquery, reads=True, promised=True),
    Form("EXISTS", in_exists, reads=True, promised=True),
    Form("EXISTS of a join", exists_of_a_join, reads=True, promised=True),
    Form("selected EXISTS", selected_exists, reads=True, promised=True),
    Form("scalar subquery", scalar_subquery, reads=True, promised=True),
    Form("order by subquery", ordered_by_subquery, reads=True, promised=True),
    Form("subquery", subquery, reads=True, promised=True),
    Form("CTE", cte, reads=True, promised=True),
    Form("nested CTE", nested_cte, reads=True, promised=True),
    Form("recursive CTE", recursive_cte, reads=True),
    Form("union inside", union_inside, reads=True),
    Form("union", union_on_top, reads=True),
    Form("lateral", in_lateral, reads=True, databases=("postgresql",), promised=True),
    Form("window", window, reads=True, promised=True),
    Form("HAVING", having, reads=True),
    Form("GROUP BY", grouped, reads=True, promised=True),
    Form("letters of topics", letters_of_topics, reads=True),
    Form("letters of writers", letters_of_writers, reads=True, promised=True),
    Form("writers of letters", writers_of_letters, reads=True, promised=True),
    Form("contains_eager", contains_eagerly, reads=True, promised=True),
    Form("by relationship", relationship_join, reads=True),
    Form("dynamic", dynamic, reads=True),
    Form("text", text_column, reads=True),
    Form("text beside", text_and_entity, reads=True),
)
