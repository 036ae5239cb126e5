"""What can be guarded, for how long, and where ``unowned`` lifts it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, delete, insert, select, text, update
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pyramid_sessionkit.owned import NotOwned, guard, owned, unowned
from pyramid_sessionkit.stores.sql_table import sessions_table
from tests.owned.conftest import Visitor, texts
from tests.owned.models import ADA, BOB, Note, Person


class Request:
    """One that ends, which the visitors of the other tests do not."""

    authenticated_userid = str(ADA)


def refuses(session: Any) -> bool:
    try:
        session.execute(update(Note).where(Note.id == 0).values(text="x"))
    except NotOwned:
        return True
    return False


class TestKinds:
    def test_a_scoped_session_after_remove(self, engine: Engine, ada: Visitor) -> None:
        scoped = guard(scoped_session(sessionmaker(engine)), ada)
        for _ in range(3):
            assert refuses(scoped)
            scoped.execute(owned(ada, update(Note).values(text="new")))
            scoped.commit()
            scoped.remove()
        assert texts(engine) == ["new", "new", "one of 8", "two of 8"]

    def test_a_scoped_session_is_guarded_for_its_thread(self, engine: Engine, ada: Visitor) -> None:
        scoped = guard(scoped_session(sessionmaker(engine)), ada)
        found: list[bool] = []
        thread = Thread(target=lambda: (found.append(refuses(scoped)), scoped.remove()))
        thread.start()
        thread.join()
        assert found == [False]
        assert refuses(scoped)
        scoped.remove()

    def test_a_scoped_session_keeps_its_methods(self, engine: Engine, ada: Visitor) -> None:
        scoped = guard(scoped_session(sessionmaker(engine)), ada)
        scoped.remove()
        scoped.configure(autoflush=False)
        assert scoped().autoflush is False
        assert refuses(scoped)
        scoped.remove()

    def test_the_next_request_has_its_own_user(self, engine: Engine, ada: Visitor) -> None:
        scoped = scoped_session(sessionmaker(engine))
        for person in (ADA, BOB):
            visitor = Visitor(person)
            guard(scoped, visitor)
            scoped.execute(owned(visitor, update(Note).values(text=f"by {person}")))
            scoped.commit()
            scoped.remove()
        assert texts(engine) == ["by 7", "by 7", "by 8", "by 8"]

    def test_a_sessionmaker(self, engine: Engine, ada: Visitor) -> None:
        plain = sessionmaker(engine, info={"mine": 1})
        maker = guard(plain, ada)
        with plain() as free:
            assert not refuses(free)
        with maker() as one, maker() as other:
            assert refuses(other)
            assert refuses(one)
            assert one.info["mine"] == 1
            one.add(Note(text="new", person_id=ADA))
            with unowned(one, reason="test"):
                assert not refuses(one)
                assert refuses(other)
            one.commit()

    def test_a_connection(self, engine: Engine, ada: Visitor) -> None:
        with engine.connect() as connection:
            assert guard(connection, ada) is connection
            assert refuses(connection)
            connection.execute(owned(ada, update(Note).values(text="new")))
            with unowned(connection, reason="test"):
                assert not refuses(connection)
            assert refuses(connection)
            connection.commit()
        with engine.connect() as connection:
            assert not refuses(connection)
        assert texts(engine) == ["new", "new", "one of 8", "two of 8"]


class TestTheRequest:
    def test_is_not_kept_alive(self, engine: Engine) -> None:
        request = Request()
        with guard(Session(engine), request) as session:
            session.execute(owned(request, update(Note).values(text="new")))
            request.session = session  # type: ignore[attr-defined]  # as reify does
            gc.collect()
            gc.disable()
            try:
                del request
                with pytest.raises(NotOwned, match="is gone"):
                    session.execute(owned(Visitor(ADA), update(Note).values(text="x")))
                with unowned(session, reason="clean up"):
                    session.execute(delete(Note))
                session.rollback()
            finally:
                gc.enable()


class TestLifting:
    def test_a_suspended_generator_is_guarded_outside(self, session: Session) -> None:
        def names() -> Iterator[str]:
            with unowned(session, reason="list"):
                session.execute(update(Note).values(stars=1))
                for note in session.scalars(select(Note)):
                    yield note.text
                session.execute(update(Note).values(stars=2))

        found = names()
        next(found)
        assert refuses(session)
        assert len(list(found)) == 3
        assert refuses(session)

    def test_an_abandoned_generator_is_forgotten(self, session: Session) -> None:
        def names() -> Iterator[int]:
            with unowned(session, reason="list"):
                yield 1
                yield 2

        found = names()
        next(found)
        del found
        assert refuses(session)

    def test_a_context_manager_of_ones_own(self, session: Session) -> None:
        @contextmanager
        def as_admin() -> Iterator[None]:
            with unowned(session, reason="admin"):
                yield

        @contextmanager
        def as_root() -> Iterator[None]:
            with as_admin():
                yield

        for lifts in (as_admin, as_root):
            with lifts():
                assert not refuses(session)
                self.helper(session)
            assert refuses(session)

    def helper(self, session: Session) -> None:
        assert not refuses(session)

    def test_an_exit_stack_and_a_decorator(self, session: Session) -> None:
        with ExitStack() as stack:
            stack.enter_context(unowned(session, reason="test"))
            assert not refuses(session)
        assert refuses(session)

        @unowned(session, reason="test")
        def work() -> bool:
            return refuses(session)

        assert not work()
        assert refuses(session)

    def test_other_threads_are_guarded(self, session: Session) -> None:
        found: list[bool] = []
        with unowned(session, reason="test"):
            thread = Thread(target=lambda: found.append(refuses(session)))
            thread.start()
            thread.join()
        assert found == [True]

    def test_a_generator_that_is_called_inside_is_lifted(self, session: Session) -> None:
        def names() -> Iterator[bool]:
            yield refuses(session)

        with unowned(session, reason="test"):
            assert not next(names())


class TestWithoutAGuard:
    """What ``owned`` made is judged in any case."""

    @pytest.fixture
    def session(self, engine: Engine) -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    @pytest.mark.parametrize(
        "attempt",
        [
            lambda session, ada: session.execute(owned(ada, update(Note).values(person_id=BOB))),
            lambda session, ada: session.execute(owned(ada, update(Note)).values(person_id=BOB)),
            lambda session, ada: session.execute(owned(ada, update(Note)), {"person_id": BOB}),
            lambda session, ada: session.execute(owned(ada, insert(Note)), {"text": "x", "person_id": BOB}),
            lambda session, ada: session.execute(owned(ada, insert(Note)), [{"text": "x", "person_id": BOB}]),
            lambda session, ada: session.execute(owned(ada, insert(Note)), {"text": "x", "sessionkit_owner_1": BOB}),
            lambda session, ada: session.execute(owned(ada, select(Note)).suffix_with("OR 1 = 1")).all(),
            lambda session, ada: session.execute(select(owned(ada, select(Note)).subquery())).all(),
        ],
    )
    def test_it_is_refused_or_without_effect(
        self, session: Session, ada: Visitor, engine: Engine, attempt: Any
    ) -> None:
        with engine.connect() as connection:
            before = connection.execute(select(Note.__table__).where(Note.person_id == BOB)).all()
        try:
            attempt(session, ada)
        except NotOwned:
            session.rollback()
        session.commit()
        with engine.connect() as connection:
            assert connection.execute(select(Note.__table__).where(Note.person_id == BOB)).all() == before

    def test_the_rest_is_executed(self, session: Session) -> None:
        session.execute(update(Note).values(text="x"))
        session.execute(text("DELETE FROM notes"))


def test_joined_mode_is_not_in_the_way(session: Session) -> None:
    """Its table is in a MetaData without owners, and SQLAlchemy knows it."""
    table = sessions_table(MetaData())
    table.create(session.connection())
    session.execute(delete(table))


def test_a_person_may_be_read_by_others(session: Session) -> None:
    assert session.get_one(Person, BOB).name == "person 8"
