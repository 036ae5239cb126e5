"""Between a session and its store: find, create, replace with merging and retries, end."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic, sleep, time
from typing import Any

from pyramid_sessionkit.contents.serializer import Contents, Serializer
from pyramid_sessionkit.events import Events, LoggedOut, SessionEnded, SessionEvent, SuspiciousCookie
from pyramid_sessionkit.exceptions import SessionConflict, SessionGone, StoreError
from pyramid_sessionkit.idle_timeout import with_timeout_in_force
from pyramid_sessionkit.interfaces import GRACE, UNREADABLE, Record
from pyramid_sessionkit.outcome import Observer
from pyramid_sessionkit.plan import was_removed
from pyramid_sessionkit.sealing.format import head_in
from pyramid_sessionkit.session_id.tokens import Tokens, is_no_session, opens, trace_key
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import BLANK_KEY, KEEP, LIVE, OPEN, Condition, Ending, Found, Opened, Presented, Stored
from pyramid_sessionkit.traces import TRACED, reason_in, trace_of

log = logging.getLogger("pyramid_sessionkit")

TRIED_COOKIES = 3
REPLACED_SECONDS = 30
"""How long a browser may still send a replaced cookie: the response with the new one is on its way."""
CONFLICT_SECONDS = 2.0
_LONGEST_PAUSE = 0.05

_PREFERRED = tuple(Found)

_opened = partial(tuple.__new__, Opened)  # in a third of the time that a NamedTuple with defaults takes


class Persistence:
    """What all sessions of an application share: their store, settings and derived keys."""

    observer: Observer | None = None
    """Notes what becomes of the sessions, for the panel of the debug toolbar. Only a copy for one request has one."""

    def __init__(
        self,
        store: Any,
        settings: Settings,
        events: Events | None = None,
        tokens: Tokens | None = None,
        defer: Callable[..., None] | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.events = events or Events()
        self.tokens = tokens or Tokens(settings.secret)
        self.serializer = serializer or Serializer()
        self._defer = defer or _now
        self._timeout = settings.timeout
        self._has_contents_update = hasattr(store, "update_contents")

    def tell(self, event: SessionEvent) -> None:
        """Publish an event, once what it reports is certain."""
        self._defer(self.events.tell, event)

    # Finding.

    def find(self, presented: Sequence[Presented], fresh: bool = False) -> Opened:
        """What the first live one of these cookies opens; else the one that comes first in the order of :class:`Found`.

        No more than :data:`TRIED_COOKIES` are looked for: a browser has no reason to send more.
        """
        if len(presented) == 1 and presented[0].key != BLANK_KEY:
            return self._open(presented[0], fresh)
        best: Opened | None = None
        left = TRIED_COOKIES
        for one in presented:
            if one.key == BLANK_KEY:
                opened = Opened(Found.BLANK, one, None, {}, time())
            elif left:
                left -= 1
                opened = self._open(one, fresh)
                if opened.found is LIVE:
                    return opened
            else:
                continue
            if best is None or _PREFERRED.index(opened.found) < _PREFERRED.index(best.found):
                best = opened
        return best or Opened(Found.NOTHING, None, None, {}, time())

    def find_by_key(self, key: str, fresh: bool = False) -> Opened:
        """The session with this key, opened without its secret: for scripts, which no browser waits for."""
        record = None if is_no_session(key) else self.load(key, fresh)
        if record is not None and record.data == UNREADABLE and not fresh:
            # Perhaps only a cached copy is.
            record = self.load(key, True)
        contents = None if record is None else self.decoded(key, record)
        if record is None or contents is None:
            return Opened(Found.NOTHING, None, None, {}, time())
        return Opened(Found.LIVE, None, Stored(key, record, None), contents, time())

    def _open(self, presented: Presented, fresh: bool) -> Opened:
        key, secret = presented
        at = time()
        record = self.store.load(key, True) if fresh else self.store.load(key)
        if record is not None and record.timeout != self._timeout:
            record = self.in_force(record, at)
        if record is None:
            return Opened(Found.DEAD, presented, None, {}, at)
        if opens(secret, record):
            contents = self.decoded(key, record)
            if contents is None:
                return Opened(Found.UNREADABLE, presented, None, {}, at)
            return _opened((LIVE, presented, Stored(key, record, secret), contents, at, OPEN, KEEP))
        if not fresh:
            # A cached copy may be older than the secret.
            return self._open(presented, True)
        if record.data == UNREADABLE:
            self.decoded(key, record)
            return Opened(Found.UNREADABLE, presented, None, {}, at)
        return self._open_replaced(presented, record, at)

    def _open_replaced(self, presented: Presented, record: Record, at: float) -> Opened:
        if is_recent(record.replaced, at):
            # Not the record: a replaced secret opens nothing.
            return Opened(Found.REPLACED, presented, None, {}, at)
        self.events.tell(SuspiciousCookie(presented.key, record.userid, "replaced"))
        return Opened(Found.DEAD, presented, None, {}, at)

    def decoded(self, key: str, record: Record) -> Contents | None:
        """The contents of a record; None, with a warning and an event, where they cannot be understood."""
        try:
            return self.serializer.loads(record.data)
        except ValueError as error:
            if record.data == UNREADABLE:
                why = "cannot be read"  # its store, or what opens it, has said more
            elif head_in(record.data):
                why = f"is sealed, and {self.settings.name_of('seal_key')} is not set"
            else:
                why = f"cannot be decoded ({error})"
            log.warning("Session %s %s; its visitor gets a new one, and its bytes stay", key[:8], why)
            self.events.tell(SessionEnded(key, record.userid, "unreadable"))
            return None

    def load(self, key: str, fresh: bool = False) -> Record | None:
        """The record of a session that is alive, as it is in force: see :mod:`pyramid_sessionkit.idle_timeout`."""
        record = self.store.load(key, fresh)
        return None if record is None else self.in_force(record, time())

    def in_force(self, record: Record, at: float) -> Record | None:
        """The record with the idle timeout that holds for it; None if it has expired by that, or was removed."""
        if was_removed(record):
            # Also where this clock is behind that of the process that removed it, and the store takes it for alive.
            return None
        found = with_timeout_in_force(record, self._timeout)
        return None if found is not record and found.expired(at) else found

    def all_in_force(self, records: Iterable[tuple[str, Record]]) -> list[tuple[str, Record]]:
        """Those of a list that are alive."""
        at = time()
        found = ((key, self.in_force(record, at)) for key, record in records)
        return [(key, record) for key, record in found if record is not None]

    # Storing.

    def update_contents(self, key: str, record: Record) -> Record | None:
        """Update a session of which nothing but the contents, the renewal and a lowered idle timeout changed."""
        store = self.store
        update = store.update_contents if self._has_contents_update else store.update
        updated: Record | None = update(key, record)
        return updated

    def replace(self, key: str, record: Record, build: Callable[[Record], Record], tried: bool = False) -> Record:
        """Store what ``build`` makes of the stored record; again with what is stored then if another request was first.

        ``build`` may raise to stop. ``tried``: ``record`` is known not to be the stored one any more. Raises
        :exc:`SessionGone` if the session was ended meanwhile, and :exc:`SessionConflict` if others win for two seconds.
        """
        store, started, pause = self.store, 0.0, 0.001
        while True:
            saved: Record | None = None if tried else store.update(key, build(record))
            if saved is not None:
                return saved
            tried = False
            if started and monotonic() - started > CONFLICT_SECONDS:
                raise SessionConflict(f"Session {key[:8]} was changed by other requests again and again")
            if started:
                sleep(random.uniform(0, pause))
                pause = min(pause * 2, _LONGEST_PAUSE)
            started = started or monotonic()
            record = self.load_again(key)

    def load_again(self, key: str) -> Record:
        """The record as it is stored now; raises :exc:`SessionGone` if there is none.

        What expired or was removed a moment ago still counts: this request may have loaded it in time.
        """
        at = time() - GRACE
        stored: Record | None = self.store.load(key, True, at)
        found = stored if stored is None or was_removed(stored) else self.in_force(stored, at)
        if found is None:
            raise SessionGone(f"Session {key[:8]} was ended by another request")
        return found

    # Ending.

    def end(self, ending: Ending) -> bool:
        """End a session; False if it was kept, since the ending does not apply to what is stored now."""
        if ending.condition is Condition.ALWAYS:
            ended, kept = bool(self.store.delete(ending.key)), False
        elif ending.condition is Condition.NEVER:
            ended, kept = False, True
        else:
            ended, kept = self._end_if_it_applies(ending)
        if ended:
            self._tell_of_ending(ending)
            if ending.judged is not None:
                self._leave_trace(ending.key, ending.judged, ending.reason)
        return not kept

    def _end_if_it_applies(self, ending: Ending) -> tuple[bool, bool]:
        """Whether it was ended, and whether it was kept. It is judged again as often as it changes meanwhile."""
        record = ending.judged
        if record is None or record.version is None:
            record = self.store.load(ending.key, True)
        while record is not None and ending.applies_to(record):
            if self.store.delete(ending.key, record):
                return not was_removed(record), False
            # What was removed since it was empty is deleted too: a request that loaded it before could begin it again.
            record = self.store.load(ending.key, True, time() - GRACE)
        return False, record is not None

    def _tell_of_ending(self, ending: Ending) -> None:
        self.tell(SessionEnded(ending.key, ending.userid, ending.reason))
        if ending.reason == "logout" and ending.userid is not None:
            self.tell(LoggedOut(ending.key, ending.userid))

    # Why a login was ended.

    def _leave_trace(self, key: str, ended: Record, reason: str) -> None:
        if ended.userid is not None and reason in TRACED:
            # Once the ending is certain, and not in the request's transaction, which must not fail for it.
            self._defer(self._store_trace, key, ended, reason)

    def _store_trace(self, key: str, ended: Record, reason: str) -> None:
        try:
            self.store.create(trace_key(key), trace_of(ended, reason))
        except StoreError as error:
            log.warning("Session %s was ended, and its browser cannot be told why: %s", key[:8], error)

    def why_ended(self, presented: Presented) -> str | None:
        """Why the session of this cookie was ended; None if it left no trace."""
        trace: Record | None = self.store.load(trace_key(presented.key), True)
        return None if trace is None else reason_in(trace, presented.secret)

    # The limit of sessions.

    def time_of_login(self, userid: str, now: int) -> int:
        """In epoch microseconds: later than any login of this user, so that of several at once the last one stays."""
        if self.settings.max_sessions_per_user is None:
            return now
        times = [record.authenticated or 0 for _, record in self.store.sessions_of(userid)]
        return max([now, *(at + 1 for at in times)])

    def limit_sessions(self, userid: str) -> None:
        """End the oldest logins of a user beyond ``max_sessions_per_user``, once this login is certain.

        Run after each login, this is right also when several log in at once: whoever looks last sees all of them,
        and the newest are the same for everyone.
        """
        if self.settings.max_sessions_per_user is not None:
            self._defer(self._end_oldest, userid, self.settings.max_sessions_per_user)

    def _end_oldest(self, userid: str, most: int) -> None:
        while True:
            sessions = sorted(self.all_in_force(self.store.sessions_of(userid)), key=_by_login)
            changed = [key for key, record in sessions[:-most] if not self._end_by_limit(key, record)]
            if not changed:
                return

    def _end_by_limit(self, key: str, record: Record) -> bool:
        """False if it changed since it was listed, so that it has to be judged again."""
        if self.store.delete(key, record):
            self.tell(SessionEnded(key, record.userid, "limit"))
            self._leave_trace(key, record, "limit")
            return True
        return self.store.load(key, True) is None


def is_recent(moment: int | None, now: float) -> bool:
    """Whether this moment (epoch microseconds) is less than :data:`REPLACED_SECONDS` ago."""
    return moment is not None and now - moment / 1_000_000 <= REPLACED_SECONDS


def _by_login(item: tuple[str, Record]) -> tuple[int, str]:
    return item[1].authenticated or 0, item[0]


def _now(function: Callable[..., None], *args: Any) -> None:
    function(*args)
