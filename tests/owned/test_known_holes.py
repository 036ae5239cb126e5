"""Ways to write and to read that once reached the rows of others: each is refused, or limited to the user's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Boolean, delete, exists, func, insert, literal_column, select, text, update
from sqlalchemy.orm import Session, aliased, joinedload, scoped_session, selectinload, sessionmaker

from pyramid_sessionkit.owned import NotOwned, guard, owned, unowned
from tests.owned.conftest import Visitor
from tests.owned.family.fixtures import DATABASES
from tests.owned.family.forms import binds
from tests.owned.family.oracle import dump, fetched
from tests.owned.family.shapes import ADA, BOB, Archive, Letter, Rack, Shelf, Topic
from tests.owned.family.worlds import World, of_others_in

Act = Callable[[Session, Visitor], Any]

everywhere = pytest.mark.parametrize("world", DATABASES, indirect=True)
on_servers = pytest.mark.parametrize("world", DATABASES[1:], indirect=True)
on_sqlite = pytest.mark.parametrize("world", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("world", DATABASES[1:2], indirect=True)
on_mariadb = pytest.mark.parametrize("world", DATABASES[2:], indirect=True)


def harmless(world: World, act: Act, guarded: bool = True) -> None:
    """It may be refused. The database must not complain: then it would say nothing about the guard."""
    ada, shown = Visitor(ADA), list[str]()
    with guard(Session(world.full), ada) if guarded else Session(world.full) as session:
        driver = session.connection().connection.driver_connection
        try:
            rows = fetched(lambda: act(session, ada))
            for row in rows or []:
                dump(row, session, shown)
            session.flush()
        except (NotOwned, TypeError):
            pass
        after = world.rows(driver)
        session.rollback()
    committed = world.name == "mariadb" and world.restore_if_changed()
    assert of_others_in(after) == of_others_in(world.before)
    assert not committed
    assert not shown


def text_or() -> Any:
    return text("letters.id = :a OR letters.id = :b").bindparams(a=1002, b=2)


def literal_or() -> Any:
    return literal_column("letters.id = 1002 OR letters.id = 2", Boolean)


either = pytest.mark.parametrize("criterion", [text_or, literal_or])


@everywhere
@either
class TestAnOrThatIsNotInParentheses:
    """The AND of the owner bound to what follows the OR only."""

    def test_update(self, world: World, criterion: Callable[[], Any]) -> None:
        statement = update(Letter).where(criterion()).values(text="x")
        harmless(world, lambda session, ada: session.execute(owned(ada, statement)))

    def test_delete(self, world: World, criterion: Callable[[], Any]) -> None:
        harmless(world, lambda session, ada: session.execute(owned(ada, delete(Letter).where(criterion()))))

    def test_select(self, world: World, criterion: Callable[[], Any]) -> None:
        harmless(world, lambda session, ada: session.execute(owned(ada, select(Letter.text).where(criterion()))))

    def test_on_of_a_join(self, world: World, criterion: Callable[[], Any]) -> None:
        statement = select(Topic.name, Letter.text).join_from(Topic, Letter, criterion())
        harmless(world, lambda session, ada: session.execute(owned(ada, statement)))

    def test_on_of_an_outer_join(self, world: World, criterion: Callable[[], Any]) -> None:
        statement = select(Topic.name, Letter.text).outerjoin_from(Topic, Letter, criterion())
        harmless(world, lambda session, ada: session.execute(owned(ada, statement)))

    def test_subquery(self, world: World, criterion: Callable[[], Any]) -> None:
        statement = select(select(Letter.text).where(criterion()).subquery())
        harmless(world, lambda session, ada: session.execute(owned(ada, statement)))

    def test_cte(self, world: World, criterion: Callable[[], Any]) -> None:
        statement = select(select(Letter.text).where(criterion()).cte())
        harmless(world, lambda session, ada: session.execute(owned(ada, statement)))

    def test_exists(self, world: World, criterion: Callable[[], Any]) -> None:
        # Bob's letter 1002 is on topic 2, Ada's letter 2 on none.
        found = exists(select(Letter.id).join(Topic, Topic.id == Letter.topic_id).where(Topic.id == 2, criterion()))
        statement = select(func.max(Letter.text)).where(Letter.id.in_([1]), found)

        def act(session: Session, ada: Visitor) -> None:
            assert session.scalars(owned(ada, statement)).all() == [None]

        harmless(world, act)


@everywhere
def test_delete_of_an_alias(world: World) -> None:
    if world.name == "mariadb":
        pytest.skip("MariaDB has no DELETE of an alias before version 11.6")
    harmless(world, lambda session, _: session.execute(delete(aliased(Letter))))


@everywhere
def test_update_of_an_alias(world: World) -> None:
    harmless(world, lambda session, _: session.execute(update(Letter.__table__.alias("m")).values(text="x")))


@everywhere
def test_update_of_an_aliased_class(world: World) -> None:
    harmless(world, lambda session, _: session.execute(update(aliased(Letter)).values(text="x")))


@on_postgresql
def test_a_cte_that_updates_an_alias(world: World) -> None:
    m = Letter.__table__.alias("m")
    changed = update(m).values(text="x").returning(m.c.id).cte()
    harmless(world, lambda session, _: session.execute(select(func.count()).select_from(changed)))


@on_mariadb
def test_update_of_two_tables_through_an_alias(world: World) -> None:
    m = Letter.__table__.alias("m")
    statement = update(Archive.__table__).values({m.c.text: "x"}).where(m.c.id > Archive.__table__.c.stars)
    harmless(world, lambda session, _: session.execute(statement))


def sql(statement: str) -> Act:
    return lambda session, _: session.connection().exec_driver_sql(statement)


@everywhere
@pytest.mark.parametrize("statement", ["UPDATE letters SET text = 'x'", "DELETE FROM letters"])
def test_text_after_a_comment(world: World, statement: str) -> None:
    harmless(world, sql(f"-- what to do\n{statement}"))
    harmless(world, lambda session, _: session.execute(text(f"-- what to do\n{statement}")))


@everywhere
def test_text_with_a_name_right_after_the_verb(world: World) -> None:
    harmless(
        world, sql("UPDATE`letters`SET text = 'x'" if world.name == "mariadb" else "UPDATE\"letters\"SET text = 'x'")
    )


@pytest.mark.parametrize("world", [DATABASES[0], DATABASES[2]], indirect=True)
def test_text_with_backquotes(world: World) -> None:
    harmless(world, sql("DELETE FROM `letters`"))


@on_mariadb
def test_text_with_the_table_in_parentheses(world: World) -> None:
    harmless(world, sql("UPDATE (letters) SET text = 'x'"))


@on_mariadb
@pytest.mark.parametrize("where", ["LOCAL ", ""])
def test_load_data(world: World, where: str) -> None:
    values = f"SET id = 700, stars = 1, writer_id = {BOB}"
    harmless(world, sql(f"LOAD DATA {where}INFILE '/etc/hostname' INTO TABLE letters (text) {values}"))


@on_mariadb
def test_rename_table(world: World) -> None:
    harmless(world, sql("RENAME TABLE letters TO gone"))


@on_servers
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE letters_view SET text = 'x'",
        "DELETE FROM all_tickets",
        f"INSERT INTO letters_view (id, text, stars, writer_id) VALUES (700, 'x', 1, {BOB})",
    ],
)
def test_updatable_views(world: World, statement: str) -> None:
    harmless(world, sql(statement))


@everywhere
@pytest.mark.parametrize("suffix", ["OR 1 = 1", "UNION ALL SELECT text FROM letters"])
def test_suffix(world: World, suffix: str) -> None:
    statement = select(Letter.text).suffix_with(suffix)
    harmless(world, lambda session, ada: session.execute(owned(ada, statement)))
    harmless(world, lambda session, ada: session.execute(owned(ada, select(Letter.text)).suffix_with(suffix)))


@everywhere
def test_prefix(world: World) -> None:
    prefix = "text FROM letters UNION ALL SELECT"
    harmless(world, lambda session, ada: session.execute(owned(ada, select(Letter.text).prefix_with(prefix))))
    harmless(world, lambda session, ada: session.execute(owned(ada, select(Letter.text)).prefix_with(prefix)))


@everywhere
def test_prefix_that_is_a_column(world: World) -> None:
    statement = select(Letter.id).prefix_with("(SELECT max(text) FROM letters) AS leaked,")
    harmless(world, lambda session, ada: session.connection().execute(owned(ada, statement)))


@everywhere
@pytest.mark.parametrize("hint", ["OR 1 = 1", "UNION ALL SELECT text FROM letters"])
def test_statement_hint(world: World, hint: str) -> None:
    statement = select(Letter.text).with_statement_hint(hint)
    harmless(world, lambda session, ada: session.execute(owned(ada, statement)))
    harmless(world, lambda session, ada: session.execute(owned(ada, select(Letter.text)).with_statement_hint(hint)))


@everywhere
def test_dynamic_relationship(world: World) -> None:
    harmless(world, lambda session, ada: session.execute(owned(ada, select(Shelf))))


@everywhere
def test_write_only_relationship(world: World) -> None:
    harmless(world, lambda session, ada: session.execute(owned(ada, select(Rack))))


@everywhere
@pytest.mark.parametrize("load", [joinedload, selectinload])
def test_an_object_in_the_identity_map(world: World, load: Any) -> None:
    """Letters of all were loaded before, and the topic of one's own letter has them."""

    def act(session: Session, ada: Visitor) -> Any:
        topics = session.info["kept"] = session.scalars(select(Topic)).all()
        assert sum(len(topic.letters) for topic in topics) == 4
        return session.execute(
            owned(ada, select(Letter).options(load(Letter.topic).options(load(Topic.letters))))
        ).unique()

    harmless(world, act)


@everywhere
def test_unowned_in_a_suspended_generator(world: World) -> None:
    ada = Visitor(ADA)

    def lifted(session: Session) -> Iterator[None]:
        with unowned(session, reason="to be continued"):
            yield

    with guard(Session(world.full), ada) as session:
        suspended = lifted(session)
        next(suspended)
        # The generator waits at its yield; the request goes on.
        with pytest.raises(NotOwned):
            session.execute(update(Letter).values(text="x"))
        session.rollback()
        suspended.close()


@everywhere
def test_a_scoped_session_that_was_removed(world: World) -> None:
    ada = Visitor(ADA)
    scoped = scoped_session(sessionmaker(world.full))
    guard(scoped, ada)  # type: ignore[type-var]
    scoped.remove()
    try:
        with pytest.raises(NotOwned):
            scoped.execute(update(Letter).values(text="x"))
    finally:
        scoped.rollback()
        scoped.remove()


@everywhere
@pytest.mark.parametrize("guarded", [True, False])
def test_update_that_gives_away(world: World, guarded: bool) -> None:
    statement = update(Letter).values(writer_id=BOB)
    harmless(world, lambda session, ada: session.execute(owned(ada, statement)), guarded)


@everywhere
@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("rows", [dict, list])
@pytest.mark.parametrize("named", ["column", "bind"])
def test_parameters_that_name_the_owner(world: World, guarded: bool, rows: type, named: str) -> None:
    """A view passes on the JSON of the request."""

    def act(session: Session, ada: Visitor) -> None:
        statement = owned(ada, insert(Letter))
        names = ["writer_id"] if named == "column" else binds(statement)
        sent = {"id": 700, "text": "x", "stars": 1} | dict.fromkeys(names, BOB)
        session.execute(statement, sent if rows is dict else [sent, {**sent, "id": 701}])

    harmless(world, act, guarded)


@everywhere
@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("values", [{}, {"text": "x"}])
def test_parameters_beside_values(world: World, guarded: bool, values: dict[str, Any]) -> None:
    """The bind of the owner can be overridden by whoever finds out its name."""

    def act(session: Session, ada: Visitor) -> None:
        statement = owned(ada, insert(Letter).values(id=700, stars=1, text="new"))
        session.execute(statement, values | dict.fromkeys([*binds(statement), "writer_id"], BOB))

    harmless(world, act, guarded)


@everywhere
def test_parameters_of_an_update(world: World) -> None:
    statement = update(Letter).where(Letter.id == 1).values(text="x")
    harmless(world, lambda session, ada: session.execute(owned(ada, statement), {"writer_id": BOB}))
