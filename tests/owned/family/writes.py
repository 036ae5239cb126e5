"""Statements that write, as SQLAlchemy builds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, insert, literal, literal_column, select, text, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlalchemy.schema import DropTable

from tests.owned.family.pick import Form, Pick
from tests.owned.family.shapes import Archive, Letter, Topic

INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert, "mariadb": mysql.insert}


def insert_one(pick: Pick) -> Any:
    return insert(pick.target.source).values(**pick.new())


def insert_rows(pick: Pick) -> Any:
    return insert(pick.target.source).values([pick.new(0), pick.new(1)])


def insert_many(pick: Pick) -> Any:
    return insert(pick.target.source)


def two_rows(pick: Pick) -> list[Mapping[str, Any]]:
    return [pick.new(0), pick.new(1)]


def one_row(pick: Pick) -> list[Mapping[str, Any]]:
    return [pick.new(0)]


def insert_returning(pick: Pick) -> Any:
    statement = insert_one(pick)
    return statement.returning(pick.target.key, pick.target.text)


def insert_many_returning(pick: Pick) -> Any:
    return insert(pick.target.source).returning(pick.target.text)


def insert_from_select(pick: Pick) -> Any:
    shape, given = pick.shape, pick.given()
    names = [shape.key, shape.text, shape.number, *given]
    values = [Topic.id + 500, Topic.name, literal(3), *(literal(value) for value in given.values())]
    if shape.name == "writer":
        names, values = names[:3], [literal(600 if pick.calm else 7), Topic.name, literal(3)]
    if shape.name == "vehicle":
        names, values = [*names, "kind"], [*values, literal("vehicle")]
    return insert(pick.target.source).from_select(names, select(*values))


def insert_from_owned(pick: Pick) -> Any:
    """Copies the rows of others, as one's own or as theirs."""
    target, shape = pick.target, pick.shape
    columns = [target.key + 3000, target.text, target.number]
    names = [shape.key, shape.text, shape.number]
    if not (shape.inherited and not target.orm) and shape.owner != shape.key:
        names, columns = [*names, shape.owner], [*columns, target[shape.owner]]
    return insert(shape.table).from_select(names, pick.where(select(*columns)))


def insert_of_theirs(pick: Pick) -> Any:
    """A row that is there already, of somebody else."""
    return insert(pick.target.source).values(**pick.new(**{pick.shape.key: pick.shape.theirs}))


def or_replace(pick: Pick) -> Any:
    words = {"sqlite": "OR REPLACE", "mariadb": "IGNORE", "postgresql": ""}
    return insert_of_theirs(pick).prefix_with(words[pick.database])


def upsert(pick: Pick) -> Any:
    values = pick.new(**{pick.shape.key: pick.choose(mine=pick.shape.mine, theirs=pick.shape.theirs)})
    made: Any = INSERTS[pick.database](pick.target.source).values(**values)
    changes = {pick.shape.text: "upserted"} | pick.choose(text={}, owner=pick.given())
    if pick.database == "mariadb":
        return made.on_duplicate_key_update(**changes)
    where = None if pick.criterion is None else pick.criterion(pick.target)
    elements = [column.name for column in pick.shape.table.primary_key]
    return made.on_conflict_do_update(index_elements=elements, set_=changes, where=where)


def upsert_of_excluded(pick: Pick) -> Any:
    values = pick.new(**{pick.shape.key: pick.shape.theirs})
    made: Any = INSERTS[pick.database](pick.target.source).values(**values)
    if pick.database == "mariadb":
        return made.on_duplicate_key_update(**{pick.shape.text: made.inserted[pick.shape.text]})
    elements = [column.name for column in pick.shape.table.primary_key]
    changes = {column: made.excluded[column] for column in (pick.shape.text, *pick.given())}
    return made.on_conflict_do_update(index_elements=elements, set_=changes)


def do_nothing(pick: Pick) -> Any:
    made: Any = INSERTS[pick.database](pick.target.source).values(**pick.new())
    return made.prefix_with("IGNORE") if pick.database == "mariadb" else made.on_conflict_do_nothing()


def _changes(pick: Pick) -> dict[str, Any]:
    return {pick.shape.text: "changed"} | pick.owner()


def update_some(pick: Pick) -> Any:
    return pick.where(update(pick.target.source).values(_changes(pick)))


def update_by_expression(pick: Pick) -> Any:
    return pick.where(update(pick.target.source).values({pick.shape.number: pick.target.number + 1}))


def update_by_subquery(pick: Pick) -> Any:
    found = select(func.min(Topic.name)).scalar_subquery()
    return pick.where(update(pick.target.source).values({pick.shape.text: found}))


def update_key(pick: Pick) -> Any:
    """To the id of somebody else, which OR REPLACE makes room for."""
    statement = pick.where(update(pick.target.source).values({pick.shape.key: pick.shape.theirs}))
    return statement.prefix_with(pick.choose(plain="", replace="OR REPLACE", ignore="IGNORE"))


def update_from(pick: Pick) -> Any:
    statement = update(pick.target.source).values({pick.shape.text: Topic.name})
    return pick.where(statement.where(pick.target.number == Topic.id))


def update_from_owned(pick: Pick) -> Any:
    other = pick.other()
    statement = update(pick.target.source).values(_changes(pick)).where(pick.target.number == other.number)
    return pick.where(statement)


def update_two_tables(pick: Pick) -> Any:
    """MariaDB changes both."""
    other = pick.other()
    values = {pick.target.text: "changed", other.text: "changed too"}
    return pick.where(update(pick.target.source).values(values).where(pick.target.number == other.number))


def update_through_alias(pick: Pick) -> Any:
    """MariaDB's multi-table UPDATE: of nobody's table, by its text; what is set is owned."""
    m = pick.shape.table.alias("other_m")
    statement = update(Archive.__table__).values({m.c[pick.shape.text]: "changed"})
    return statement.where(m.c[pick.shape.number] >= Archive.__table__.c.stars)


def update_returning(pick: Pick) -> Any:
    return update_some(pick).returning(pick.target.key, pick.target.text)


def update_returning_others(pick: Pick) -> Any:
    other = pick.other()
    statement = update(pick.target.source).values(_changes(pick)).where(pick.target.number == other.number)
    return pick.where(statement).returning(pick.target.text, other.text)


def delete_some(pick: Pick) -> Any:
    return pick.where(delete(pick.target.source))


def delete_returning(pick: Pick) -> Any:
    return delete_some(pick).returning(pick.target.key, pick.target.text)


def delete_using(pick: Pick) -> Any:
    return pick.where(delete(pick.target.source).where(pick.target.number == Topic.id))


def delete_using_owned(pick: Pick) -> Any:
    other = pick.other()
    return pick.where(delete(pick.target.source).where(pick.target.number == other.number))


def update_in_cte(pick: Pick) -> Any:
    changed = update_some(pick).returning(pick.target.key).cte("changed")
    return select(changed.c[0])


def delete_in_cte(pick: Pick) -> Any:
    gone = delete_some(pick).returning(pick.target.key, pick.target.text).cte("gone")
    return pick.choose(select=select(gone), count=select(func.count()).select_from(gone))


def insert_in_cte(pick: Pick) -> Any:
    made = insert_one(pick).returning(pick.target.key).cte("made")
    return select(made)


def added_cte(pick: Pick) -> Any:
    gone = delete_some(pick).returning(pick.target.key).cte("gone")
    return pick.choose(
        update=update(Topic).values(name="new"), select=select(Topic), insert=insert(Topic).values(id=9, name="new")
    ).add_cte(gone)


def cte_in_where(pick: Pick) -> Any:
    found = pick.where(select(pick.target.key)).cte("found")
    return (
        update(pick.shape.table)
        .values({pick.shape.text: "changed"})
        .where(pick.shape.table.c[pick.shape.key].in_(select(found.c[0])))
    )


def insert_from_cte(pick: Pick) -> Any:
    gone = delete_some(pick).returning(pick.target.text).cte("gone")
    return insert(Archive.__table__).from_select(["text", "stars"], select(gone.c[0], literal(0)))


def core_subquery_delete(pick: Pick) -> Any:
    keys = pick.where(select(pick.target.key)).scalar_subquery()
    return delete(pick.shape.table).where(pick.shape.table.c[pick.shape.key].in_(keys))


def drop(pick: Pick) -> Any:
    return DropTable(pick.shape.table)


def text_inside(pick: Pick) -> Any:
    """SQLAlchemy's statement is nobody's; text in it names an owned table."""
    table = pick.shape.table.name
    return pick.choose(
        prefix=insert(Topic).values(id=9, name="x").prefix_with(f"INTO {table} SELECT * FROM {table} --"),
        value=update(Topic).values(name=literal_column(f"'x'; DELETE FROM {table}")),
        where=delete(Topic).where(text(f"1 = 0; DELETE FROM {table}")),
        name=select(literal_column("1")).select_from(text(f"topics; DELETE FROM {table}")),
    )


def free_write(pick: Pick) -> Any:
    """To nobody's table, which anyone may do."""
    return pick.choose(
        insert=insert(Archive).values(id=50, text="new"),
        update=update(Archive).values(text="new"),
        update_where=update(Archive).where(Archive.id == 1).values(stars=5),
        delete=delete(Archive),
        many=insert(Archive).values([{"id": 50, "text": "a"}, {"id": 51, "text": "b"}]),
        core=insert(Archive.__table__).values(id=50, text="new"),
        core_update=update(Archive.__table__).values(text="new"),
        core_delete=delete(Archive.__table__.alias("a")) if pick.database != "sqlite" else delete(Archive.__table__),
        from_owned=insert(Archive).from_select(["text", "stars"], select(Letter.text, Letter.stars)),
        of_owned=update(Archive).values(text=select(func.max(Letter.text)).scalar_subquery()),
        exists=delete(Archive).where(Archive.stars.in_(select(aliased(Letter).stars))),
        sql=text("UPDATE archives SET text = 'new' WHERE id = 1"),
        sql_insert=text("INSERT INTO archives (id, text, stars) SELECT 60, max(text), 0 FROM letters"),
        sql_delete=text("DELETE FROM archives WHERE id = :id").bindparams(id=1),
    )


_SERVERS = ("postgresql", "mariadb")

WRITES = (
    Form("insert one", insert_one, promised=True),
    Form("insert rows", insert_rows),
    Form("insert many", insert_many, promised=True, rows=two_rows),
    Form("insert one of a list", insert_many, rows=one_row),
    Form("insert returning", insert_returning, promised=True),
    Form("insert many returning", insert_many_returning, promised=True, rows=two_rows),
    Form("insert from select", insert_from_select),
    Form("insert from owned", insert_from_owned),
    Form("insert of theirs", insert_of_theirs),
    Form("insert or replace", or_replace),
    Form("upsert", upsert),
    Form("upsert of excluded", upsert_of_excluded),
    Form("do nothing", do_nothing),
    Form("update", update_some, promised=True),
    Form("update by expression", update_by_expression, promised=True),
    Form("update by subquery", update_by_subquery, promised=True),
    Form("update key", update_key),
    Form("update from", update_from, promised=True),
    Form("update from owned", update_from_owned),
    Form("update two tables", update_two_tables),
    Form("update through alias", update_through_alias, databases=("mariadb",)),
    Form("update returning", update_returning, databases=("sqlite", "postgresql"), promised=True),
    Form("update returning others", update_returning_others, databases=("sqlite", "postgresql")),
    Form("delete", delete_some, promised=True),
    Form("delete returning", delete_returning, promised=True),
    Form("delete using", delete_using, databases=_SERVERS, promised=True),
    Form("delete using owned", delete_using_owned, databases=_SERVERS),
    Form("update in CTE", update_in_cte, databases=("postgresql",)),
    Form("delete in CTE", delete_in_cte, databases=("postgresql",)),
    Form("insert in CTE", insert_in_cte, databases=("postgresql",)),
    Form("CTE added", added_cte, databases=("postgresql",)),
    Form("CTE in where", cte_in_where),
    Form("insert from CTE", insert_from_cte, databases=("postgresql",)),
    Form("delete by subquery", core_subquery_delete),
    Form("drop", drop),
    Form("text inside", text_inside),
    Form("nobody's", free_write),
)
