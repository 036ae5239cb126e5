"""What a flush of a guarded session refuses."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, func, literal, not_, or_, select, text, true, update
from sqlalchemy.orm import Session, make_transient, make_transient_to_detached, selectinload
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError

from pyramid_sessionkit.owned import NotLoggedIn, NotOwned, guard, owned, unowned
from tests.owned.conftest import DATABASES, Visitor, texts
from tests.owned.models import (
    ADA,
    BOB,
    UUIDS,
    Badge,
    Book,
    Draft,
    Folder,
    Line,
    Note,
    Person,
    Product,
    Sheet,
    Tag,
    Thing,
    Token,
)

Refused = Callable[..., None]


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def own() -> list[Any]:
    return [
        Note(text="new", person_id=ADA),
        Note(text="new", person_id=str(ADA)),
        Note(text="new", person_id=literal(ADA)),
        Folder(name="new", owner=ADA, notes=[Note(text="new", person_id=ADA)]),
        Line(person_id=ADA, number=2, text="new"),
        Thing(text="new", person_id=ADA),
        Sheet(text="new", person_id=ADA),
        Book(id=4, book_id=4, text="new", person_id=ADA, pages=2),
        Draft(text="new", person_id=ADA),
    ]


def of_bob() -> list[Any]:
    return [
        Note(text="new", person_id=BOB),
        Note(text="new", person_id=str(BOB)),
        Note(text="new"),
        Note(text="new", person_id=" 7"),
        Note(text="new", person_id=literal(BOB)),
        Note(text="new", person_id=literal(ADA) + 1),
        Note(text="new", person=Person(id=9, name="new")),
        Folder(name="new", owner=ADA, notes=[Note(text="new", person_id=BOB)]),
        Folder(name="new", owner=BOB),
        Line(person_id=BOB, number=2, text="new"),
        Thing(text="new", person_id=BOB),
        Sheet(text="new", person_id=BOB),
        Book(id=4, book_id=4, text="new", person_id=BOB, pages=2),
        Person(id=9, name="new"),
        Person(name="new"),
    ]


@pytest.mark.parametrize("number", range(len(own())))
def test_own_objects(session: Session, number: int) -> None:
    new = own()[number]
    session.add(new)
    session.commit()
    for name in ("text", "name"):
        if hasattr(new, name):
            setattr(new, name, "changed")
    if isinstance(new, Book):
        new.pages = 3
    session.commit()
    session.delete(new)
    session.commit()


@pytest.mark.parametrize("number", range(len(of_bob())))
def test_new_objects_of_others(session: Session, refused: Refused, number: int) -> None:
    session.add(of_bob()[number])
    refused(session.flush, match="would add")


LOADED: list[tuple[Any, Any]] = [
    (Note, 11),
    (Folder, 11),
    (Person, BOB),
    (Line, (BOB, 1)),
    (Thing, 11),
    (Sheet, 12),
    (Book, 13),
    (Draft, 11),
]
ids = [f"{model.__name__}" for model, _ in LOADED]


def change(instance: Any) -> None:
    name = "name" if hasattr(instance, "name") else "text"
    setattr(instance, name, "changed")


@pytest.mark.parametrize(("model", "key"), LOADED, ids=ids)
def test_changes_of_others(session: Session, refused: Refused, model: Any, key: Any) -> None:
    change(session.get_one(model, key))
    refused(session.flush, match="would change")


@pytest.mark.parametrize(("model", "key"), LOADED, ids=ids)
def test_changes_of_others_that_are_expired(session: Session, refused: Refused, model: Any, key: Any) -> None:
    instance = session.get_one(model, key)
    session.expire(instance)
    change(instance)
    refused(session.flush, match="would change")


@pytest.mark.parametrize(("model", "key"), LOADED, ids=ids)
def test_deleting_those_of_others(session: Session, refused: Refused, model: Any, key: Any) -> None:
    instance = session.get_one(model, key)
    with session.no_autoflush:
        session.delete(instance)
    refused(session.flush, match="would (delete|change|give away)")


def test_many_at_once(session: Session, refused: Refused, engine: Engine) -> None:
    new = [Note(text=f"new {number}", person_id=ADA) for number in range(2500)]
    session.add_all(new)
    session.commit()
    for note in session.scalars(select(Note).where(Note.id > 12)):
        note.text = "changed"
    session.commit()
    assert texts(engine).count("changed") == 2500
    notes = session.scalars(select(Note).order_by(Note.id)).all()
    for note in notes:
        note.text = "x"
    refused(session.flush)


def test_only_the_table_of_the_subclass(session: Session, refused: Refused) -> None:
    session.get_one(Book, 13).pages = 9
    refused(session.flush)
    session.get_one(Book, 3).pages = 9
    session.commit()


def test_expired_ones_of_his_own(session: Session, engine: Engine) -> None:
    note = session.get_one(Note, 1)
    book = session.get_one(Book, 3)
    session.commit()
    note.text = "changed"
    book.pages = 2
    session.commit()
    session.delete(note)
    session.commit()
    assert texts(engine) == ["one of 8", "two of 7", "two of 8"]


class TestOwners:
    @pytest.mark.parametrize("owner", [BOB, None, str(BOB), literal(BOB), literal(ADA) + 1, True, 7.0])
    def test_are_not_changed(self, session: Session, refused: Refused, owner: Any) -> None:
        session.get_one(Note, 1).person_id = owner
        if owner == 7.0 and isinstance(owner, float):
            session.flush()  # no net change
        else:
            refused(session.flush, match="would give away")

    def test_are_not_deleted(self, session: Session, refused: Refused) -> None:
        del session.get_one(Note, 1).person_id
        refused(session.flush, KeyError)  # of SQLAlchemy

    def test_are_not_changed_when_expired(self, session: Session, refused: Refused) -> None:
        note = session.get_one(Note, 11)
        session.expire(note)
        note.person_id = ADA
        refused(session.flush, match="would change")

    def test_are_not_taken(self, session: Session, refused: Refused) -> None:
        session.get_one(Note, 11).person_id = ADA
        refused(session.flush, match="would change")

    def test_may_be_set_again(self, session: Session) -> None:
        note = session.get_one(Note, 1)
        note.person_id, note.text = str(ADA), "x"  # type: ignore[assignment]
        session.commit()
        assert note.person_id == ADA

    def test_by_another_name(self, session: Session, refused: Refused) -> None:
        session.get_one(Folder, 1).owner = BOB
        refused(session.flush, match=r"Folder\.owner")

    def test_by_relationship(self, session: Session, refused: Refused) -> None:
        session.get_one(Note, 1).person = session.get_one(Person, BOB)
        refused(session.flush, match="would give away")

    def test_taken_by_relationship(self, session: Session, refused: Refused) -> None:
        person = session.get_one(Person, ADA)
        person.notes.append(session.get_one(Note, 11))
        refused(session.flush, match="would change")

    def test_removed_from_a_collection(self, session: Session, refused: Refused) -> None:
        person = session.get_one(Person, ADA)
        person.notes.pop()
        refused(session.flush, match="would give away")

    def test_of_new_ones_by_relationship(self, session: Session, engine: Engine) -> None:
        person = session.get_one(Person, ADA)
        session.add(Note(text="a", person=person))
        person.notes.append(Note(text="b"))
        session.add(Note(text="c", person=person, folder=Folder(name="new", person=person)))
        session.commit()
        assert texts(engine)[:3] == ["a", "b", "c"]

    def test_of_new_ones_by_relationship_to_others(self, session: Session, refused: Refused) -> None:
        person = session.get_one(Person, BOB)
        person.notes.append(Note(text="a"))
        refused(session.flush, match="would add")
        session.add(Note(text="a", person=session.get_one(Person, BOB)))
        refused(session.flush, match="would add")

    def test_key_of_oneself(self, session: Session, refused: Refused) -> None:
        session.get_one(Person, ADA).id = 9
        refused(session.flush)

    def test_composite_key(self, session: Session, refused: Refused) -> None:
        session.get_one(Line, (ADA, 1)).person_id = BOB
        refused(session.flush, match="would give away")
        session.get_one(Line, (ADA, 1)).number = 5
        session.commit()


class TestCascades:
    def test_deleting_a_parent_sets_foreign_keys(self, session: Session, refused: Refused) -> None:
        session.execute(text("SELECT 1"))
        person = session.get_one(Person, ADA)
        session.delete(person)
        refused(session.flush, match="would (give away|delete|change)")

    def test_orphans_of_others(self, engine: Engine, session: Session, refused: Refused) -> None:
        with Session(engine) as setup:
            setup.get_one(Note, 11).folder_id = 1
            setup.commit()
        folder = session.get_one(Folder, 1)
        folder.notes.clear()
        refused(session.flush, match="would delete")
        session.delete(session.get_one(Folder, 1))
        refused(session.flush, match="would delete")

    def test_own_orphans(self, session: Session, engine: Engine) -> None:
        folder = session.get_one(Folder, 1)
        folder.notes.clear()
        session.commit()
        assert texts(engine) == ["one of 8", "two of 7", "two of 8"]
        session.delete(session.get_one(Folder, 1))
        session.commit()

    def test_a_move_into_his_folder(self, session: Session, refused: Refused) -> None:
        folder = session.get_one(Folder, 1)
        folder.notes.append(session.get_one(Note, 12))
        refused(session.flush, match="would change")

    def test_tags(self, session: Session) -> None:
        first, second = session.get_one(Note, 1), session.get_one(Note, 2)
        first.tags.clear()
        second.tags.append(Tag(name="new"))
        session.commit()

    def test_post_update(self, session: Session, refused: Refused) -> None:
        session.get_one(Folder, 11).cover = session.get_one(Note, 1)
        refused(session.flush)
        session.get_one(Folder, 1).cover = session.get_one(Note, 1)
        session.commit()
        session.get_one(Folder, 1).cover = None
        session.commit()

    def test_post_update_by_a_deletion(self, engine: Engine, session: Session, refused: Refused) -> None:
        """Its row is not among the objects that an event is told of."""
        with Session(engine) as setup:
            setup.get_one(Folder, 11).cover_id = 1
            setup.get_one(Folder, 1).cover_id = 2
            setup.commit()
        session.get_one(Folder, 11).cover = None
        refused(session.flush)
        session.get_one(Folder, 1).cover = None
        session.commit()


class TestForged:
    """Objects that say of themselves that they are this user's."""

    def test_merged(self, session: Session, refused: Refused) -> None:
        session.merge(Note(id=11, text="new", person_id=ADA))
        refused(session.flush, match="would change")

    def test_merged_without_owner(self, session: Session, refused: Refused) -> None:
        session.merge(Note(id=11, text="new"))
        refused(session.flush, match="would change")

    def test_merged_for_another(self, session: Session, refused: Refused) -> None:
        session.merge(Note(id=1, person_id=BOB))
        refused(session.flush, match="would give away")

    def test_merged_of_his_own(self, session: Session, engine: Engine) -> None:
        session.merge(Note(id=1, text="new", person_id=ADA))
        session.merge(Note(id=50, text="new", person_id=ADA))
        session.commit()
        assert texts(engine)[:2] == ["new", "new"]

    @staticmethod
    def detached(key: int, **given: Any) -> Note:
        note = Note(id=key, text="x", stars=0, **given)
        make_transient_to_detached(note)
        return note

    def test_detached(self, session: Session, refused: Refused) -> None:
        note = self.detached(11, person_id=ADA, folder_id=None)
        session.add(note)
        note.text = "new"
        refused(session.flush, match="would change")

    def test_detached_and_deleted(self, session: Session, refused: Refused) -> None:
        session.delete(self.detached(11, person_id=ADA, folder_id=None))
        refused(session.flush, match="would delete")

    def test_detached_with_merge(self, session: Session, refused: Refused) -> None:
        note = session.merge(self.detached(11, person_id=ADA, folder_id=None), load=False)
        note.text = "new"
        refused(session.flush, match="would change")

    def test_detached_of_his_own(self, session: Session, engine: Engine) -> None:
        note = self.detached(1, person_id=ADA, folder_id=None)
        session.add(note)
        note.text = "new"
        session.commit()
        assert "new" in texts(engine)

    def test_detached_of_a_row_that_is_not_there(self, session: Session, refused: Refused) -> None:
        note = self.detached(99, person_id=ADA, folder_id=None)
        session.add(note)
        note.text = "new"
        refused(session.flush, StaleDataError)

    def test_unpickled(self, session: Session, refused: Refused) -> None:
        note = session.get_one(Note, 11)
        note.__dict__["person_id"] = ADA
        session.expunge(note)
        again = pickle.loads(pickle.dumps(note))
        session.add(again)
        again.text = "new"
        refused(session.flush, match="would change")

    def test_from_another_session(self, session: Session, engine: Engine, refused: Refused) -> None:
        with Session(engine) as other:
            note = other.get_one(Note, 11)
            note.person_id = ADA
            other.expunge(note)
        note.text = "new"
        session.add(note)
        refused(session.flush, match="would change")

    def test_made_transient(self, session: Session, refused: Refused) -> None:
        note = session.get_one(Note, 11)
        make_transient(note)
        session.add(note)
        refused(session.flush, match="would add")

    def test_before_it_was_guarded(self, engine: Engine, ada: Visitor, refused: Refused) -> None:
        session = Session(engine)
        note = self.detached(11, person_id=ADA, folder_id=None)
        session.add(note)
        guard(session, ada)
        note.text = "new"
        refused(session.flush, match="would change", session=session)

    def test_before_it_was_guarded_again(self, session: Session, ada: Visitor, refused: Refused) -> None:
        note = self.detached(11, person_id=ADA, folder_id=None)
        session.add(note)
        guard(session, ada)
        note.text = "new"
        refused(session.flush, match="would change")

    def test_subclasses(self, session: Session, refused: Refused) -> None:
        book = Book(id=13, book_id=13, kind="book", text="x", person_id=ADA, pages=1)
        make_transient_to_detached(book)
        session.add(book)
        book.pages = 2
        refused(session.flush, match="would change")


def test_no_net_change_is_none(session: Session) -> None:
    note = session.get_one(Note, 11)
    note.text = str(note.text)
    note.text, old = "x", note.text
    note.text = old
    session.add(Product(id=2, name="x"))
    session.commit()


def test_reading_others_asks_nobody(session: Session, ada: Visitor) -> None:
    session.get_one(Note, 11)
    session.scalars(select(Note).options(selectinload(Note.person))).all()
    session.refresh(session.get_one(Note, 11))
    session.add(Product(id=2, name="x"))
    session.commit()
    assert ada.asked == 0


def test_nobody(session: Session, anonymous: Visitor, refused: Refused) -> None:
    guard(session, anonymous)
    session.add(Note(text="x", person_id=ADA))
    refused(session.flush, NotLoggedIn)
    session.add(Note(text="x"))
    refused(session.flush, NotLoggedIn)
    session.get_one(Note, 1).text = "x"
    refused(session.flush, NotLoggedIn)
    session.delete(session.get_one(Note, 1))
    refused(session.flush, NotLoggedIn)


def test_owners_of_other_types(engine: Engine, refused: Refused) -> None:
    with guard(Session(engine), Visitor(str(UUIDS[ADA]))) as session:
        session.get_one(Badge, 1).text = "new"
        session.add(Badge(person_uuid=UUIDS[ADA], text="new"))
        session.commit()
        session.get_one(Badge, 11).text = "new"
        refused(session.flush, session=session)
        session.add(Badge(person_uuid=UUIDS[BOB], text="new"))
        refused(session.flush, session=session)
        session.add(Note(text="x", person_id=ADA))
        refused(session.flush, match="no int", session=session)
    with guard(Session(engine), Visitor(ADA)) as session:
        session.get_one(Token, 1).text = "new"
        session.add(Token(login="7", text="new"))
        session.commit()
        session.get_one(Token, 11).text = "new"
        refused(session.flush, session=session)


def test_savepoints(session: Session, engine: Engine, refused: Refused) -> None:
    session.get_one(Note, 1).text = "a"
    savepoint = session.begin_nested()
    session.get_one(Note, 11).text = "new"
    with pytest.raises(NotOwned):
        session.flush()
    savepoint.rollback()
    session.get_one(Note, 1).text = "b"
    session.commit()
    assert texts(engine) == ["b", "one of 8", "two of 7", "two of 8"]
    refused(lambda: session.bulk_update_mappings(Note, [{"id": 11, "text": "x"}]))


def test_a_refused_flush_does_not_open_the_session(session: Session, refused: Refused) -> None:
    session.get_one(Note, 11).text = "new"
    refused(session.flush)
    refused(lambda: session.bulk_update_mappings(Note, [{"id": 1, "text": "x"}]))
    refused(lambda: session.execute(update(Note).values(text="x")))


def test_a_flush_with_nothing_to_do(session: Session, refused: Refused) -> None:
    session.get_one(Note, 1)
    session.flush()
    refused(lambda: session.bulk_insert_mappings(Note, [{"text": "x", "person_id": BOB}]))


class TestEventsOfTheApplication:
    """What they write during a flush may name rows by their keys as well, and reaches the user's alone."""

    @pytest.fixture
    def on_flush(self, session: Session) -> Iterator[Callable[[Any], None]]:
        added: list[Any] = []

        def on_flush(write: Any) -> None:
            def before_update(mapper: Any, connection: Any, target: Any) -> None:
                write(connection)

            event.listen(Note, "before_update", before_update)
            added.append(before_update)

        yield on_flush
        for listener in added:
            event.remove(Note, "before_update", listener)

    def attempt(self, session: Session) -> Callable[[], None]:
        def attempt() -> None:
            session.get_one(Note, 1).text = "new"
            session.flush()

        return attempt

    @pytest.mark.parametrize(
        "statement",
        [
            Note.__table__.update().values(text="x"),
            Note.__table__.update().where(Note.__table__.c.id > 1).values(text="x"),
            Note.__table__.update().where(or_(Note.__table__.c.id == 1, true())).values(text="x"),
            Note.__table__.update().where(not_(Note.__table__.c.id == 1)).values(text="x"),
            Note.__table__.update().where(Note.__table__.c.id == 11).values(text="x"),
            delete(Token),
            delete(Note.__table__),
            text("DELETE FROM tokens"),
        ],
        ids=str,
    )
    def test_statements(self, session: Session, refused: Refused, on_flush: Any, statement: Any) -> None:
        on_flush(lambda connection: connection.execute(statement))
        refused(self.attempt(session), match="was refused|would")

    def test_a_statement_with_an_own_key(self, session: Session, on_flush: Any, engine: Engine) -> None:
        table = Note.__table__
        on_flush(lambda connection: connection.execute(table.update().where(table.c.id == 2).values(text="x")))
        self.attempt(session)()
        session.commit()
        assert texts(engine) == ["new", "one of 8", "two of 8", "x"]

    def test_giving_away_what_was_checked_already(self, session: Session, refused: Refused, on_flush: Any) -> None:
        note = session.get_one(Note, 1)

        def give_away(connection: Any) -> None:
            note.person_id = BOB

        on_flush(give_away)
        note.text = "new"
        refused(session.flush, match="was refused|would")

    def test_giving_away_a_new_one(self, session: Session, refused: Refused) -> None:
        def before_insert(mapper: Any, connection: Any, target: Any) -> None:
            target.person_id = given

        event.listen(Note, "before_insert", before_insert)
        try:
            for given in (BOB, None, literal(ADA) + 1):  # noqa: B007
                session.add(Note(text="x", person_id=ADA))
                refused(session.flush, match="was refused|would")
        finally:
            event.remove(Note, "before_insert", before_insert)

    def test_owned_statements(self, session: Session, on_flush: Any, ada: Visitor) -> None:
        on_flush(lambda connection: connection.execute(owned(ada, update(Token).values(text="x"))))
        self.attempt(session)()

    @pytest.mark.parametrize("row", [{"id": 11, "text": "x"}, {"id": 2, "text": "x", "person_id": BOB}])
    def test_bulk_updates(self, session: Session, refused: Refused, on_flush: Any, row: Any) -> None:
        on_flush(lambda connection: session.bulk_update_mappings(Note, [row]))
        refused(self.attempt(session), match="was refused|would")

    @pytest.mark.parametrize("row", [{"text": "x", "person_id": BOB}, {"text": "x"}, {"text": "x", "person_id": None}])
    def test_bulk_inserts(self, session: Session, refused: Refused, on_flush: Any, row: Any) -> None:
        on_flush(lambda connection: session.bulk_insert_mappings(Note, [row]))
        refused(self.attempt(session), match="was refused|would")

    def test_bulk_updates_of_a_subclass(self, session: Session, refused: Refused, on_flush: Any) -> None:
        on_flush(lambda connection: session.bulk_update_mappings(Book, [{"id": 13, "book_id": 13, "pages": 9}]))
        refused(self.attempt(session), match="was refused|would")


class TestIdentity:
    """Who is logged in may be found out through the session that asks."""

    def visitor(self, session: Session, find: Callable[[], Any]) -> Any:
        class Asking:
            found: str | None = None

            @property
            def authenticated_userid(self) -> str | None:
                if self.found is None:
                    person = find()
                    self.found = None if person is None else str(person.id)
                return self.found

        asking = Asking()
        Visitor.keep(asking)
        return asking

    def test_in_a_flush(self, session: Session, engine: Engine) -> None:
        guard(session, self.visitor(session, lambda: session.get(Person, ADA)))
        session.add(Note(text="new", person_id=ADA))
        session.commit()
        session.get_one(Note, 1).text = "changed"
        guard(session, self.visitor(session, lambda: session.scalar(select(Person).where(Person.id == ADA))))
        session.commit()
        assert texts(engine)[:2] == ["changed", "new"]

    def test_in_a_statement(self, session: Session, ada: Visitor) -> None:
        guard(session, self.visitor(session, lambda: session.scalar(select(Person).where(Person.id == ADA))))
        session.execute(owned(ada, update(Note).values(text="x")))

    def test_with_something_pending(self, session: Session, ada: Visitor, engine: Engine) -> None:
        guard(session, self.visitor(session, lambda: session.scalar(select(Person).where(Person.id == ADA))))
        session.add(Note(text="new", person_id=ADA))
        session.execute(owned(ada, update(Note).values(stars=1)))
        session.commit()
        assert "new" in texts(engine)

    def test_that_writes(self, session: Session, ada: Visitor, refused: Refused) -> None:
        def find() -> Any:
            person = session.get_one(Person, ADA)
            session.execute(owned(ada, update(Person).values(name="seen")))
            return person

        guard(session, self.visitor(session, find))
        refused(lambda: session.execute(owned(ada, update(Note).values(text="x"))), match="writes to owned rows itself")

    def test_that_writes_in_unowned(self, session: Session, ada: Visitor, engine: Engine) -> None:
        def find() -> Any:
            with unowned(session, "last seen"):
                person = session.get_one(Person, ADA)
                person.name = "seen"
            return person

        guard(session, self.visitor(session, find))
        session.execute(owned(ada, update(Note).values(text="x")))
        session.commit()
        with engine.connect() as connection:
            assert connection.scalar(select(func.count()).where(Person.name == "seen")) == 1


def test_versions(session: Session, refused: Refused) -> None:
    draft = session.get_one(Draft, 1)
    draft.text = "new"
    session.commit()
    assert draft.version == 2
    session.delete(draft)
    session.commit()
    session.get_one(Draft, 11).text = "x"
    refused(session.flush)


def hide_the_owner(session: Session) -> Note:
    note = session.get_one(Note, 11)
    set_committed_value(note, "person_id", ADA)
    return note


def load_a_lie(session: Session) -> Note:
    lie = text("SELECT id, text, stars, 7 AS person_id, folder_id FROM notes WHERE id = 12")
    return session.scalars(select(Note).from_statement(lie)).one()


@pytest.mark.parametrize("lie", [hide_the_owner, load_a_lie])
class TestObjectsThatLieAboutTheirOwner:
    def test_are_not_changed(self, session: Session, refused: Refused, lie: Callable[[Session], Note]) -> None:
        lie(session).text = "x"
        refused(session.flush)

    def test_are_not_deleted(self, session: Session, refused: Refused, lie: Callable[[Session], Note]) -> None:
        session.delete(lie(session))
        refused(session.flush)


def test_the_message_tells_what_to_do(session: Session) -> None:
    session.add(Note(text="x", person_id=BOB))
    with pytest.raises(NotOwned) as caught:
        session.flush()
    assert str(caught.value) == (
        "This flush would add a Note that is not the logged-in user's: "
        "set Note.person_id to the id of the logged-in user"
    )
