"""The sessions of a request: those that our factories made for it, whatever the application makes of them.

An application may have a session factory of its own that calls ours and puts something around its session. What is
saved is what our factories remember.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.interfaces import FIRST
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from pyramid_sessionkit.factory import SessionFactory

FACTORIES = "pyramid_sessionkit.factories"
"""Where the registry has the session factories of ours, by the names of their sessions."""

IN_USE = "_sessionkit_in_use"
"""Where the ``__dict__`` of a request has the sessions that it has asked for, by the factories that made them."""

InUse = dict["SessionFactory", Session]


def sessions_in_use(request: Any) -> dict[str, UnitOfWork]:
    """What the request does to each session that it has asked for, by the names of these."""
    in_use: InUse = request.__dict__.get(IN_USE, {})
    return {factory.name: session.work for factory, session in in_use.items()}


def work_of(request: Any) -> UnitOfWork | None:
    """What the request does to its first session; None if it has not asked for that."""
    session = _first_in_use(request)
    return None if session is None else session.work


def session_of(request: Any) -> Session:
    """The session behind ``request.session``, which may be something that the application has put around it."""
    session = find_session(request)
    if session is None:
        raise ConfigurationError(
            f"request.session is a {type(request.session).__name__}, which cannot hold a login: remove the other "
            "session factory, or use pyramid_sessionkit.testing.make_session() in a unit test"
        )
    return session


def find_session(request: Any) -> Session | None:
    """The same; None where another session factory than ours made it."""
    session = request.session
    return session if isinstance(session, Session) else _first_in_use(request)


def factory_of(registry: Any, name: str = FIRST) -> SessionFactory:
    """The factory of ours for the session with this name."""
    factories: dict[str, SessionFactory] = registry.get(FACTORIES, {})
    if not factories:
        raise ConfigurationError(
            "The application with this registry has no sessions of pyramid_sessionkit: "
            'config.include("pyramid_sessionkit") plugs them in, in a unit test too'
        )
    if name not in factories:
        raise ConfigurationError(
            f"This application has no session {name!r}; it has {', '.join(sorted(factories))}. "
            f'config.add_session("{name}") would add it'
        )
    return factories[name]


def _first_in_use(request: Any) -> Session | None:
    in_use: InUse = request.__dict__.get(IN_USE, {})
    return next((session for factory, session in in_use.items() if factory.name == FIRST), None)
