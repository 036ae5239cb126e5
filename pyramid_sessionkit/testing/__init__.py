"""What users test with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyramid_sessionkit.add_session_type import checked_type
from pyramid_sessionkit.contents.serializer import Serializer
from pyramid_sessionkit.contents.session_types import SessionType
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id.carriers import KeyCarrier
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.testing.logins import login, logout
from pyramid_sessionkit.testing.mockable_session import mockable
from pyramid_sessionkit.testing.one_request import in_request

__all__ = ["SessionType", "in_request", "login", "logout", "make_session", "new_session", "open_session"]


def make_session(
    contents: dict[str, Any] | None = None,
    userid: str | None = None,
    types: Iterable[SessionType] = (),
    session_class: type[Session] = Session,
) -> Session:
    """A session for a unit test, in a store of its own: ``DummyRequest(session=make_session({"cart": {}}))``.

    Its methods can be mocked: ``session.flash = Mock()``.
    ``types`` are those that the application adds with ``config.add_session_type``, with the same four arguments:
    ``[SessionType(Money, "money", Money.dump, Money.load)]``.
    ``session_class`` is the class that ``sessionkit.session_class`` names.
    """
    serializer = Serializer(checked_type(one) for one in types)
    persistence = Persistence(MemoryStore(), Settings(secret=(b"never used",)), serializer=serializer)
    session = mockable(session_class)(persistence, KeyCarrier())
    session.update(contents or {})
    if userid is not None:
        session.login(userid)
    session.save()
    return session


def new_session(persistence: Persistence) -> Session:
    """A new and empty session, as of a visitor who comes for the first time."""
    return Session(persistence, KeyCarrier())


def open_session(persistence: Persistence, key: str) -> Session:
    """The session with this key, as one request has it."""
    return Session(persistence, KeyCarrier(key))
