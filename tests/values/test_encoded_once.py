"""What a request wrote is encoded once until it changes again: each way to change it counts as a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.testing import new_session, open_session


@pytest.fixture
def persistence(make_persistence: Callable[..., Persistence]) -> Persistence:
    return make_persistence(MemoryStore())


@pytest.fixture
def session(persistence: Persistence) -> Session:
    """One that has been saved once in this request, and of which no list or dict is in the view's hands."""
    session = new_session(persistence)
    session.update(a=1, b=2)
    session.save()
    assert not session.work.mutable
    return session


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.__setitem__("a", 5),
        lambda session: session.update(c=5),
        lambda session: session.setdefault("c", 5),
        lambda session: session.__delitem__("a"),
        lambda session: session.pop("a"),
        lambda session: session.popitem(),
        lambda session: session.clear(),
        lambda session: session.__ior__({"c": 5}),
        lambda session: session.apply("a", lambda n: n + 1),
        lambda session: session.new_csrf_token(),
        lambda session: session.flash("saved"),
    ],
)
def test_every_change_after_a_save_is_saved(persistence: Persistence, session: Session, change: Any) -> None:
    session["d"] = 1
    session.work.plan()  # encoded, and then changed again before it is saved
    change(session)
    session.save()
    expected = session.copy()
    assert expected != {"a": 1, "b": 2, "d": 1}
    assert open_session(persistence, session.key).copy() == expected


@pytest.mark.parametrize(
    "taken",
    [
        lambda session: session["list"],
        lambda session: session.get("list"),
        lambda session: next(iter(session.values())),
        lambda session: dict(session.items())["list"],
        lambda session: session.setdefault("list", []),
        lambda session: session.apply("list", lambda items: items),
    ],
)
def test_a_list_that_was_taken_may_change_at_any_time(session: Session, persistence: Persistence, taken: Any) -> None:
    session.clear()
    session["list"] = []
    session.save()
    again = open_session(persistence, session.key)
    items = taken(again)
    again.save()
    items.append(1)
    again.save()
    assert open_session(persistence, session.key)["list"] == [1]


def test_a_list_that_was_put_may_change_at_any_time(session: Session, persistence: Persistence) -> None:
    session["list"] = items = [1]
    session.save()
    items.append(2)
    session.save()
    assert open_session(persistence, session.key)["list"] == [1, 2]


def test_a_list_may_change_between_encoding_and_saving(session: Session, persistence: Persistence) -> None:
    session["list"] = items = [1]
    session.work.plan()
    items.append(2)
    session.save()
    assert open_session(persistence, session.key)["list"] == [1, 2]


def test_what_was_merged_in_stays_though_a_subscriber_fails(
    session: Session, persistence: Persistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_session(persistence, session.key)
    other["c"] = 3
    other.save()
    session["a"] = 5
    session.regenerate_id()

    def fail(event: Any) -> None:
        raise RuntimeError("of a subscriber")

    with monkeypatch.context() as patched:
        patched.setattr(persistence, "tell", fail)
        with pytest.raises(RuntimeError):
            session.save()
    session.save()
    assert open_session(persistence, session.key).copy() == {"a": 5, "b": 2, "c": 3}


def test_nothing_of_an_ended_session_is_stored_in_the_next(session: Session) -> None:
    session["secret"] = 1
    session.work.plan()
    session.invalidate()
    session.changed()
    session.save()
    assert session.new


def test_a_reload_drops_what_was_encoded(session: Session, persistence: Persistence) -> None:
    session["a"] = 5
    session.work.plan()
    session.reload()
    session.changed()
    session.save()
    assert open_session(persistence, session.key).copy() == {"a": 1, "b": 2}


def test_a_rolled_back_savepoint_drops_what_was_encoded(session: Session, persistence: Persistence) -> None:
    session["c"] = 3
    before = session.work.snapshot()
    session["a"] = 5
    session.work.plan()
    session.work.restore(before)
    session.save()
    assert open_session(persistence, session.key).copy() == {"a": 1, "b": 2, "c": 3}


def test_contents_are_encoded_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session["d"] = 1
    serializer, encoded = session.work.persistence.serializer, []
    dumps = serializer.dumps
    monkeypatch.setattr(serializer, "dumps", lambda value: encoded.append(value) or dumps(value))
    session.work.plan()
    session.save()
    assert len(encoded) == 1
