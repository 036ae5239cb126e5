"""Who is logged in where: list, revoke and count the sessions of one user, or of all."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from pyramid.interfaces import ISecurityPolicy

from pyramid_sessionkit.contents.serializer import Serializer
from pyramid_sessionkit.exceptions import NotSupported, SessionGone
from pyramid_sessionkit.in_use import factory_of, session_of
from pyramid_sessionkit.interfaces import CREDENTIALS_NOT_KNOWN, FIRST, IListable, IPurgeable, IUserIndex, Record
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.purging import purge
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id.carriers import KeyCarrier
from pyramid_sessionkit.session_id.tokens import is_no_session
from pyramid_sessionkit.state import Condition, Ending

Item = TypeVar("Item")


@dataclass(frozen=True)
class SessionInfo:
    """A stored session. Times are in epoch seconds; ``expires`` is None where nothing limits it."""

    key: str
    userid: str | None
    created: int
    renewed: int
    expires: int | None
    current: bool
    """Whether it is the session of the request that asks."""
    contents: Mapping[str, Any]
    """Read-only; empty if they cannot be decoded, and in :meth:`Sessions.all`."""


class UserSessions:
    """The sessions of the logged-in user, and of nobody else: what :func:`user_sessions` returns."""

    def __init__(self, request: Any) -> None:
        self._request = request

    @property
    def _userid(self) -> str | None:
        userid: str | None = self._request.authenticated_userid
        return userid

    @property
    def _session(self) -> Session:
        return session_of(self._request)

    def list(self) -> list[SessionInfo]:
        """Those that are alive, by time of login; none for an anonymous visitor.

        Those whose credentials have changed since their login are left out: their next request ends them.
        """
        session = self._session
        persistence = session.work.persistence
        current = None if session.new else session.key
        # A user whom another source has named, and not this session, may be logged in with any credentials.
        judges = session.userid is not None and session.userid == self._userid and self._compares_credentials
        return [
            _info(persistence.serializer, key, record, current)
            for key, record in persistence.all_in_force(self._stored())
            # What this request has changed about its own session is not stored yet.
            if not judges or key == current or record.credentials in (session.credentials, CREDENTIALS_NOT_KNOWN)
        ]

    @property
    def _compares_credentials(self) -> bool:
        # Another policy may keep there what it likes, and what nothing ends must not be hidden.
        policy = self._request.registry.queryUtility(ISecurityPolicy)
        return isinstance(policy, SessionSecurityPolicy) and policy.compares_credentials

    def revoke(self, key: str) -> bool:
        """End one of them, after the view; False if there is none of this user with that key."""
        if self._userid is None or not _is_key(key):
            return False
        record = self._session.work.persistence.store.load(key)
        if record is None or record.userid != self._userid:
            return False
        self._end([(key, record)])
        return True

    def revoke_others(self) -> int:
        """End all but that of this request, after the view, and return how many those are."""
        return self._end([(key, record) for key, record in self._stored() if key != self._session.key])

    def revoke_all(self) -> int:
        """End all, that of this request too, after the view, and return how many those are."""
        return self._end(builtins.list(self._stored()))

    def _stored(self) -> Iterable[tuple[str, Record]]:
        """Also those that a lowered idle timeout has ended: it may be raised again, and they must be revoked too."""
        _user_index(factory_of(self._request.registry).persistence.store)
        return [] if self._userid is None else self._session.work.persistence.store.sessions_of(self._userid)

    def _end(self, stored: builtins.list[tuple[str, Record]]) -> int:
        for key, record in stored:
            self._session.work.end_other(key, record, "revoked")
        return len(stored)


def user_sessions(request: Any) -> UserSessions:
    """Where the logged-in user of this request is logged in: list those sessions, and end them."""
    return UserSessions(request)


class Sessions:
    """All sessions of an application, for scripts and ``pshell``. Nothing here waits for the end of a request."""

    def __init__(self, persistence: Persistence, session_class: type[Session] = Session) -> None:
        self._persistence = persistence
        self._session_class = session_class
        self.settings = persistence.settings
        self.store = persistence.store

    def of_user(self, userid: str) -> list[SessionInfo]:
        """The sessions of a user that are alive, by time of login."""
        stored = _user_index(self.store).sessions_of(userid)
        return [self._info(key, record) for key, record in self._persistence.all_in_force(stored)]

    def keys_of(self, userid: str) -> builtins.list[str]:
        """The keys of all that a user has stored, to revoke them: also those that a lowered idle timeout has ended."""
        return [key for key, _ in _user_index(self.store).sessions_of(userid)]

    def all(self, limit: int) -> list[SessionInfo]:
        """Those that are alive, ``limit`` at most, without their contents; :meth:`get` has those of one.

        First those that never expire, then those that expire last: where all have the same timeout, those used last.
        """
        return [self._info(key, record) for key, record in self._live(limit)]

    def _live(self, limit: int) -> builtins.list[tuple[str, Record]]:
        in_force = self._persistence.all_in_force
        return _first(
            _listable(self.store).live_sessions,
            lambda found: in_force(item for item in found if not is_no_session(item[0])),
            limit,
        )

    def get(self, key: str) -> SessionInfo | None:
        """The session with this key; None if there is none that is alive.

        A mark is none. To revoke one would let an old cookie in again.
        """
        record = self._persistence.load(key, True) if _is_of_session(key) else None
        return None if record is None else self._info(key, record)

    def keys_beginning_with(self, prefix: str, limit: int = 2) -> list[str]:
        """The keys of live sessions that begin so, ``limit`` at most."""
        store = _listable(self.store)
        return _first(
            lambda asked: store.find_keys(prefix, asked),
            lambda found: [key for key in found if not is_no_session(key)],
            limit,
        )

    def open(self, key: str) -> Session:
        """The session with this key, to read and change; call its ``save()``. See :doc:`/howto/tasks`.

        Raises :exc:`~pyramid_sessionkit.SessionGone` if none that is alive has this key. What is saved is merged with
        what requests save at the same time. It does not restart the idle timeout, unless ``touch()`` is called.
        """
        if not _is_of_session(key):
            # It is not shown: it may be a cookie.
            raise SessionGone("No session has such a key: pass session.key, and not the cookie or the ID")
        session = self._session_class(self._persistence, KeyCarrier(key))
        session.do_not_renew()
        session.work.read()
        return session

    def revoke(self, key: str) -> bool:
        """End a session; False if there was none. One that a lowered idle timeout has ended is removed too."""
        record = self.store.load(key, True) if _is_of_session(key) else None
        if record is None:
            return False
        return self._persistence.end(Ending(key, record.userid, "revoked", Condition.ALWAYS, record))

    def count(self, expired: bool = False) -> int:
        """How many are alive; or how many have expired and wait to be purged. It goes by what is stored.

        So a session that a lowered idle timeout has ended is still counted as alive.
        """
        return int(_listable(self.store).count(expired))

    def purge(self, limit: int | None = None) -> int:
        """Remove expired ones, ``limit`` at most, and return how many.

        Where somebody subscribes to :class:`~pyramid_sessionkit.SessionEnded`, one is published for each, with the
        reason ``expired``.
        """
        return purge(_purgeable(self.store), self._persistence.events, limit)

    def contents_as_json(self, info: SessionInfo) -> dict[str, Any]:
        """The contents of a session in types of JSON alone, as they are stored: ``{"~date": "2026-11-22"}``."""
        return self._persistence.serializer.as_json(dict(info.contents))  # type: ignore[no-any-return]

    def _info(self, key: str, record: Record) -> SessionInfo:
        return _info(self._persistence.serializer, key, record)


def get_sessions(registry: Any, name: str = FIRST) -> Sessions:
    """All sessions of the application with this registry: ``get_sessions(request.registry)``.

    ``name``: of the sessions that ``config.add_session`` has added.
    """
    factory = factory_of(registry, name)
    return Sessions(factory.persistence, factory.session_class)


_is_key = re.compile("[A-Za-z0-9_-]{22,64}").fullmatch


def _is_of_session(key: str) -> bool:
    """Whether a session may have this key: marks and traces have others."""
    return _is_key(key) is not None and not is_no_session(key)


def _info(serializer: Serializer, key: str, record: Record, current: str | None = None) -> SessionInfo:
    try:
        contents = serializer.loads(record.data)
    except ValueError:
        contents = {}
    return SessionInfo(
        key, record.userid, record.created, record.renewed, record.expires, key == current, MappingProxyType(contents)
    )


def _first(
    find: Callable[[int], Iterable[Item]], kept: Callable[[Iterable[Item]], builtins.list[Item]], limit: int
) -> builtins.list[Item]:
    """The first that are found and kept: a short list might have nothing but marks of adopted sessions and traces."""
    if limit < 0:
        raise ValueError(f"limit is 0 or more, not {limit}")
    asked = limit
    while True:
        found = list(find(asked))
        sessions = kept(found)[:limit]
        if len(sessions) == limit or len(found) < asked:
            return sessions
        asked *= 4


def _user_index(store: Any) -> Any:
    if not IUserIndex.providedBy(store):
        raise NotSupported("This store cannot list the sessions of a user: memory, redis, sql and cached_sql can")
    return store


def _listable(store: Any) -> Any:
    if not IListable.providedBy(store):
        raise NotSupported("This store cannot list or count its sessions: memory, redis, sql and cached_sql can")
    return store


def _purgeable(store: Any) -> Any:
    if not IPurgeable.providedBy(store):
        raise NotSupported("This store has nothing to purge: memory, sql and cached_sql can")
    return store
