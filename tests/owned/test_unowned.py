"""``unowned``: what is lifted, when, and what is written down of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pyramid_sessionkit.owned import NotOwned, guard, unowned
from tests.owned.conftest import Visitor, texts
from tests.owned.models import ADA, BOB, Note, Person

Refused = Callable[..., None]


def test_a_sign_up(session: Session, anonymous: Visitor, engine: Engine, refused: Refused) -> None:
    guard(session, anonymous)
    with unowned(session, reason="sign-up"):
        person = Person(name="new", notes=[Note(text="welcome")])
        session.add(person)
    assert person.id > BOB
    session.commit()
    assert "welcome" in texts(engine)
    refused(lambda: session.execute(delete(Note)))


def test_statements(session: Session, engine: Engine, refused: Refused) -> None:
    with unowned(session, "clean up"):
        session.execute(update(Note).values(text="new"))
        session.connection().exec_driver_sql("UPDATE notes SET stars = 1")
        session.bulk_update_mappings(Note, [{"id": 11, "text": "bulk"}])
    session.commit()
    assert texts(engine) == ["bulk", "new", "new", "new"]
    refused(lambda: session.execute(update(Note).values(text="x")))


def test_what_was_pending_before_is_refused(session: Session, refused: Refused) -> None:
    def attempt() -> None:
        session.get_one(Note, 11).text = "new"
        with unowned(session, "clean up"):
            raise AssertionError("not reached")

    refused(attempt)


def test_what_was_done_inside_is_written_inside(session: Session, engine: Engine, refused: Refused) -> None:
    session.autoflush = False
    note = session.get_one(Note, 11)
    with unowned(session, "clean up"):
        note.text = "new"
    session.commit()
    assert "new" in texts(engine)
    note.text = "again"
    refused(session.flush)


def test_nested(session: Session, refused: Refused) -> None:
    with unowned(session, "outer"):
        with unowned(session, "inner"):
            session.execute(update(Note).values(text="x"))
        session.execute(update(Note).values(text="y"))
    session.rollback()
    refused(lambda: session.execute(update(Note).values(text="x")))


def test_an_exception_restores_the_guard(session: Session, refused: Refused) -> None:
    def attempt() -> None:
        with unowned(session, "outer"):
            session.get_one(Note, 11).text = "new"
            raise ValueError

    refused(attempt, ValueError)
    refused(lambda: session.execute(update(Note).values(text="x")))

    def pending() -> None:
        note = session.get_one(Note, 11)
        with pytest.raises(ValueError), unowned(session, "outer"):  # noqa: PT012
            note.text = "new"
            raise ValueError
        session.flush()

    refused(pending)


def test_a_flush_that_fails_restores_the_guard(session: Session, refused: Refused) -> None:
    with pytest.raises(Exception, match=r"(?i)not null"), unowned(session, "outer"):
        session.add(Note(person_id=BOB))
    session.rollback()
    refused(lambda: session.execute(update(Note).values(text="x")))


def test_a_guard_that_is_put_on_inside_is_not_lifted(session: Session, ada: Visitor, refused: Refused) -> None:
    def attempt() -> None:
        with unowned(session, "test"):
            guard(session, ada)
            session.execute(update(Note).values(text="x"))

    refused(attempt)
    refused(lambda: session.execute(update(Note).values(text="x")))


def test_other_sessions_stay_guarded(session: Session, engine: Engine, ada: Visitor) -> None:
    with guard(Session(engine), ada) as other, unowned(session, "test"), pytest.raises(NotOwned):
        other.execute(delete(Note))


@pytest.mark.parametrize("reason", ["", "  ", None, 1])
def test_a_reason_is_needed(session: Session, reason: str) -> None:
    with pytest.raises(TypeError, match="reason"), unowned(session, reason):
        raise AssertionError("not reached")


def test_no_session(ada: Visitor) -> None:
    with pytest.raises(TypeError, match="Session"), unowned(ada, "test"):
        raise AssertionError("not reached")


def test_scoped(engine: Engine, ada: Visitor) -> None:
    scoped = guard(scoped_session(sessionmaker(engine)), ada)
    with unowned(scoped, "test"):
        scoped.execute(update(Note).values(text="x"))
    with pytest.raises(NotOwned):
        scoped.execute(update(Note).values(text="x"))
    scoped.remove()


def test_without_a_guard_it_flushes_too(engine: Engine) -> None:
    with Session(engine) as session:
        with unowned(session, "script"):
            note = Note(text="x", person_id=BOB)
            session.add(note)
        assert note.id is not None
        session.rollback()


def test_it_is_logged(session: Session, engine: Engine, anonymous: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with unowned(session, "sign-up"):
        pass
    with unowned(guard(session, anonymous), "visit"):
        pass
    with unowned(Session(engine), "script"):
        pass
    assert caplog.messages == [
        f"unowned: sign-up (user {ADA})",
        "unowned: visit (nobody is logged in)",
        "unowned: script (the session has no guard)",
    ]
    caplog.set_level("WARNING", "pyramid_sessionkit")
    with unowned(session, "silent"):
        pass
    assert len(caplog.messages) == 3
