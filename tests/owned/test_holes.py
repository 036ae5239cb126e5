"""What a guard cannot see: each hole that ``docs/howto/owned.rst`` tells of, and that it is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from pyramid_sessionkit.owned import owned
from tests.owned.conftest import Visitor, texts
from tests.owned.models import ADA, BOB, Folder, Note, Product, note_tags

DOCS = Path(__file__).parent.parent.parent / "docs/howto/owned.rst"


def on_postgresql(test: Any) -> Any:
    return pytest.mark.servers(pytest.mark.parametrize("database", ["postgresql"])(test))


@on_postgresql
def test_text_that_is_spelled_differently(session: Session, engine: Engine) -> None:
    session.execute(text("DO $$ BEGIN EXECUTE 'UPD' || 'ATE no' || 'tes SET text = ''x'''; END $$"))
    session.execute(text("""UPDATE U&"not\\0065s" SET stars = 1"""))
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


def test_the_cursor_of_the_driver(session: Session, engine: Engine) -> None:
    driver: Any = session.connection().connection
    driver.cursor().execute("UPDATE notes SET text = 'x'")
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


def test_a_lie_about_what_is_stored(session: Session, engine: Engine) -> None:
    note = session.get_one(Note, 11)
    set_committed_value(note, "person_id", ADA)
    note.text = "x"
    session.commit()
    lie = text("SELECT id, 'y' AS text, stars, 7 AS person_id, folder_id FROM notes WHERE id = 12")
    other = session.scalars(select(Note).from_statement(lie)).one()
    other.text = "x"
    session.commit()
    assert texts(engine)[2:] == ["x", "x"]


def test_reading(session: Session, ada: Visitor) -> None:
    assert len(session.scalars(select(Note)).all()) == 4
    assert session.get_one(Note, 11).person_id == BOB
    note = session.scalars(owned(ada, select(Note).where(Note.id == 1))).one()
    assert len(note.person.notes) == 2


def test_each_is_documented() -> None:
    part = re.split(r"\n-+\n", DOCS.read_text(encoding="utf-8").partition("What it cannot see\n")[2])[0]
    holes = [name for name in globals() if name.startswith("test_") and name != "test_each_is_documented"]
    assert len(re.findall(r"^- ", part, re.MULTILINE)) == len(holes)
