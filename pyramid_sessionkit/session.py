"""The session that views use: a dict that is read on first use and knows what its request did to it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, ItemsView, Iterator, KeysView, MutableMapping, Sequence, ValuesView
from copy import deepcopy
from dataclasses import replace
from time import time
from typing import Any, Final, NamedTuple

from pyramid.interfaces import ISession
from zope.interface import implementer

from pyramid_sessionkit.events import LoggedIn, SessionCreated, SessionRegenerated
from pyramid_sessionkit.exceptions import SessionClosed, SessionGone, StoreError
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.merge import MISSING, Applied, Function, as_read_back, graft, merge
from pyramid_sessionkit.persistence import TRIED_COOKIES, Found, Persistence, key_of
from pyramid_sessionkit.serializer import EMPTY, Contents, check, dumps, loads
from pyramid_sessionkit.settings import LONGEST_DURATION

log = logging.getLogger("pyramid_sessionkit")

_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_UNSET: Final = type("UNSET", (), {"__repr__": lambda self: "unchanged"})()

CSRF_KEY = "_csrft_"

LONGEST_USERID = 255
"""Characters."""

_FLASH_KEY = "_f_"


class Ending(NamedTuple):
    """A session that is to be ended."""

    key: str
    userid: str | None
    reason: str


@implementer(ISession)
class Session(MutableMapping[str, Any]):
    """The contents of one visitor's session, and what is known about it.

    Nothing is read before the contents are used and nothing stored before something is put into them. Changes are
    saved after the view, with those of other requests that ran meanwhile; see :meth:`save` to do so earlier.
    """

    __slots__ = (
        "_applied",
        "_checked",
        "_closed",
        "_contents",
        "_created",
        "_dropped",
        "_ended",
        "_exposed",
        "_fields",
        "_find_ids",
        "_gone",
        "_id",
        "_invalidated",
        "_key",
        "_new_id",
        "_next_id",
        "_persistence",
        "_proof",
        "_record",
        "_renew",
        "_reverted",
        "_saved",
        "_send",
        "_settled",
        "_start",
        "_written",
    )

    def __init__(
        self,
        persistence: Persistence,
        find_ids: Callable[[], Sequence[str]] = tuple,
        new_id: Callable[[], str] | None = None,
        closed: bool = False,
    ) -> None:
        self._persistence = persistence
        self._find_ids = find_ids
        self._new_id = new_id or generate_id
        self._closed = closed
        self._reverted = False  # it was used in a transaction that was rolled back
        self._reset()

    def _reset(self) -> None:
        """As it was before this request did anything."""
        self._contents: Contents | None = None  # None until it is used
        self._record: Record | None = None  # what is stored
        self._id: str | None = None  # under which ID that is stored; or the ID a new session will have
        self._key = ""
        self._start = EMPTY  # the contents as they were stored
        self._checked: bytes | None = None  # the contents that were found to read back as written
        self._proof: Contents | None = None  # what they read back as
        self._applied: list[Applied] = []
        self._fields: dict[str, Any] = {}  # of the record, that this request sets
        self._next_id: str | None = None  # where regenerate_id moves the record
        self._ended: list[Ending] = []  # sessions that this request ends
        self._invalidated = False
        self._written = False  # something was put into the contents or taken out
        self._exposed = False  # a list or dict of the contents is in the view's hands
        self._renew = False
        self._gone = False  # another request ended it
        self._dropped = False  # nothing more is to be saved
        self._settled = True  # there is nothing left to do for this session
        self._saved = False
        self._send = False  # the browser does not know yet what was saved
        self._created = 0

    # Reading and writing the contents.

    def _read(self) -> Contents:
        contents = self._contents
        return self._adopt(self._persistence.find(self._find_ids())) if contents is None else contents

    def _adopt(self, found: Found | None) -> Contents:
        self._created = int(time())
        self._contents = contents = {} if found is None else found.contents
        if found is None:
            self._settled = not self._persistence.settings.save_uninitialized
        else:
            self._id, self._key, self._record = found.session_id, found.key, found.record
            self._start = found.record.data
            self._settled = not self._renewal_is_due()
        return contents

    def _open(self) -> Contents:
        if self._closed:
            raise SessionClosed(
                "The session was changed after the response callbacks ran, when it could not be saved any more: "
                "change it in the view, a tween or a response callback"
            )
        contents = self._contents
        if contents is None:
            contents = self._read()
        self._settled = False
        return contents

    def _write(self) -> Contents:
        contents = self._open()
        self._written = True
        return contents

    def __getitem__(self, name: str) -> Any:
        contents = self._contents
        value = (self._read() if contents is None else contents)[name]
        if type(value) not in _SCALARS:
            self._exposed = True
        return value

    def get(self, name: str, default: Any = None) -> Any:
        contents = self._contents
        value = (self._read() if contents is None else contents).get(name, default)
        if type(value) not in _SCALARS:
            self._exposed = True
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def keys(self) -> KeysView[str]:
        return self._read().keys()

    def values(self) -> ValuesView[Any]:
        self._exposed = True
        return self._read().values()

    def items(self) -> ItemsView[str, Any]:
        self._exposed = True
        return self._read().items()

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"The keys of a session are text, not {type(name).__name__}")
        self._write()[name] = value
        if type(value) not in _SCALARS:
            self._exposed = True

    def __delitem__(self, name: str) -> None:
        del self._write()[name]

    def clear(self) -> None:
        """Remove the contents. This logs nobody out: see :meth:`invalidate`."""
        self._write().clear()

    def popitem(self) -> tuple[str, Any]:
        return self._write().popitem()

    def copy(self) -> Contents:
        """The contents as a dict of their own, to the innermost list."""
        return deepcopy(self._read())

    def __or__(self, other: Any) -> Contents:
        return self.copy() | dict(other)

    def __ror__(self, other: Any) -> Contents:
        return dict(other) | self.copy()

    def __ior__(self, other: Any) -> Session:
        self.update(other)
        return self

    def __repr__(self) -> str:
        if self._contents is None:
            return "<Session, not used yet>"
        return f"<Session {self._key[:8] if self._record else 'new'}>"

    def changed(self) -> None:
        """Never needed: changes inside lists and dicts are found. Here since :class:`ISession` has it."""
        self._write()

    def apply(self, name: str, function: Function, default: Any = None) -> Any:
        """Set ``name`` to ``function(value)`` and return it: for what requests that run at once must not lose.

        The function runs again on what is stored where another request changed it meanwhile, so it should do
        nothing but compute. ``session.apply("views", lambda n: n + 1, 0)`` counts every view. ``default`` is what
        it is given where there is no value.
        """
        contents = self._open()
        before = as_read_back(contents[name]) if name in contents else MISSING
        after = function(deepcopy(default) if before is MISSING else contents[name])
        self[name] = after
        self._applied.append(Applied(name, function, deepcopy(default), before, as_read_back(after)))
        return after

    # Flash messages and the CSRF token, stored as Pyramid's own sessions do.

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Add a message to a queue; not again what is there if ``allow_duplicate`` is false."""
        messages = self.get(_FLASH_KEY + queue, [])
        if allow_duplicate or msg not in messages:
            self[_FLASH_KEY + queue] = [*messages, msg]

    def pop_flash(self, queue: str = "") -> list[Any]:
        """Take all messages out of a queue."""
        name = _FLASH_KEY + queue
        messages: list[Any] = self.pop(name) if name in self else []
        return messages

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of a queue, which stay there."""
        messages: list[Any] = self.get(_FLASH_KEY + queue, [])
        return messages

    def new_csrf_token(self) -> str:
        """A new token, which replaces the old one."""
        token = secrets.token_urlsafe(32)
        self[CSRF_KEY] = token
        return token

    def get_csrf_token(self) -> str:
        """The token of this session, made on first use."""
        return self.get(CSRF_KEY) or self.new_csrf_token()

    # What is known about the session. All times are in epoch seconds.

    @property
    def id(self) -> str:
        """The session ID, a bearer secret: whoever has it has the session. Log :attr:`key` instead."""
        self._read()
        if self._next_id:
            return self._next_id
        if self._id is None:
            self._id = self._new_id()
            self._key = key_of(self._id)
        return self._id

    @property
    def key(self) -> str:
        """SHA-256 of the session ID in hex: what stores, logs and lists show."""
        return key_of(self.id)

    @property
    def new(self) -> bool:
        """Whether nothing is stored for this visitor yet."""
        self._read()
        return self._record is None

    @property
    def userid(self) -> str | None:
        """Who is logged in; None for an anonymous visitor."""
        return self._field("userid", None)  # type: ignore[no-any-return]

    @property
    def authenticated(self) -> int | None:
        """When the last login was; None for an anonymous visitor."""
        return self._field("authenticated", None)  # type: ignore[no-any-return]

    @property
    def credentials(self) -> str | None:
        """What the security policy kept at the login to compare with later."""
        return self._field("credentials", None)  # type: ignore[no-any-return]

    @property
    def created(self) -> int:
        """When the session was created or, after a login, logged in."""
        self._read()
        return self._field("created", self._created)  # type: ignore[no-any-return]

    @property
    def renewed(self) -> int:
        """When its idle timeout last began again."""
        self._read()
        return self._created if self._record is None else self._record.renewed

    @property
    def expires(self) -> int | None:
        """When it ends unless it is renewed; None for never."""
        renewed = self.renewed
        return self._next_record(self._current(), EMPTY, renewed).expires

    @property
    def persistent(self) -> bool:
        """Whether the cookie outlives the browser."""
        return self._field("persistent", self._persistence.settings.persistent)  # type: ignore[no-any-return]

    def _field(self, name: str, default: Any) -> Any:
        self._read()
        if name in self._fields:
            return self._fields[name]
        return default if self._record is None else getattr(self._record, name)

    # What can be done with the session as a whole.

    def invalidate(self, reason: str = "logout") -> None:
        """End the session, on the server and in the browser. Afterwards this is a new and empty one.

        Carried out after the view, and whatever its response is. It logs out: the user is no part of the new one.
        ``reason`` is what :class:`~pyramid_sessionkit.SessionEnded` will say.
        """
        self._open()
        sent = map(key_of, self._find_ids()[:TRIED_COOKIES])
        ended = {ending.key: ending for ending in self._ended}
        for key in sent:
            ended.setdefault(key, Ending(key, None, reason))
        if self._record is not None:
            ended[self._key] = Ending(self._key, self._record.userid, reason)
        self._begin_anew(list(ended.values()))
        self._invalidated = True

    def _begin_anew(self, ended: list[Ending]) -> None:
        """As a new and empty session, which still ends what it was told to."""
        self._reset()
        self._adopt(None)
        self._ended = ended
        self._settled = False

    def end_other(self, key: str, userid: str, reason: str) -> None:
        """End another session of this user along with the request; that of the request itself is invalidated."""
        self._open()
        if self._record is not None and key == self._key:
            self.invalidate(reason)
        elif key not in [ending.key for ending in self._ended]:
            self._ended.append(Ending(key, userid, reason))

    def regenerate_id(self) -> None:
        """Give the session a new ID, so that the old one opens nothing. The contents stay."""
        self._open()
        if self._record is None:
            self._id = None
        else:
            self._next_id = self._new_id()

    def login(self, userid: str, credentials: str | None = None, persistent: bool | None = None) -> None:
        """Make this the session of a user who has just proven who he is: a new ID and a new lifetime.

        The contents stay, unless they were another user's. For security policies: views call
        :func:`pyramid.security.remember`.
        """
        if not 0 < len(userid) <= LONGEST_USERID or not userid.isprintable():
            raise ValueError(f"A userid has 1 to {LONGEST_USERID} printable characters")
        if self._gone:
            self._begin_anew(self._ended)
        if self.userid not in (None, userid):
            self.invalidate()
        self.regenerate_id()
        now = int(time())
        settings = self._persistence.settings
        self._fields |= {
            "userid": userid,
            "authenticated": now,
            "credentials": credentials,
            "created": now,
            "timeout": settings.timeout,
            "deadline": None if settings.lifetime is None else now + settings.lifetime,
            "persistent": settings.persistent if persistent is None else persistent,
        }

    def touch(self) -> None:
        """Let the idle timeout begin again now."""
        self._open()
        self._renew = True

    def set_expiry(self, *, timeout: Any = _UNSET, lifetime: Any = _UNSET, persistent: Any = _UNSET) -> None:
        """Other limits for this session alone: seconds, or None for no limit; ``lifetime`` counts from its creation."""
        for name, value in (("timeout", timeout), ("lifetime", lifetime)):
            if value not in (_UNSET, None) and (type(value) is not int or not 0 < value <= LONGEST_DURATION):
                raise ValueError(f"{name} is a whole number of seconds above zero, or None for no limit: {value!r}")
        self._open()
        if timeout is not _UNSET:
            self._fields["timeout"] = timeout
        if lifetime is not _UNSET:
            self._fields["deadline"] = None if lifetime is None else self.created + lifetime
        if persistent is not _UNSET:
            self._fields["persistent"] = bool(persistent)

    def reload(self) -> None:
        """Drop what this request did to the session and read again what is stored."""
        session_ids = [self._id] if self._record and self._id else self._find_ids()
        send, saved, invalidated = self._send, self._saved, self._invalidated and not self._ended
        mine = {key_of(session_id) for session_id in session_ids}
        ended = [ending for ending in self._ended if ending.key not in mine]
        self._reset()
        # What was done already stays done, and what ends other sessions is no change of this one.
        self._send, self._saved, self._invalidated, self._ended = send, saved, invalidated, ended
        self._adopt(self._persistence.find(session_ids, fresh=True))
        self._settled = self._settled and not ended

    def save(self) -> None:
        """Save now, rather than after the view.

        Raises :exc:`SessionGone` if the session was ended or regenerated meanwhile, and
        :exc:`~pyramid_sessionkit.StoreError` if the store refused.
        """
        self.end()
        if self._gone:
            raise SessionGone(f"Session {self._key[:8]} was ended or regenerated by another request")
        self._save()

    # For the tweens.

    @property
    def used(self) -> bool:
        """Whether the request looked at its session."""
        return self._contents is not None or self._reverted

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done for this session."""
        return self._settled and not self._exposed

    @property
    def store(self) -> Any:
        """Where it is stored: for a request in joined mode, in its transaction."""
        return self._persistence.store

    @property
    def stored_id(self) -> str:
        """The ID under which the session is stored now, whatever the request still wants to do with it."""
        assert self._id is not None
        return self._id

    @property
    def needs_cookie(self) -> bool:
        """Whether saving would give the session an ID that the browser does not know."""
        return self._next_id is not None or (self._record is None and self._is_to_be_created())

    @property
    def set_cookie(self) -> bool:
        """Whether the browser needs to be told of the ID or a new expiry."""
        return self._send

    @property
    def delete_cookie(self) -> bool:
        """Whether the browser should forget its cookie."""
        return self._invalidated and not self._send

    def check(self) -> None:
        """Raise if the contents could not be saved."""
        self._encoded()

    def end(self) -> None:
        """Carry out the endings that the request asked for."""
        while self._ended:
            self._persistence.end(*self._ended[-1])
            self._ended.pop()

    def commit(self) -> None:
        """Save; what another request ended meanwhile is dropped, and logged."""
        if self.settled:
            return
        self.end()
        if self._dropped:
            return
        try:
            if not self._gone:
                self._save()
        except SessionGone:
            pass
        if self._gone and self._changes(self._encoded()):
            log.warning("Session %s was ended or regenerated by another request: changes were dropped", self._key[:8])
            self._dropped = True
        self._settled = True

    def drop_changes(self) -> None:
        """Save nothing more. What the request ended is still to be ended."""
        self._dropped = True

    def abandon(self) -> None:
        """Save and end nothing more, and leave the browser's cookie alone: the store did not do what it was told."""
        self._dropped = True
        self._ended = []
        self._invalidated = False

    def revert(self) -> None:
        """Forget what the request did: it was part of a transaction that was rolled back."""
        self._reverted = self.used
        self._reset()

    def close(self) -> None:
        """From now on a change raises :exc:`SessionClosed`."""
        self._closed = True

    # Saving.

    def _save(self) -> None:
        if self._contents is None:
            return
        data = self._encoded()
        if self._record is None:
            self._create(data)
        elif self._changes(data) or self._renewal_is_due():
            self._replace(data)

    def _encoded(self) -> bytes:
        if not (self._written or self._exposed) or self._contents is None:
            return self._start
        data = dumps(self._contents)
        # Equal bytes prove nothing yet: NaN is written as null, a date as text.
        if data != self._checked or self._contents != self._proof:
            # What is stored already may be read though max_size was lowered since.
            limit = len(data) if data == self._start else self._persistence.settings.max_size
            self._proof = check(self._contents, data, limit)
            self._checked = data
        return data

    def _changes(self, data: bytes) -> bool:
        return bool(self._next_id or self._fields or data != self._start)

    def _renewal_is_due(self) -> bool:
        if self._renew:
            return True
        settings = self._persistence.settings
        assert self._record is not None
        if settings.rolling or settings.resave:
            return not self._saved
        return settings.reissue_time is not None and time() - self._record.renewed >= settings.reissue_time

    def _is_to_be_created(self) -> bool:
        return bool(self._contents or self._fields.get("userid") or self._persistence.settings.save_uninitialized)

    def _create(self, data: bytes) -> None:
        if not self._is_to_be_created():
            return
        record = self._next_record(self._current(), data, int(time()))
        logged_in = "authenticated" in self._fields
        self._id, record = self._persistence.create(record, self.id, self._new_id)
        self._key = key_of(self._id)
        self._send = True
        self._remember(record)
        self._persistence.tell(SessionCreated(self._key, record.userid))
        if logged_in:
            self._logged_in(record)

    def _replace(self, data: bytes) -> None:
        assert self._record is not None
        new_key = key_of(self._next_id) if self._next_id else None
        merged: list[Contents] = []

        def build(stored: Record) -> Record:
            if stored.version == self._record.version:  # type: ignore[union-attr]
                return self._next_record(stored, data, int(time()))
            # Not measured again: each side was small enough, and what is refused now would be lost.
            merged[:] = [self._merged(stored, data)]
            return self._next_record(stored, dumps(merged[0]), int(time()))

        try:
            record = self._persistence.replace(self._key, self._record, build, new_key)
        except SessionGone:
            self._gone = True
            self._send = False
            raise
        if merged:
            graft(self._contents, merged[0])
        old_key, logged_in = self._key, "authenticated" in self._fields
        if self._next_id and new_key:
            self._id, self._key, self._next_id = self._next_id, new_key, None
            self._send = True
        if self._cookie_moved(self._record, record):
            self._send = True
        self._remember(record)
        if new_key:
            self._persistence.tell(SessionRegenerated(new_key, record.userid, old_key))
        if logged_in:
            self._logged_in(record)

    def _logged_in(self, record: Record) -> None:
        assert record.userid is not None
        self._persistence.tell(LoggedIn(self._key, record.userid))
        self._persistence.limit_sessions(record.userid)

    def _cookie_moved(self, before: Record, after: Record) -> bool:
        if not after.persistent:
            return before.persistent
        return not before.persistent or before.expires != after.expires or self._persistence.settings.rolling

    def _merged(self, stored: Record, data: bytes) -> Contents:
        try:
            theirs = loads(stored.data)
        except ValueError:
            raise StoreError(f"What is stored for session {self._key[:8]} cannot be decoded any more") from None
        return merge(loads(self._start), loads(data), theirs, self._applied)

    def _remember(self, record: Record) -> None:
        self._record = record
        self._start = record.data
        self._applied.clear()
        self._fields.clear()
        self._written = self._renew = False
        self._saved = True

    def _current(self) -> Record:
        """What is stored; for a new session, what would be without this request's settings of it."""
        if self._record is not None:
            return self._record
        settings, now = self._persistence.settings, self._created
        deadline = None if settings.lifetime is None else now + settings.lifetime
        return Record(EMPTY, None, None, None, now, now, settings.timeout, deadline, settings.persistent)

    def _next_record(self, stored: Record, data: bytes, renewed: int) -> Record:
        record = Record(
            data,
            stored.userid,
            stored.authenticated,
            stored.credentials,
            stored.created,
            renewed,
            stored.timeout,
            stored.deadline,
            stored.persistent,
            stored.version,
        )
        return replace(record, **self._fields) if self._fields else record


def generate_id() -> str:
    """A new session ID: 256 random bits in URL-safe base64 (OWASP ASVS 3.2.2 asks for 64)."""
    return secrets.token_urlsafe(32)
