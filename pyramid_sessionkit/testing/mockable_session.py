"""A session of which a test may replace methods."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pyramid_sessionkit.session import Session


class MockableSession(Session):
    """A :class:`~pyramid_sessionkit.Session` with room for mocks: ``session.flash = Mock()``.

    What would fail in production fails here too: a name that sessions do not have, and a property that is set.
    """

    # No __slots__: that is where the mocks are kept.

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if isinstance(getattr(type(self), name, None), property):
                raise AttributeError(_property(name))
            super().__setattr__(name, value)


@cache
def mockable(session_class: type[Session]) -> type[Session]:
    """The same class, with room for mocks."""
    if session_class is Session:
        return MockableSession
    return type(session_class.__name__, (MockableSession, session_class), {})


def _property(name: str) -> str:
    instead = 'make_session(userid="ada") and session.login("ada") set it, and ' if name == "userid" else ""
    return (
        f"The {name} of a session cannot be set by assignment: {instead}"
        f'mock.patch.object(type(session), "{name}", ...) replaces it'
    )
