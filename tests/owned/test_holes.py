"""What a guard cannot see: each hole that ``docs/howto/owned.rst`` names, and that it is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pyramid_sessionkit.owned import guard, owned, owned_by
from tests.owned.conftest import Visitor, texts
from tests.owned.models import BOB, Folder, Note, Product, note_tags

DOCS = Path(__file__).parent.parent.parent / "docs/howto/owned.rst"


class Base(DeclarativeBase):
    pass


@owned_by("person_id")
class Letter(Base):
    """Names its schema."""

    __tablename__ = "epistles"
    __table_args__ = {"schema": "main"}
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int]


archived_letters = Table("epistles", Base.metadata, Column("person_id", Integer), schema="archive")
note_texts = Table("note_texts", Base.metadata, Column("text", String))
"""A view of notes."""


def on_postgresql(test: Any) -> Any:
    return pytest.mark.servers(pytest.mark.parametrize("database", ["postgresql"])(test))


@contextmanager
def made(engine: Engine, kind: str, name: str, definition: str) -> Iterator[None]:
    """Something of the database that is there for a while."""
    with engine.begin() as connection:
        connection.execute(text(f"CREATE {kind} {name} {definition}"))
    yield
    with engine.begin() as connection:
        connection.execute(text(f"DROP {kind} {name} CASCADE"))


def driver_of(session: Session) -> Any:
    return session.connection().connection


@on_postgresql
def test_functions_that_write(session: Session, engine: Engine) -> None:
    with made(engine, "FUNCTION", "overwrite()", "RETURNS void LANGUAGE sql AS $$UPDATE notes SET text = 'x'$$"):
        session.execute(select(func.overwrite()))
        session.commit()
    assert set(texts(engine)) == {"x"}


def test_triggers(session: Session, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TRIGGER t AFTER UPDATE ON products BEGIN UPDATE notes SET text = 'x'; END"))
    session.get_one(Product, 1).name = "new"
    session.commit()
    assert set(texts(engine)) == {"x"}


def test_foreign_keys_of_the_database(session: Session, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE notes ADD product_id INTEGER REFERENCES products(id) ON DELETE CASCADE"))
        connection.execute(text("UPDATE notes SET product_id = 1 WHERE id = 12"))
    session.delete(session.get_one(Product, 1))
    session.commit()
    assert "two of 8" not in texts(engine)


def test_other_connections(session: Session, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(Note).values(text="x"))
    with Session(engine) as other:
        other.execute(update(Note).values(text="y"))
        other.commit()
    assert set(texts(engine)) == {"y"}


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def test_the_connection_of_the_driver(session: Session, engine: Engine) -> None:
    cursor = driver_of(session).cursor()
    cursor.execute("UPDATE notes SET text = 'x'")
    if engine.dialect.name == "postgresql":
        with cursor.copy("COPY notes (text, stars, person_id) FROM STDIN") as copy:
            copy.write_row(("x", 0, BOB))
    session.commit()
    assert set(texts(engine)) == {"x"}


def test_listeners_that_change_the_sql(session: Session, engine: Engine) -> None:
    def change(connection: Connection, cursor: Any, sql: str, parameters: Any, *rest: Any) -> Any:
        return sql.replace("products", "notes"), parameters

    event.listen(engine, "before_cursor_execute", change, retval=True)
    session.execute(delete(Product))
    session.commit()
    assert texts(engine) == []


@on_postgresql
def test_modes_of_the_connection(engine: Engine, ada: Visitor) -> None:
    """The name of a table that has no owner is that of a view, in another schema that is looked at first."""
    options = {"options": "-c search_path=elsewhere,public"}
    with made(engine, "SCHEMA", "elsewhere", "CREATE VIEW products AS SELECT id, text AS name FROM public.notes"):
        other = create_engine(engine.url, connect_args=options)
        with guard(Session(other), ada) as session:
            session.execute(update(Product).values(name="x"))
            session.commit()
        other.dispose()
    assert set(texts(engine)) == {"x"}


def test_temporary_tables(session: Session, ada: Visitor) -> None:
    """A copy of everyone's rows, as if they were Ada's."""
    driver_of(session).cursor().execute("CREATE TEMP TABLE notes AS SELECT id, text, 7 AS person_id FROM main.notes")
    assert len(session.execute(owned(ada, select(Note.text))).all()) == 4


@on_postgresql
def test_views_without_an_owner(session: Session, engine: Engine) -> None:
    with made(engine, "VIEW", "note_texts", "AS SELECT text FROM notes"):
        session.execute(update(note_texts).values(text="x"))
        session.commit()
    assert set(texts(engine)) == {"x"}


def test_association_tables(session: Session) -> None:
    note = session.get_one(Note, 11)
    note.tags.clear()
    session.commit()
    assert session.scalars(select(note_tags.c.note_id)).all() == [1]


def test_references_to_rows_of_others(session: Session) -> None:
    session.get_one(Note, 1).folder_id = 11
    session.commit()
    assert [note.text for note in session.get_one(Folder, 11).notes] == ["one of 7", "one of 8"]


def test_another_schema(engine: Engine, ada: Visitor) -> None:
    event.listen(engine, "connect", lambda connection, _: connection.execute("ATTACH ':memory:' AS archive"))
    with guard(Session(engine), ada) as session:
        driver_of(session).cursor().execute("CREATE TABLE archive.epistles (person_id INTEGER)")
        session.execute(insert(archived_letters).values(person_id=BOB))
        session.execute(update(archived_letters).values(person_id=0))
        assert session.scalars(select(archived_letters)).all() == [0]


def test_reading(session: Session, ada: Visitor) -> None:
    assert len(session.scalars(select(Note)).all()) == 4
    assert session.get_one(Note, 11).person_id == BOB


def test_each_is_documented() -> None:
    part = re.split(r"\n-+\n", DOCS.read_text(encoding="utf-8").partition("What it cannot see\n")[2])[0]
    holes = [name for name in globals() if name.startswith("test_") and name != "test_each_is_documented"]
    assert len(re.findall(r"^- ", part, re.MULTILINE)) == len(holes)
