"""Sessions on the store that is tested, as requests have them."""

from __future__ import annotations

import contextlib
from typing import Any

from pyramid_sessionkit import testing
from pyramid_sessionkit.exceptions import SessionConflict
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import Settings

TRIES = 4


def open_session(store: Any, key: str) -> Session:
    """The session as one request has it."""
    return testing.open_session(_persistence(store), key)


def new_session(store: Any) -> str:
    """The key of a new session."""
    session = testing.new_session(_persistence(store))
    session["made"] = True
    session.save()
    return session.key


def write_key(store: Any, key: str, number: int) -> None:
    session = open_session(store, key)
    session[f"key{number}"] = number
    save(session)


def save(session: Session) -> None:
    """Save, and again if others were first for too long: on a busy machine, that may be few times."""
    for _ in range(TRIES):
        with contextlib.suppress(SessionConflict):
            return session.save()
    raise AssertionError(f"others changed the session again and again, in {TRIES} tries")


def _persistence(store: Any) -> Persistence:
    return Persistence(store, Settings(secret=(b"never used" * 4,)))
