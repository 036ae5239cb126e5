"""What one request does to its session: what it found stored, what it made of that, and how that is saved."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time
from typing import Any, NamedTuple

from pyramid_sessionkit.events import LoggedIn, SessionCreated, SessionRegenerated
from pyramid_sessionkit.exceptions import SessionClosed, SessionGone, StoreError
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.merge import Applied, graft, merge
from pyramid_sessionkit.persistence import TRIED_COOKIES, Found, Persistence, key_of
from pyramid_sessionkit.serializer import EMPTY, Contents, check, dumps, loads

log = logging.getLogger("pyramid_sessionkit")


class Ending(NamedTuple):
    """A session that is to be ended."""

    key: str
    userid: str | None
    reason: str


class UnitOfWork:
    """The work of one request on one session. The session puts it in, the tweens decide whether it is saved."""

    __slots__ = (
        "_checked",
        "_closed",
        "_created",
        "_dropped",
        "_ended",
        "_find_ids",
        "_id",
        "_invalidated",
        "_new_id",
        "_next_id",
        "_proof",
        "_record",
        "_reverted",
        "_saved",
        "_settled",
        "_start",
        "_written",
        "applied",
        "contents",
        "exposed",
        "fields",
        "gone",
        "persistence",
        "renew",
        "set_cookie",
        "stored_key",
    )

    def __init__(
        self, persistence: Persistence, find_ids: Callable[[], Sequence[str]], new_id: Callable[[], str], closed: bool
    ) -> None:
        self.persistence = persistence
        self._find_ids = find_ids
        self._new_id = new_id
        self._closed = closed
        self._reverted = False  # it was used in a transaction that was rolled back
        self._reset()

    def _reset(self) -> None:
        """As it was before this request did anything."""
        self.contents: Contents | None = None  # None until it is used
        self._record: Record | None = None  # what is stored
        self._id: str | None = None  # under which ID that is stored; or the ID a new session will have
        self.stored_key = ""
        self._start = EMPTY  # the contents as they were stored
        self._checked: bytes | None = None  # the contents that were found to read back as written
        self._proof: Contents | None = None  # what they read back as
        self.applied: tuple[Applied, ...] = ()
        self.fields: dict[str, Any] = {}  # of the record, that this request sets
        self._next_id: str | None = None  # where regenerate_id moves the record
        self._ended: tuple[Ending, ...] = ()  # sessions that this request ends
        self._invalidated = False
        self._written = False  # something was put into the contents or taken out
        self.exposed = False  # a list or dict of the contents is in the view's hands
        self.renew = False
        self.gone = False  # another request ended it
        self._dropped = False  # nothing more is to be saved
        self._settled = True  # there is nothing left to do for this session
        self._saved = False
        self.set_cookie = False  # the browser does not know yet what was saved
        self._created = 0

    # The contents.

    def read(self) -> Contents:
        contents = self.contents
        return self._adopt(self.persistence.find(self._find_ids())) if contents is None else contents

    def _adopt(self, found: Found | None) -> Contents:
        self._created = int(time())
        self.contents = contents = {} if found is None else found.contents
        if found is None:
            self._settled = not self.persistence.settings.save_uninitialized
        else:
            self._id, self.stored_key, self._record = found.session_id, found.key, found.record
            self._start = found.record.data
            self._settled = not self._renewal_is_due()
        return contents

    def open(self) -> Contents:
        """Before the session is changed, or what is stored of it."""
        if self._closed:
            raise SessionClosed(
                "The session was changed after the response callbacks ran, when it could not be saved any more: "
                "change it in the view, a tween or a response callback"
            )
        contents = self.contents
        if contents is None:
            contents = self.read()
        self._settled = False
        return contents

    def write(self) -> Contents:
        """Before something is put into the contents or taken out."""
        contents = self.open()
        self._written = True
        return contents

    # What is known about the session.

    @property
    def id(self) -> str:
        self.read()
        if self._next_id:
            return self._next_id
        if self._id is None:
            self._id = self._new_id()
        return self._id

    @property
    def stored_id(self) -> str:
        """The ID under which the session is stored now, whatever the request still wants to do with it."""
        assert self._id is not None
        return self._id

    @property
    def new(self) -> bool:
        self.read()
        return self._record is None

    def of_login(self, name: str) -> Any:
        """A field of the record that is None for an anonymous visitor."""
        self.read()
        if name in self.fields:
            return self.fields[name]
        return None if self._record is None else getattr(self._record, name)

    def metadata(self) -> Record:
        """The record with what this request sets; its data are no part of that."""
        self.read()
        current = self._current()
        return replace(current, **self.fields) if self.fields else current

    # What becomes of the session as a whole.

    def invalidate(self, reason: str) -> None:
        self.open()
        sent = map(key_of, self._find_ids()[:TRIED_COOKIES])
        ended = {ending.key: ending for ending in self._ended}
        for key in sent:
            ended.setdefault(key, Ending(key, None, reason))
        if self._record is not None:
            ended[self.stored_key] = Ending(self.stored_key, self._record.userid, reason)
        self._ended = tuple(ended.values())
        self.begin_anew()
        self._invalidated = True

    def begin_anew(self) -> None:
        """As a new and empty session, which still ends what it was told to."""
        ended = self._ended
        self._reset()
        self._adopt(None)
        self._ended = ended
        self._settled = False

    def end_other(self, key: str, userid: str, reason: str) -> None:
        """End another session of this user along with the request; that of the request itself is invalidated."""
        self.open()
        if self._record is not None and key == self.stored_key:
            self.invalidate(reason)
        elif key not in [ending.key for ending in self._ended]:
            self._ended += (Ending(key, userid, reason),)

    def regenerate_id(self) -> None:
        self.open()
        if self._record is None:
            self._id = None
        else:
            self._next_id = self._new_id()

    def reload(self) -> None:
        session_ids = [self._id] if self._record and self._id else self._find_ids()
        set_cookie, saved, invalidated = self.set_cookie, self._saved, self._invalidated and not self._ended
        mine = {key_of(session_id) for session_id in session_ids}
        ended = tuple(ending for ending in self._ended if ending.key not in mine)
        self._reset()
        # What was done already stays done, and what ends other sessions is no change of this one.
        self.set_cookie, self._saved, self._invalidated, self._ended = set_cookie, saved, invalidated, ended
        self._adopt(self.persistence.find(session_ids, fresh=True))
        self._settled = self._settled and not ended

    # For the tweens.

    @property
    def used(self) -> bool:
        """Whether the request looked at its session."""
        return self.contents is not None or self._reverted

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done for this session."""
        return self._settled and not self.exposed

    @property
    def needs_cookie(self) -> bool:
        """Whether saving would give the session an ID that the browser does not know."""
        return self._next_id is not None or (self._record is None and self._is_to_be_created())

    @property
    def delete_cookie(self) -> bool:
        """Whether the browser should forget its cookie."""
        return self._invalidated and not self.set_cookie

    def check(self) -> None:
        """Raise if the contents could not be saved."""
        self._encoded()

    def end(self) -> None:
        """Carry out the endings that the request asked for."""
        while self._ended:
            self.persistence.end(*self._ended[-1])
            self._ended = self._ended[:-1]

    def commit(self) -> None:
        """Save; what another request ended meanwhile is dropped, and logged."""
        if self.settled:
            return
        self.end()
        if self._dropped:
            return
        try:
            if not self.gone:
                self._save()
        except SessionGone:
            pass
        if self.gone and self._changes(self._encoded()):
            log.warning(
                "Session %s was ended or regenerated by another request: changes were dropped", self.stored_key[:8]
            )
            self._dropped = True
        self._settled = True

    def drop_changes(self) -> None:
        """Save nothing more. What the request ended is still to be ended."""
        self._dropped = True

    def abandon(self) -> None:
        """Save and end nothing more, and leave the browser's cookie alone: the store did not do what it was told."""
        self._dropped = True
        self._ended = ()
        self._invalidated = False

    def revert(self) -> None:
        """Forget what the request did: it was part of a transaction that was rolled back."""
        self._reverted = self.used
        self._reset()

    def close(self) -> None:
        """From now on a change raises :exc:`SessionClosed`."""
        self._closed = True

    # Saving.

    def save(self) -> None:
        """Save, and raise :exc:`SessionGone` if another request ended the session meanwhile."""
        self.end()
        if self.gone:
            raise SessionGone(f"Session {self.stored_key[:8]} was ended or regenerated by another request")
        self._save()

    def _save(self) -> None:
        if self.contents is None:
            return
        data = self._encoded()
        if self._record is None:
            self._create(data)
        elif self._changes(data) or self._renewal_is_due():
            self._replace(data)

    def _encoded(self) -> bytes:
        if not (self._written or self.exposed) or self.contents is None:
            return self._start
        data = dumps(self.contents)
        # Equal bytes prove nothing yet: NaN is written as null, a date as text.
        if data != self._checked or self.contents != self._proof:
            # What is stored already may be read though max_size was lowered since.
            limit = len(data) if data == self._start else self.persistence.settings.max_size
            self._proof = check(self.contents, data, limit)
            self._checked = data
        return data

    def _changes(self, data: bytes) -> bool:
        return bool(self._next_id or self.fields or data != self._start)

    def _renewal_is_due(self) -> bool:
        if self.renew:
            return True
        settings = self.persistence.settings
        assert self._record is not None
        if settings.rolling or settings.resave:
            return not self._saved
        return settings.reissue_time is not None and time() - self._record.renewed >= settings.reissue_time

    def _is_to_be_created(self) -> bool:
        return bool(self.contents or self.fields.get("userid") or self.persistence.settings.save_uninitialized)

    def _create(self, data: bytes) -> None:
        if not self._is_to_be_created():
            return
        record = self._next_record(self._current(), data, int(time()))
        logged_in = "authenticated" in self.fields
        self._id, record = self.persistence.create(record, self.id, self._new_id)
        self.stored_key = key_of(self._id)
        self.set_cookie = True
        self._remember(record)
        self.persistence.tell(SessionCreated(self.stored_key, record.userid))
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
            record = self.persistence.replace(self.stored_key, self._record, build, new_key)
        except SessionGone:
            self.gone = True
            self.set_cookie = False
            raise
        if merged:
            graft(self.contents, merged[0])
        old_key, logged_in = self.stored_key, "authenticated" in self.fields
        if self._next_id and new_key:
            self._id, self.stored_key, self._next_id = self._next_id, new_key, None
            self.set_cookie = True
        if self._cookie_moved(self._record, record):
            self.set_cookie = True
        self._remember(record)
        if new_key:
            self.persistence.tell(SessionRegenerated(new_key, record.userid, old_key))
        if logged_in:
            self._logged_in(record)

    def _logged_in(self, record: Record) -> None:
        assert record.userid is not None
        self.persistence.tell(LoggedIn(self.stored_key, record.userid))
        self.persistence.limit_sessions(record.userid)

    def _cookie_moved(self, before: Record, after: Record) -> bool:
        if not after.persistent:
            return before.persistent
        return not before.persistent or before.expires != after.expires or self.persistence.settings.rolling

    def _merged(self, stored: Record, data: bytes) -> Contents:
        try:
            theirs = loads(stored.data)
        except ValueError:
            raise StoreError(f"What is stored for session {self.stored_key[:8]} cannot be decoded any more") from None
        return merge(loads(self._start), loads(data), theirs, self.applied)

    def _remember(self, record: Record) -> None:
        self._record = record
        self._start = record.data
        self.applied = ()
        self.fields.clear()
        self._written = self.renew = False
        self._saved = True

    def _current(self) -> Record:
        """What is stored; for a new session, what would be without this request's settings of it."""
        if self._record is not None:
            return self._record
        settings, now = self.persistence.settings, self._created
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
        return replace(record, **self.fields) if self.fields else record


def generate_id() -> str:
    """A new session ID: 256 random bits in URL-safe base64 (OWASP ASVS 3.2.2 asks for 64)."""
    return secrets.token_urlsafe(32)
