"""The guard of one session: for whom it stands, and what it knows of the flush that is going on."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy.orm import Session, scoped_session

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.models import Ownership
from pyramid_sessionkit.owned.userids import OwnerId

INFO = "pyramid_sessionkit.guard"
"""Where the ``info`` of a session holds its :class:`Guard`."""


class Guard:
    """``lifted`` counts the blocks of ``unowned`` that the session is in."""

    __slots__ = ("_asking", "approved", "flushing", "lifted", "request", "untrusted")

    def __init__(self, request: Any, untrusted: WeakSet[Any] | None = None) -> None:
        self.request = request
        self.lifted = 0
        self.flushing = False
        self.approved: set[tuple[Any, ...]] = set()
        """The primary keys of rows that this flush may change: a table, and the values."""
        self.untrusted = untrusted
        """The states of objects that were not loaded from the database; None until there is one."""
        self._asking = False

    def userid(self) -> str | None:
        """Who is logged in now. The identity function may read through the session that asks."""
        if self._asking:
            raise NotOwned(
                "The function that finds out who is logged in writes to owned rows itself; let it do so in unowned()"
            )
        self._asking = True
        try:
            found: str | None = self.request.authenticated_userid
            return found
        finally:
            self._asking = False

    @property
    def is_asking(self) -> bool:
        return self._asking

    def owner(self, ownership: Ownership) -> OwnerId:
        """The value of the owner's column in the user's rows; raises :class:`NotLoggedIn` if nobody is logged in."""
        return ownership.owner(self.userid())

    def distrust(self, state: Any) -> None:
        if self.untrusted is None:
            self.untrusted = WeakSet()
        self.untrusted.add(state)

    def trusts(self, state: Any) -> bool:
        return self.untrusted is None or state not in self.untrusted

    def begin_flush(self) -> None:
        self.flushing = True
        self.approved.clear()

    def end_flush(self) -> None:
        self.flushing = False


def guard_of(session: Session) -> Guard | None:
    found: Guard | None = session.info.get(INFO)
    return found


def plain(dbsession: Any) -> Session:
    """The session behind a ``scoped_session``, or itself."""
    session = dbsession() if isinstance(dbsession, scoped_session) else dbsession
    if not isinstance(session, Session):
        raise TypeError(f"This needs a Session of SQLAlchemy, not a {type(dbsession).__name__}")
    return session


def is_owner(value: Any, owner: OwnerId) -> bool:
    """Whether a value given to the owner's column is the user's id; where that is a number, text of it counts too."""
    if isinstance(owner, int) and isinstance(value, str):
        return value == str(owner)
    return isinstance(value, type(owner)) and not isinstance(value, bool) and value == owner
