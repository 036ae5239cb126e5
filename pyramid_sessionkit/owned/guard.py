"""``guard``: which sessions and connections write no owned rows but those of the logged-in user."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Set
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary, ref

from pyramid.interfaces import ISecurityPolicy
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pyramid_sessionkit.exceptions import NotOwned

INFO = "pyramid_sessionkit.guard"
"""Where the ``info`` of a session holds its :class:`Guard`."""


Guarded = TypeVar("Guarded")


def guard(dbsession: Guarded, request: Any, policies: bool = False) -> Guarded:
    """Let a session write no rows with an owner but those of the user who is logged in to ``request``.

    Takes a :class:`~sqlalchemy.orm.Session`, a ``scoped_session`` or a :class:`~sqlalchemy.Connection`, and returns it,
    for ``return guard(get_tm_session(...), request)``; for a ``sessionmaker`` it returns another one, whose sessions
    are guarded. Who is logged in is asked when something is written. What is refused raises :class:`NotOwned`, or
    :class:`NotLoggedIn` if it would be fine for somebody who is logged in. Called again for a session, it guards it for
    the other request. The request is not kept alive: once it is gone, no row with an owner is written.

    With ``policies`` it tells PostgreSQL who the user is, for the row-level security of :func:`owned_policies`. It
    raises :exc:`~pyramid.exceptions.ConfigurationError` where that would keep nothing.
    """
    if isinstance(dbsession, sessionmaker):
        return _guarded_maker(dbsession, request, policies)  # type: ignore[return-value]
    if isinstance(dbsession, Connection):
        guard_connection(dbsession, request, policies)
        return dbsession
    session = dbsession() if isinstance(dbsession, scoped_session) else dbsession
    if not isinstance(session, Session):
        raise TypeError(f"guard() needs a Session or a Connection of SQLAlchemy, not a {type(session).__name__}")
    guard_session(session, request, policies)
    if isinstance(dbsession, scoped_session):
        GuardedFactory.guard(dbsession)
    return dbsession


def _guarded_maker(maker: sessionmaker[Any], request: Any, policies: bool) -> sessionmaker[Any]:
    # It belongs to no session; each that is made gets its own of it.
    info = {**(maker.kw.get("info") or {}), INFO: Guard(ref(request), None, policies)}
    return sessionmaker(class_=maker.class_, **{**maker.kw, "info": info})


class Guard:
    """For whom one session or connection is guarded.

    It does not keep the request alive, which holds the session: that would be a cycle of references.
    """

    any_policies: ClassVar[bool] = False
    """Whether row-level security is on for any guard of this process."""

    __slots__ = ("_asking", "_guarded", "_request", "compared", "in_flush", "lifted_in", "parents", "policies")

    def __init__(self, request: ref[Any], guarded: Session | Connection | None, policies: bool) -> None:
        self._request = request
        Guard.any_policies = Guard.any_policies or policies
        self.policies = policies
        """Whether row-level security is on, which has to be told who the user is."""
        self._guarded = None if guarded is None else ref(guarded)
        self._asking = False
        self.in_flush = False
        """Whether a flush has begun. SQLAlchemy does not tell when one fails early, or has nothing to do."""
        self.parents: Set[Any] = frozenset()
        """The keys of rows that were just found to be the user's, whose subclasses' rows are about to be added."""
        self.compared: ref[Any] | None = None
        """The statement of many rows that was compared last."""
        self.lifted_in: tuple[Any, ...] = ()
        """The frames of the functions that are in a block of ``unowned``."""

    def guarded(self) -> Session | Connection | None:
        """The session or connection; None for those of a ``sessionmaker``, each of which gets a guard of its own."""
        return None if self._guarded is None else self._guarded()

    def userid(self) -> str | None:
        """Who is logged in now. The identity function may read through the session that asks."""
        request = self._request()
        if request is None:
            raise NotOwned(
                "The request that this session was guarded for is gone, so nobody is logged in who could write: flush "
                "what it changed before it ends"
            )
        if self._asking:
            raise NotOwned(
                "The function that finds out who is logged in writes to owned rows itself; let it do so in unowned()"
            )
        self._asking = True
        session = self.guarded()
        flushes = getattr(session, "autoflush", False)
        try:
            if flushes:
                # What is pending would be written as that of a user who is not known yet.
                session.autoflush = False  # type: ignore[union-attr]
            found: str | None = request.authenticated_userid
            return found
        finally:
            self._asking = False
            if flushes:
                session.autoflush = True  # type: ignore[union-attr]

    def claimed_userid(self) -> str | None:
        """For whom the database shows rows: who is logged in, or whose identity is being found out."""
        request = self._request()
        if request is None:
            return None
        policy = request.registry.queryUtility(ISecurityPolicy) if hasattr(request, "registry") else None
        claimed: str | None = getattr(policy, "unauthenticated_userid", lambda request: None)(request)
        return self.userid() if claimed is None and not self._asking else claimed

    @property
    def flushing(self) -> bool:
        session = self.guarded()
        return self.in_flush and isinstance(session, Session) and session._flushing

    @property
    def is_gone(self) -> bool:
        return self._request() is None

    @property
    def is_asking(self) -> bool:
        return self._asking

    def is_lifted(self) -> bool:
        """Whether a function that is in a block of ``unowned`` is running, or has called what is running.

        A generator that was suspended inside such a block is not.
        """
        if not self.lifted_in:
            return False
        frame: Any = sys._getframe(1)
        while frame is not None:
            if frame in self.lifted_in:
                return True
            frame = frame.f_back
        return False

    def for_session(self, session: Session) -> Guard:
        return Guard(self._request, session, self.policies)


def guard_of(session: Session) -> Guard | None:
    found: Guard | None = session.info.get(INFO)
    if found is not None and found.guarded() is not session:  # of a sessionmaker
        found = session.info[INFO] = found.for_session(session)
    return found


_of_connections: WeakKeyDictionary[Connection, Guard] = WeakKeyDictionary()

_sessions: WeakKeyDictionary[Connection, tuple[ref[Session], ...]] = WeakKeyDictionary()
"""Which sessions use a connection: one, but for sessions that were bound to a connection."""


def guard_connection(connection: Connection, request: Any, policies: bool) -> None:
    _of_connections[connection] = Guard(ref(request), connection, policies)


def connection_guard(connection: Connection) -> Guard | None:
    return _of_connections.get(connection)


def guard_session(session: Session, request: Any, policies: bool) -> None:
    session.info[INFO] = Guard(ref(request), session, policies)


@event.listens_for(Session, "after_begin")
def _after_begin(session: Session, transaction: Any, connection: Connection) -> None:
    users = _sessions.get(connection, ())
    if not any(user() is session for user in users):
        _sessions[connection] = (*(user for user in users if user() is not None), ref(session))


def guards_of(connection: Connection) -> list[Guard]:
    """Those that are in force for a statement that a connection is about to execute."""
    own = _of_connections.get(connection) if _of_connections else None
    found = [] if own is None else [own]
    return found + [guard for session in sessions_of(connection) if (guard := guard_of(session)) is not None]


def sessions_of(connection: Connection) -> Iterator[Session]:
    for user in _sessions.get(connection, ()):
        session = user()
        if session is not None and session.in_transaction():
            yield session


class GuardedFactory:
    """Makes the sessions of a ``scoped_session``, so that one that is made after ``remove()`` is guarded too."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._guard: ContextVar[Guard | None] = ContextVar("guard", default=None)

    def __call__(self, **named: Any) -> Session:
        session: Session = self._make(**named)
        guard = self._guard.get()
        if guard is not None:
            session.info[INFO] = guard.for_session(session)
        return session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make, name)

    @staticmethod
    def guard(scoped: scoped_session[Any]) -> None:
        """Guard the sessions that are made from now on, in this thread or context, as the present one is."""
        factory: Any = scoped.session_factory
        if not isinstance(factory, GuardedFactory):
            factory = GuardedFactory(factory)
            scoped.session_factory = scoped.registry.createfunc = factory
        factory._guard.set(guard_of(scoped()))
