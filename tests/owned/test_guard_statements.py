"""What a guarded session refuses to execute."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    bindparam,
    column,
    create_engine,
    delete,
    event,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import CompileError, IntegrityError, InvalidRequestError
from sqlalchemy.orm import Session, aliased, registry, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import DropTable

from pyramid_sessionkit.owned import NotLoggedIn, NotOwned, guard, owned, owned_by
from pyramid_sessionkit.owned.flushing import is_owner
from pyramid_sessionkit.owned.parameter import MARK
from tests.owned.conftest import DATABASES, Visitor, texts
from tests.owned.models import ADA, BOB, Base, Book, Draft, Folder, Line, Note, Person, Product, Tag, Thing, Token

Refused = Callable[..., None]


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


bare = Note.__table__
like = table("notes", column("id"), column("text"), column("person_id"))
MINE = Note.person_id == ADA


def marked(statement: Any) -> Any:
    """What claims to have been made by ``owned``."""
    return statement.execution_options(**{MARK: True})


def named(value: int = ADA) -> Any:
    return bindparam("owner_notes_person_id", value)


UNMARKED: dict[str, Any] = {
    "update": update(Note).values(text="new"),
    "update of their own": update(Note).where(MINE).values(text="new"),
    "delete": delete(Note),
    "delete of their own": delete(Note).where(MINE),
    "insert": insert(Note).values(text="new", person_id=BOB),
    "insert of their own": insert(Note).values(text="new", person_id=ADA),
    "several rows": insert(Note).values([{"text": "new", "person_id": ADA}, {"text": "new", "person_id": BOB}]),
    "insert from select": insert(Note).from_select(["text", "person_id"], select(Tag.name, literal(BOB))),
    "core update": update(bare).values(text="new"),
    "core delete": delete(bare),
    "core insert": insert(bare).values(text="new", person_id=ADA),
    "core update of a subclass's table": update(Book.__table__).values(pages=2),
    "core delete of a subclass's table": delete(Book.__table__),
    "core insert into a subclass's table": insert(Book.__table__).values(book_id=1, pages=1),
    "table known by its name": update(like).values(text="new"),
    "delete from a table known by its name": delete(like),
    "table with a schema": delete(table("notes", schema="main")),
    "capitals": delete(table("NOTES")),
    "alias": update(aliased(Note)).values(text="new"),
    "update in WITH": select(update(Note).values(text="new").returning(Note.id).cte().c.id),
    "delete in WITH": select(delete(Note).returning(Note.id).cte()),
    "insert in WITH": select(insert(bare).values(text="new", person_id=BOB).returning(bare.c.id).cte()),
    "in WITH of an update of nobody's": update(Product)
    .values(name="x")
    .add_cte(delete(bare).returning(bare.c.id).cte()),
    "in WITH that is nested": select(select(delete(bare).returning(bare.c.id).cte("a")).cte("b")),
    "composite key": update(Line).values(text="new"),
    "another name": update(Folder).values(name="new"),
    "self-owned": update(Person).values(name="new"),
    "returning": update(Note).values(text="new").returning(Note),
    "prefix": insert(Product).values(id=9, name="x").prefix_with("INTO notes (text) SELECT 'x'; INSERT"),
    "text": text("UPDATE notes SET text = 'new'"),
    "text in lower case": text("delete from notes"),
    "text of an insert": text("INSERT INTO notes (text, person_id) VALUES ('x', 8)"),
    "text with a comment": text("DELETE /* x */ FROM\n\tnotes"),
    "text in quotes": text('DELETE FROM "notes"'),
    "text with a schema": text("DELETE FROM main.notes"),
    "text with an alias": text("UPDATE products SET name = 'x'; delete from Notes"),
    "text of a replace": text("REPLACE INTO notes (id, text) VALUES (11, 'x')"),
    "text of a merge": text("MERGE INTO notes USING tags ON true WHEN MATCHED THEN DELETE"),
    "text of a truncate": text("TRUNCATE notes"),
    "text of a copy": text("COPY notes FROM STDIN"),
    "text of a drop": text("DROP TABLE notes"),
    "text of an alter": text("ALTER TABLE notes DROP COLUMN text"),
    "text in WITH": text("WITH a AS (DELETE FROM notes RETURNING id) SELECT * FROM a"),
    "text with columns": text("DELETE FROM notes RETURNING id").columns(column("id")),
    "text as a CTE": select(text("DELETE FROM notes RETURNING id").columns(column("id")).cte().c.id),
    "upsert in text": text("INSERT INTO notes (id) VALUES (11) ON CONFLICT (id) DO UPDATE SET text = 'x'"),
    "text of a lock and a write": text("SELECT 1 FROM tags FOR UPDATE; DELETE FROM notes"),
    "drop": DropTable(bare),
}


@pytest.mark.parametrize("name", UNMARKED)
def test_what_was_not_made_by_owned_is_refused(session: Session, refused: Refused, name: str) -> None:
    refused(lambda: session.execute(UNMARKED[name]), match="was refused: ")


@pytest.mark.parametrize("name", ["update", "delete", "core insert", "text", "in WITH of an update of nobody's"])
def test_on_the_connection_itself(session: Session, refused: Refused, name: str) -> None:
    refused(lambda: session.connection().execute(UNMARKED[name]))


@pytest.mark.parametrize("sql", ["UPDATE notes SET text = 'new'", "DELETE FROM notes", "  delete\nfrom notes"])
def test_sql_of_the_driver(session: Session, refused: Refused, sql: str) -> None:
    refused(lambda: session.connection().exec_driver_sql(sql))


def test_in_savepoints(session: Session, refused: Refused) -> None:
    def attempt() -> None:
        with session.begin_nested():
            session.execute(UNMARKED["update"])

    refused(attempt)

    def on_connection() -> None:
        with session.connection().begin_nested():
            session.connection().execute(UNMARKED["update"])

    refused(on_connection)


FORGED: dict[str, Any] = {
    "no criterion": update(Note).values(text="new"),
    "another parameter": update(Note).where(MINE).values(text="new"),
    "alternative": update(Note).where(or_(Note.person_id == named(), Note.id > 0)).values(text="new"),
    "negated": update(Note).where(not_(Note.person_id == named())).values(text="new"),
    "not equal": update(Note).where(Note.person_id != named()).values(text="new"),
    "another column": update(Note).where(Note.stars == named(0)).values(text="new"),
    "in a subquery": update(Note).where(Note.id.in_(select(Note.id).where(Note.person_id == named()))).values(text="n"),
    "no criterion of delete": delete(Note),
    "core": update(bare).values(text="new"),
    "insert": insert(Note).values(text="new", person_id=BOB),
    "insert with a parameter": insert(Note).values(text="new", person_id=bindparam("x", ADA)),
    "insert by expression": insert(Note).values(text="new", person_id=literal(4) + named(4)),
    "insert with the parameter elsewhere": insert(Note).values(text="new", stars=named(), person_id=BOB),
    "insert with the parameter elsewhere and another": insert(Note).values(
        text="new", stars=named(), person_id=bindparam("x", BOB)
    ),
    "update with the parameter elsewhere": update(Note)
    .where(Note.person_id == bindparam("x", BOB))
    .values(text="new", stars=named()),
    "insert without owner": insert(Note).values(text="new"),
    "table known by its name": update(like).where(like.c.person_id == named()).values(text="new"),
    "text": text("UPDATE notes SET text = :owner_notes_person_id").bindparams(named()),
    "subclass": update(Book.__table__).values(pages=2),
    "inside": select(delete(Note).where(Note.person_id == named()).returning(Note.id).cte().c.id),
}


@pytest.mark.parametrize("name", FORGED)
def test_the_mark_alone_is_not_enough(session: Session, refused: Refused, name: str) -> None:
    refused(lambda: session.execute(marked(FORGED[name])))


CHANGED: dict[str, Callable[[Visitor], Any]] = {
    "gives away": lambda ada: owned(ada, update(Note)).values(person_id=BOB),
    "gives away before": lambda ada: owned(ada, update(Note).values(person_id=BOB)),
    "gives away by class": lambda ada: owned(ada, update(Folder)).values({Folder.owner: BOB}),
    "gives away by another name": lambda ada: owned(ada, update(Folder)).values(owner=BOB),
    "gives to himself": lambda ada: owned(ada, update(Note)).values(person_id=ADA),
    "by expression": lambda ada: owned(ada, update(Note)).values(person_id=Note.person_id + 1),
    "in order": lambda ada: owned(ada, update(Note)).ordered_values(("text", "new"), ("person_id", BOB)),
    "own key": lambda ada: owned(ada, update(Person)).values(id=9),
    "insert for another": lambda ada: owned(ada, insert(Note).values(text="new")).values(person_id=BOB),
    "insert by expression": lambda ada: owned(ada, insert(Note).values(text="n")).values(person_id=literal(BOB)),
    "prefix": lambda ada: owned(ada, insert(Note).values(id=11, text="new")).prefix_with("OR REPLACE"),
    "prefix of update": lambda ada: owned(ada, update(Note).values(text="new")).prefix_with("OR REPLACE"),
    "upsert": lambda ada: owned(ada, sqlite.insert(Note).values(id=11, text="n")).on_conflict_do_update(
        index_elements=["id"], set_={"text": "new"}
    ),
    "inside another": lambda ada: select(owned(ada, delete(Note).returning(Note.id)).cte().c.id),
    "with another inside": lambda ada: owned(ada, delete(Note)).add_cte(delete(bare).returning(bare.c.id).cte()),
    "for another": lambda ada: owned(Visitor(BOB), delete(Note)),
    "for another and for them": lambda ada: owned(Visitor(BOB), owned(ada, delete(Note))),
    "insert for another user": lambda ada: owned(Visitor(BOB), insert(Note).values(text="new")),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_made_by_owned_and_changed_then_is_refused(
    session: Session, refused: Refused, ada: Visitor, name: str, database: str
) -> None:
    if name == "upsert" and database != "sqlite":
        pytest.skip("the other test")
    if name in ("inside another", "with another inside") and database == "sqlite":
        pytest.skip("SQLite has no DELETE in WITH")
    refused(lambda: session.execute(CHANGED[name](ada)))


def test_two_statements_of_their_own_in_one(session: Session, ada: Visitor, database: str, engine: Engine) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no DELETE in WITH")
    session.execute(owned(ada, delete(Note)).add_cte(owned(ada, delete(Token).returning(Token.id)).cte()))
    session.commit()
    assert (texts(engine), texts(engine, Token)) == (["one of 8", "two of 8"], ["token of 8"])


PARAMETERS: dict[str, tuple[Callable[[Visitor], Any], Any]] = {
    "parameter replaced": (lambda ada: owned(ada, delete(Note)), {"sessionkit_owner_1": BOB}),
    "parameter replaced in an update": (
        lambda ada: owned(ada, update(Note).values(text="x")),
        {"sessionkit_owner_1": BOB},
    ),
    "owner given": (lambda ada: owned(ada, update(Note)), {"text": "x", "person_id": BOB}),
    "own owner given": (lambda ada: owned(ada, update(Note)), {"text": "x", "person_id": ADA}),
    "many updates": (lambda ada: owned(ada, update(Note)), [{"id": 1, "text": "x"}, {"id": 11, "text": "x"}]),
    "key of JSON in an insert": (lambda ada: owned(ada, insert(Note)), {"text": "x", "person_id": BOB}),
    "keys of JSON in inserts": (lambda ada: owned(ada, insert(Note)), [{"text": "x", "person_id": BOB}] * 2),
    "updates by key": (lambda ada: update(Note), [{"id": 11, "text": "x"}]),
    "updates of their own by key": (lambda ada: update(Note), [{"id": 1, "text": "x"}]),
    "many deletes": (
        lambda ada: owned(ada, delete(Note).where(Note.id == bindparam("i"))),
        [{"i": 1}, {"i": 11, "sessionkit_owner_1": BOB}],
    ),
    "insert parameter replaced": (
        lambda ada: owned(ada, insert(Note).values(text="x")),
        {"sessionkit_owner_1": BOB},
    ),
    "one of many inserts": (
        lambda ada: owned(ada, insert(Note)),
        [{"text": "x"}, {"text": "y", "sessionkit_owner_1": BOB}],
    ),
    "unmarked inserts": (lambda ada: insert(Note), [{"text": "x", "person_id": BOB}]),
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("on_connection", [False, True])
def test_parameters_cannot_change_it(
    session: Session, ada: Visitor, stored: Any, name: str, on_connection: bool
) -> None:
    """Refused by the guard, or by SQLAlchemy before; or it wrote rows of their own."""
    make, parameters = PARAMETERS[name]
    before = stored()["notes"]
    execute = session.connection().execute if on_connection else session.execute
    try:
        execute(make(ada), parameters)
    except (NotOwned, InvalidRequestError, CompileError, IntegrityError):
        session.rollback()
        assert stored()["notes"] == before
    else:
        assert name in ("insert parameter replaced", "one of many inserts")  # these parameters have no effect
        session.commit()
        assert [row for row in stored()["notes"] if row[3] == BOB] == [row for row in before if row[3] == BOB]


@pytest.mark.parametrize(
    "name", ["parameter replaced", "parameter replaced in an update", "own owner given", "updates of their own by key"]
)
def test_it_is_the_guard_that_refuses_them(session: Session, refused: Refused, ada: Visitor, name: str) -> None:
    make, parameters = PARAMETERS[name]
    refused(lambda: session.execute(make(ada), parameters))


class TestLegacy:
    def test_query(self, session: Session, refused: Refused) -> None:
        refused(lambda: session.query(Note).filter(Note.id == 11).update({"text": "new"}))
        refused(lambda: session.query(Note).filter(MINE).update({"text": "new"}, synchronize_session=False))
        refused(lambda: session.query(Note).delete())

    def test_bulk(self, session: Session, refused: Refused) -> None:
        refused(lambda: session.bulk_insert_mappings(Note, [{"text": "x", "person_id": BOB}]))
        refused(lambda: session.bulk_insert_mappings(Note, [{"text": "x", "person_id": ADA}]))
        refused(lambda: session.bulk_update_mappings(Note, [{"id": 11, "text": "x"}]))
        refused(lambda: session.bulk_save_objects([Note(text="x", person_id=BOB)]))
        refused(lambda: session.bulk_save_objects([session.get_one(Note, 11)] and [Note(id=11, text="x")]))


def test_bulk_after_a_flush(session: Session, refused: Refused) -> None:
    session.add(Product(id=2, name="x"))
    session.flush()
    with pytest.raises(NotOwned):
        session.bulk_insert_mappings(Note, [{"text": "x", "person_id": ADA}])
    session.rollback()
    refused(lambda: session.bulk_update_mappings(Note, [{"id": 1, "person_id": BOB}]))


HARMLESS: list[Any] = [
    select(Note),
    select(bare),
    select(func.replace(Note.text, "a", "b")),
    select(Note).with_for_update(),
    text("SELECT replace(text, 'a', 'b') FROM notes"),
    text("SELECT text AS updated FROM notes WHERE 'x' = :x").bindparams(x="delete from notes"),
    text("UPDATE products SET name = 'x'"),
    text("DELETE FROM products WHERE name = 'my_notes_x'"),
    update(Product).values(name="x"),
    delete(Product),
    insert(Product).values(id=2, name="x"),
    insert(Product).from_select(["id", "name"], select(Note.id + 5, Note.text)),
    update(Product).values(name=select(Note.text).where(Note.id == 1).scalar_subquery()),
    delete(Product).where(Product.id.in_(select(Note.id))),
]


@pytest.mark.parametrize("statement", HARMLESS, ids=str)
def test_what_writes_to_no_owned_table_is_executed(session: Session, anonymous: Visitor, statement: Any) -> None:
    guard(session, anonymous)
    session.execute(statement)
    assert anonymous.asked == 0


def test_a_lock_in_text(session: Session, database: str) -> None:
    if database != "sqlite":
        session.execute(text("SELECT * FROM notes FOR UPDATE"))
        session.execute(text("SELECT * FROM notes FOR NO KEY UPDATE"))


def test_create_table(session: Session) -> None:
    Base.metadata.create_all(session.connection())
    other = MetaData()
    Table("others", other, *(column.copy() for column in ()))
    with pytest.raises(NotOwned):
        Base.metadata.drop_all(session.connection())
    session.rollback()


def test_a_class_that_is_declared_later(session: Session, engine: Engine, database: str) -> None:
    mapped = registry()

    @mapped.mapped
    class Late:
        __table__ = Table(f"late_{database}", mapped.metadata, Column("id", Integer, primary_key=True))

    mapped.metadata.drop_all(engine)
    mapped.metadata.create_all(engine)
    session.execute(update(Late).values(id=5))
    owned_by("id")(Late)
    for statement in (update(Late).values(id=5), text(f"DELETE FROM late_{database}")):
        with pytest.raises(NotOwned):
            session.execute(statement)


def test_values_that_are_the_owner() -> None:
    assert is_owner(1, 1)
    assert is_owner("1", 1)
    assert is_owner("1", "1")
    for value, owner in ((True, 1), (1.0, 1), ("01", 1), (1, "1"), (None, 1), (None, "None"), ("1 ", "1")):
        assert not is_owner(value, owner)


class TestNobody:
    @pytest.fixture
    def session(self, session: Session, anonymous: Visitor) -> Session:
        return guard(session, anonymous)

    def test_owned_statements(self, session: Session, refused: Refused, ada: Visitor) -> None:
        refused(lambda: session.execute(owned(ada, update(Note).values(text="x"))), NotLoggedIn)
        refused(lambda: session.execute(owned(ada, insert(Note).values(text="x"))), NotLoggedIn)
        refused(lambda: session.execute(owned(ada, delete(Note))), NotLoggedIn)

    def test_others(self, session: Session, refused: Refused) -> None:
        refused(lambda: session.execute(update(Note).values(text="x")))


def test_a_log_out_in_between(session: Session, refused: Refused, ada: Visitor) -> None:
    statement = owned(ada, delete(Note))
    ada.userid = None
    refused(lambda: session.execute(statement), NotLoggedIn)
    ada.userid = str(BOB)
    refused(lambda: session.execute(statement), NotOwned)


def test_the_refusal_leaves_the_session_usable(session: Session, ada: Visitor, engine: Engine) -> None:
    with pytest.raises(NotOwned) as caught:
        session.execute(update(Note).values(text="x"))
    assert str(caught.value) == (
        "UPDATE of 'notes', whose rows have owners, was refused: it was not made with owned(). Use owned(request, "
        "statement) or objects of the logged-in user; for what is not on their behalf, unowned(dbsession, reason=...)"
    )
    session.execute(owned(ada, update(Note).values(text="new")))
    session.commit()
    assert texts(engine) == ["new", "new", "one of 8", "two of 8"]


class TestSessions:
    def test_scoped(self, engine: Engine, ada: Visitor, refused: Refused) -> None:
        scoped = scoped_session(sessionmaker(engine))
        assert guard(scoped, ada) is scoped
        refused(lambda: scoped.execute(delete(Note)), session=scoped())
        scoped.execute(owned(ada, delete(Note)))
        scoped.remove()

    def test_no_session(self, ada: Visitor) -> None:
        with pytest.raises(TypeError, match="not a Visitor"):
            guard(ada, ada)

    def test_in_use(self, engine: Engine, ada: Visitor, refused: Refused) -> None:
        session = Session(engine)
        session.execute(select(Note))
        guard(session, ada)
        refused(lambda: session.execute(delete(Note)), session=session)

    def test_in_use_with_a_savepoint(self, engine: Engine, ada: Visitor, refused: Refused) -> None:
        session = Session(engine)
        session.execute(select(Note))
        session.begin_nested()
        guard(session, ada)
        refused(lambda: session.execute(delete(Note)), session=session)

    def test_in_use_with_no_connection_yet(self, engine: Engine, ada: Visitor, refused: Refused) -> None:
        session = Session(engine)
        session.begin()
        guard(session, ada)
        refused(lambda: session.execute(delete(Note)), session=session)

    def test_after_commit_and_close(self, session: Session, refused: Refused) -> None:
        session.commit()
        refused(lambda: session.execute(delete(Note)))
        session.close()
        refused(lambda: session.execute(delete(Note)))

    def test_shared_by_requests(self, session: Session, ada: Visitor, refused: Refused) -> None:
        """As the tests of the cookiecutter do."""
        bob = Visitor(BOB)
        session.execute(owned(ada, update(Note).values(stars=1)))
        guard(session, bob)
        session.execute(owned(bob, update(Note).values(stars=1)))
        session.commit()
        refused(lambda: session.execute(owned(ada, update(Note).values(stars=2))))

    def test_others_are_not_guarded(self, session: Session, engine: Engine, ada: Visitor) -> None:
        session.execute(owned(ada, select(Note)))
        with Session(engine) as other:
            other.execute(update(Note).values(text="x"))
            other.rollback()
        with engine.begin() as connection:
            connection.execute(update(Note).where(Note.id == 0).values(text="x"))

    def test_several_at_once(self, engine: Engine, ada: Visitor, database: str) -> None:
        bob = Visitor(BOB)
        with guard(Session(engine), ada) as first, guard(Session(engine), bob) as second:
            first.execute(owned(ada, select(Note)))
            second.execute(owned(bob, select(Note)))
            for session, theirs in ((first, bob), (second, ada)):
                with pytest.raises(NotOwned):
                    session.execute(owned(theirs, delete(Note)))

    def test_on_one_connection(self, engine: Engine, ada: Visitor, stored: Any, database: str) -> None:
        """As in a test that rolls everything back in the end."""
        if database == "sqlite":
            pytest.skip("its driver begins no transaction for a savepoint")
        before = stored()
        with engine.connect() as connection:
            connection.begin()
            for visitor in (ada, Visitor(BOB)):
                with guard(Session(connection, join_transaction_mode="create_savepoint"), visitor) as session:
                    session.execute(owned(visitor, update(Note).values(text=f"by {visitor.userid}")))
                    with pytest.raises(NotOwned):
                        session.execute(update(Note).values(text="x"))
                    session.commit()
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                session.execute(delete(Draft))
            connection.rollback()
        assert stored() == before

    def test_a_subclass_and_an_engine_with_options(self, engine: Engine, ada: Visitor, refused: Refused) -> None:
        class Mine(Session):
            pass

        session = guard(sessionmaker(engine.execution_options(a=1), class_=Mine)(), ada)
        refused(lambda: session.execute(delete(Note)), session=session)

    def test_a_database_in_memory(self, ada: Visitor) -> None:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        Base.metadata.create_all(engine)
        with guard(Session(engine), ada) as session, pytest.raises(NotOwned):
            session.execute(delete(Note))
        engine.dispose()

    def test_other_listeners(self, session: Session, engine: Engine, ada: Visitor) -> None:
        seen = []
        event.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
        session.execute(owned(ada, delete(Note)))
        assert "notes.person_id = " in seen[-1]


def test_threads(engine: Engine, database: str) -> None:
    if database == "sqlite":
        pytest.skip("one writer at a time")
    failures: list[BaseException] = []

    def work(person: int) -> None:
        visitor, other = Visitor(person), Visitor(ADA + BOB - person)
        try:
            for number in range(30):
                with guard(Session(engine), visitor) as session:
                    session.execute(owned(visitor, update(Note).values(text=f"{number} of {person}")))
                    with pytest.raises(NotOwned):
                        session.execute(owned(other, update(Note).values(text="x")))
                    session.commit()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=work, args=(person,)) for person in (ADA, BOB) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert texts(engine) == ["29 of 7"] * 2 + ["29 of 8"] * 2


def test_the_cursor_is_closed(session: Session) -> None:
    closed = []

    class Cursor:
        def close(self) -> None:
            closed.append(True)

    from pyramid_sessionkit.owned.listeners import _before_cursor_execute

    class Context:
        compiled = None
        statement = "DELETE FROM notes"
        parameters = [()]
        no_parameters = False
        execution_options: dict[str, Any] = {}
        dialect = session.connection().dialect

    connection: Connection = session.connection()
    with pytest.raises(NotOwned):
        _before_cursor_execute(connection, Cursor(), "", (), Context(), False)
    assert closed == [True]


def test_thing_by_its_subclass(session: Session, refused: Refused, ada: Visitor) -> None:
    assert session.execute(owned(ada, update(Thing).values(text="x"))).rowcount == 3
    session.rollback()
    refused(lambda: session.execute(update(Thing).values(text="x")))


@pytest.mark.parametrize("how", ["EXPLAIN", "EXPLAIN (COSTS OFF)", "EXPLAIN QUERY PLAN"])
def test_plans_of_queries_are_shown(session: Session, database: str, how: str) -> None:
    if ("QUERY" in how) == (database == "sqlite") or how == "EXPLAIN":
        assert session.execute(text(f"{how} SELECT * FROM notes")).all()


def test_plans_of_writes_are_not_executed(session: Session, refused: Refused) -> None:
    refused(lambda: session.execute(text("EXPLAIN ANALYZE DELETE FROM notes")), match="was refused")
