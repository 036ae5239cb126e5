"""How a statement can name a table: plain, by an alias, with its schema, quoted, in other letters."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy import Column, MetaData, Table, column, literal_column, select, table
from sqlalchemy.orm import aliased
from sqlalchemy.sql import quoted_name

from tests.owned.family.shapes import Shape

SCHEMA = {"sqlite": "main", "postgresql": "public", "mariadb": "family"}


@dataclass(frozen=True)
class Target:
    """What a statement is built with, and the name by which text in it refers to the table."""

    dress: str
    source: Any
    name: str
    shape: Shape
    orm: bool = False

    def __getitem__(self, name: str) -> Any:
        return getattr(self.source, name) if self.orm else self.source.c[name]

    @property
    def key(self) -> Any:
        return self[self.shape.key]

    @property
    def text(self) -> Any:
        return self[self.shape.text]

    @property
    def number(self) -> Any:
        return self[self.shape.number]

    @property
    def columns(self) -> list[Any]:
        return [self.key, self.text, self.number]


def _plain(shape: Shape, _: str) -> Target:
    return Target("class", shape.model, shape.table.name, shape, orm=True)


def _alias(shape: Shape, _: str) -> Target:
    name = "m_1" if shape.inherited else "m"
    return Target("aliased class", aliased(shape.model, name="m"), name, shape, orm=True)


def _flat(shape: Shape, _: str) -> Target:
    return Target("flat alias", aliased(shape.model, name="m", flat=True), "m", shape, orm=True)


def _of_table(shape: Shape, _: str) -> Target:
    entity = aliased(shape.model, shape.table.alias("m"), adapt_on_names=True)
    return Target("class on an aliased table", entity, "m", shape, orm=True)


def _core(shape: Shape, _: str) -> Target:
    return Target("table", shape.table, shape.table.name, shape)


def _core_alias(shape: Shape, _: str) -> Target:
    return Target("aliased table", shape.table.alias("m"), "m", shape)


def _anonymous(shape: Shape, _: str) -> Target:
    return Target("anonymous alias", shape.table.alias(), f"{shape.table.name}_1", shape)


def _like(shape: Shape, name: Any, schema: str | None = None) -> Any:
    columns = [column(each.name, each.type) for each in shape.table.columns]
    return table(name, *columns, schema=schema)


def _by_name(shape: Shape, _: str) -> Target:
    return Target("table by its name", _like(shape, shape.table.name), shape.table.name, shape)


def _schema(shape: Shape, database: str) -> Target:
    schema = SCHEMA[database]
    found = _like(shape, shape.table.name, schema)
    return Target("table with a schema", found, f"{schema}.{shape.table.name}", shape)


def _quoted(shape: Shape, _: str) -> Target:
    name = quoted_name(shape.table.name, quote=True)
    return Target("quoted table", _like(shape, name), shape.table.name, shape)


def _capitals(shape: Shape, _: str) -> Target:
    name = quoted_name(shape.table.name.upper(), quote=False)
    return Target("table in capitals", _like(shape, name), shape.table.name.upper(), shape)


def _second(shape: Shape, _: str) -> Target:
    columns: list[Any] = [Column(each.name, each.type, primary_key=each.primary_key) for each in shape.table.columns]
    return Target("second Table", Table(shape.table.name, MetaData(), *columns), shape.table.name, shape)


def _cte(shape: Shape, _: str) -> Target:
    return Target("CTE", select(*shape.table.columns).cte("m"), "m", shape)


def _subquery(shape: Shape, _: str) -> Target:
    return Target("subquery", select(*shape.table.columns).subquery("m"), "m", shape)


def _class_of_cte(shape: Shape, _: str) -> Target:
    return Target("class on a CTE", aliased(shape.model, select(shape.model).cte("m")), "m", shape, orm=True)


def _class_of_subquery(shape: Shape, _: str) -> Target:
    return Target("class on a subquery", aliased(shape.model, select(shape.model).subquery("m")), "m", shape, orm=True)


def _by_text(shape: Shape, _: str) -> Target:
    """A name that holds what it likes."""
    name = quoted_name(f"{shape.table.name} AS m", quote=False)
    columns: list[Any] = [literal_column(f"m.{each}").label(each) for each in shape.columns]
    found = select(*columns).select_from(table(name)).subquery("m")
    return Target("alias in the name", found, "m", shape)


BOTH = (_plain, _alias, _core, _core_alias, _anonymous, _by_name, _schema, _quoted, _capitals, _second)
FOR_WRITES = (_plain, _plain, *BOTH, _of_table)
FOR_READS = (_plain, _plain, _plain, *BOTH, _flat, _cte, _subquery, _class_of_cte, _class_of_subquery, _by_text)
# What owned() promises to take.
PROMISED = ("class", "aliased class")


def draw(random: Random, shape: Shape, database: str, writes: bool) -> Target:
    return random.choice(FOR_WRITES if writes else FOR_READS)(shape, database)


DRESSES = {found.__name__.lstrip("_"): found for found in {*FOR_WRITES, *FOR_READS}}


def dressed(name: str, shape: Shape, database: str) -> Target:
    return DRESSES[name](shape, database)


def plain(shape: Shape) -> Target:
    return _plain(shape, "")
