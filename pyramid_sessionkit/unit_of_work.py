"""What one request does to its session: what it found, what it wants, and how that is saved."""

from __future__ import annotations

import logging
import threading
from copy import deepcopy
from time import time
from typing import Any, NamedTuple, Protocol

from pyramid_sessionkit import endings, saving
from pyramid_sessionkit.contents.graft import graft
from pyramid_sessionkit.contents.merge import Applied
from pyramid_sessionkit.contents.serializer import Contents
from pyramid_sessionkit.events import LoggedIn, SessionCreated, SessionEnded, SessionRegenerated
from pyramid_sessionkit.exceptions import SessionClosed, SessionError, SessionGone, SessionReplaced
from pyramid_sessionkit.idle_timeout import reissue_time_of
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.plan import (
    EMPTY,
    Create,
    Plan,
    Refused,
    Remove,
    Update,
    new_record,
    next_record,
    plan,
)
from pyramid_sessionkit.saving import Job, Saved
from pyramid_sessionkit.session_id.tokens import new_secret
from pyramid_sessionkit.state import (
    BLANK,
    BLANK_KEY,
    CLOSED,
    DELETE,
    DROPPED,
    GONE,
    KEEP,
    LIVE,
    OPEN,
    REPLACED,
    SEND,
    STALE,
    Condition,
    Cookie,
    Ending,
    Found,
    NewSecret,
    Opened,
    Pending,
    Phase,
    Presented,
    Stored,
)

log = logging.getLogger("pyramid_sessionkit")


class Carrier(Protocol):
    """Where a session comes from: the cookies of a request, or a key that a script knows."""

    @property
    def begins(self) -> bool:
        """Whether a new session may begin: somebody gets its ID."""

    def find(self, persistence: Persistence, fresh: bool = False) -> Opened: ...

    def presented(self) -> list[Presented]:
        """All cookies that we signed."""

    def prefix(self) -> str:
        """What a new key begins with."""

    def keep(self, stored: Stored, cookie: Cookie, at: float) -> None:
        """Remember what was saved, for another attempt at the same request."""

    def forget(self) -> None:
        """What was saved was rolled back."""


class Snapshot(NamedTuple):
    """The state of a unit of work at one moment."""

    found: Found | None
    seed: Presented | None
    stored: Stored | None
    contents: Contents | None
    pending: Pending | None
    phase: Phase
    cookie: Cookie
    mutable: bool


class UnitOfWork:
    """The work of one request on one session. :class:`Session` says what is wanted, and the saver has it saved."""

    __slots__ = (
        "_carrier",
        "_left",
        "_lock",
        "_pending",
        "at",
        "contents",
        "cookie",
        "found",
        "mutable",
        "persistence",
        "phase",
        "polls",
        "private",
        "seed",
        "shows_token",
        "stored",
    )

    def __init__(self, persistence: Persistence, carrier: Carrier, closed: bool = False) -> None:
        self.persistence = persistence
        self._carrier = carrier
        self._lock = threading.Lock()  # by this name: gevent may patch it after we were imported
        self.found: Found | None = None  # None until the session is used
        self.seed: Presented | None = None  # the cookie that was used, or a blank one that was made
        self.stored: Stored | None = None
        self.contents: Contents | None = None  # None until they are used
        self._pending: Pending | None = None
        self.phase = CLOSED if closed else OPEN
        self.cookie = KEEP
        self.at = 0.0  # when it was loaded, in epoch seconds
        self.polls = False  # what it stores does not restart the idle timeout
        self._left = False  # the visitor ended the session that they had
        self.private = False  # a session that is no longer this request's was a user's
        self.shows_token = False  # a CSRF token was made for the response
        self.mutable = False  # a list or dict of the contents is in the view's hands

    # Reading.

    def read(self) -> Contents:
        """The contents, loaded on first use. Threads that share a request load once."""
        contents = self.contents
        return self._load() if contents is None else contents

    def _load(self) -> Contents:
        with self._lock:
            contents = self.contents
            return self._take(self._carrier.find(self.persistence)) if contents is None else contents

    def _take(self, opened: Opened) -> Contents:
        self.found, seed, self.stored, contents, at, phase, cookie = opened
        self.at = at or time()
        if seed is not None or self.cookie is not BLANK:
            self.seed = seed
            self.cookie = cookie
        if self.phase is not CLOSED:
            self.phase = phase
        if self._is_to_be_saved_unasked(opened):
            self._pending = Pending(renew=opened.stored is not None, polls=self.polls)
        contents = {} if contents is None else contents
        self.contents = contents  # last, since other threads look at it
        return contents

    def _is_to_be_saved_unasked(self, opened: Opened) -> bool:
        settings = self.persistence.settings
        if opened.stored is None:
            return settings.save_uninitialized
        if self.polls:
            return False
        if settings.rolling or settings.resave:
            return True
        record, reissue = opened.stored.record, settings.reissue_time
        if reissue is not None and record.timeout != settings.timeout:
            reissue = reissue_time_of(record, reissue)
        return reissue is not None and opened.at - record.renewed >= reissue

    # Changing.

    def open(self) -> Pending:
        """What is pending, before anything is added to it."""
        if self.phase is CLOSED:
            raise _closed_error()
        if self.contents is None:
            self._load()
        if self._pending is None:
            self._pending = Pending(polls=self.polls)
        return self._pending

    def write(self) -> Contents:
        """The contents, before something is put into them or taken out."""
        pending = self.open()
        pending.touched, pending.encoded = True, None
        assert self.contents is not None
        return self.contents

    def may_be_mutated(self) -> None:
        """A list or dict of the contents is in the view's hands."""
        self.mutable = True

    def applied(self, step: Applied) -> None:
        """A function was applied to a value, and is to be applied again in a merge."""
        self.open().applied += (step,)

    def renew(self) -> None:
        """Restart the idle timeout now."""
        pending = self.open()
        pending.renew = True
        pending.fields["renewed"] = int(time())

    def do_not_renew(self) -> None:
        """Leave the idle timeout as it is, whatever else the request does. A later ``renew`` or login goes first."""
        if self.phase is CLOSED:
            raise _closed_error()
        self.polls = True
        pending = self._pending
        if pending is not None:
            pending.polls, pending.renew = True, False
            if not pending.logs_in:
                pending.fields.pop("renewed", None)

    def set_credentials(self, credentials: str) -> None:
        """What the login of an adopted session depends on, which was not known before."""
        if self.phase is not CLOSED:
            self.open().fields["credentials"] = credentials

    def set_limits(self, **limits: Any) -> None:
        """``timeout``, ``lifetime`` and ``persistent`` for this session alone."""
        self.open().limits.update(limits)

    def regenerate_id(self) -> None:
        pending = self.open()
        if self.stored is not None and pending.new_secret is None:
            pending.new_secret = NewSecret.REGENERATED

    def login(self, userid: str, credentials: str | None, persistent: bool | None) -> None:
        pending = self.open()
        limits = pending.limits
        if self.phase is GONE:
            self._start_new(pending.endings, keep_contents=self.login_field("userid") in (None, userid))
        if self.login_field("userid") not in (None, userid):
            # Only as judged: if that user has just logged in again in another tab, they stay logged in there.
            self._start_new(self._endings_as_judged("logout"))
        pending = self.open()
        pending.limits = limits
        again = self.stored is not None and self.stored.record.userid is not None
        pending.new_secret = NewSecret.LOGIN_AGAIN if again else NewSecret.LOGIN
        settings, now = self.persistence.settings, time()
        pending.fields = {
            "userid": userid,
            "authenticated": int(now * 1_000_000),
            "credentials": credentials,
            "created": int(now),
            "renewed": int(now),
            "timeout": settings.timeout,
            "own_timeout": False,
            "deadline": None if settings.lifetime is None else int(now) + settings.lifetime,
            "persistent": settings.persistent if persistent is None else bool(persistent),
        }
        if persistent is not None:
            pending.limits.pop("persistent", None)

    # What is known about the session.

    @property
    def used(self) -> bool:
        """Whether the request looked at its session."""
        return self.found is not None

    @property
    def shows_a_user(self) -> bool:
        """Whether the response may have in it what only a logged-in user should see."""
        return self.private or (self.stored is not None and self.stored.record.userid is not None)

    @property
    def new(self) -> bool:
        """Whether nothing is stored."""
        self.read()
        return self.stored is None

    @property
    def key(self) -> str:
        """The key of the session; of a new one, what it will be unless another request has taken that."""
        self.read()
        if self.stored is not None:
            return self.stored.key
        return self.persistence.tokens.key_from(self._a_seed(), self._carrier.prefix())

    def login_field(self, name: str) -> Any:
        """A field of the record that is None for an anonymous visitor."""
        self.read()
        if self._pending is not None and name in self._pending.fields:
            return self._pending.fields[name]
        return None if self.stored is None else getattr(self.stored.record, name)

    def metadata(self) -> Record:
        """The record with the changes of this request, but without its data."""
        self.read()
        pending = self._pending
        record = self._record()
        if pending is None or not (pending.fields or pending.limits):
            return record
        return next_record(record, pending, record.data, record.renewed)

    def _record(self) -> Record:
        if self.stored is not None:
            return self.stored.record
        return new_record(self.persistence.settings, self.at)

    def _a_seed(self) -> Presented:
        """What the key of a new session is derived from: the cookie, or without one a blank one that is made here."""
        if self.seed is None:
            self.seed = Presented(BLANK_KEY, new_secret())
        return self.seed

    def possible_keys(self) -> list[str]:
        """The keys that a new session may have had, with each of the application's secrets."""
        return self.persistence.tokens.keys_from(self._a_seed(), self._carrier.prefix())

    def needs_cookie_for_token(self) -> None:
        """A token was made: if there is no session for it, send a blank cookie."""
        self.shows_token = True
        if self.stored is not None or self.phase is not OPEN:
            return
        if self.cookie is DELETE:
            self.seed, self.cookie = None, BLANK
        elif self.found is Found.NOTHING:
            self.cookie = BLANK

    @property
    def sent_cookie(self) -> Presented:
        """The key and the secret of the cookie that is sent."""
        if self.cookie is BLANK:
            return self._a_seed()
        assert self.stored is not None
        assert self.stored.secret is not None
        return Presented(self.stored.key, self.stored.secret)

    # Ending.

    def invalidate(self, reason: str) -> None:
        """End the session, and any other that a cookie of this browser opens."""
        wished = {ending.key: ending for ending in self.open().endings}
        for ending in endings.of_other_cookies(self._carrier.presented(), self.seed, reason):
            wished.setdefault(ending.key, ending)
        own = self._own_ending(reason)
        if own is not None:
            wished[own.key] = own
            if self.found is REPLACED and own.condition is Condition.ALWAYS:
                # With the session ends the reason why its cookie had to be left alone.
                self.found = Found.DEAD
        self._start_new(tuple(wished.values()))
        if self.found is not REPLACED and self.phase is OPEN:
            self.cookie, self._left = DELETE, True

    @property
    def left(self) -> bool:
        """Whether the response tells the browser that its session has ended, also where it begins another."""
        return self._left and self.cookie is not KEEP

    def _own_ending(self, reason: str) -> Ending | None:
        if self.stored is not None:
            return endings.wished(self.stored, reason)
        if self.found is not REPLACED or self.seed is None:
            return None
        return endings.wished_with_replaced_cookie(self.persistence, self.seed, reason)

    def end_as_judged(self, reason: str) -> None:
        """End the session because of what its record says, unless that has changed by then.

        Another request of this browser may be saving a new login just now. So its cookie is left alone, and nothing is
        stored that would need another cookie.
        """
        if self.stored is not None and self.phase is not CLOSED:
            self._start_new(self._endings_as_judged(reason))
            self.found = REPLACED

    @property
    def judged(self) -> str | None:
        """Why this request ended the session because of what its record says; None if it did not."""
        asked = () if self._pending is None else self._pending.endings
        return next((ending.reason for ending in asked if ending.condition is Condition.JUDGED), None)

    def _endings_as_judged(self, reason: str) -> tuple[Ending, ...]:
        asked = self.open().endings
        return asked if self.stored is None else (*asked, endings.judged(self.stored, reason))

    def end_other(self, key: str, record: Record, reason: str) -> None:
        """End another session of this user along with the request; that of the request itself is invalidated."""
        pending = self.open()
        if self.stored is not None and key == self.stored.key:
            self.invalidate(reason)
        elif key not in [ending.key for ending in pending.endings]:
            pending.endings += (Ending(key, record.userid, reason, Condition.ALWAYS, record),)

    def _start_new(self, asked: tuple[Ending, ...] = (), keep_contents: bool = False) -> None:
        self.private = self.shows_a_user
        self.stored = None
        self.contents = self.contents if keep_contents else {}
        self.mutable = self.mutable and keep_contents
        self._pending = Pending(asked, polls=self.polls)
        self._pending.touched = keep_contents
        if self.phase is GONE:
            self.phase = OPEN
        if self.cookie is SEND:
            self.cookie = KEEP  # it was that of the session that ends

    def reload(self) -> None:
        """Drop what this request did and read again what is stored. What was saved already stays."""
        if self.phase is STALE:
            raise SessionGone(f"Session {self.key[:8]} got a new secret from another request")
        known = self.stored
        with_secret = known is not None and known.secret is not None
        mine = [Presented(known.key, known.secret or "")] if known is not None else self._carrier.presented()
        others = tuple(
            ending
            for ending in (self._pending.endings if self._pending is not None else ())
            if ending.key not in [one.key for one in mine]
        )
        opened = self.persistence.find(mine, True) if with_secret else self._carrier.find(self.persistence, True)
        if known is not None and opened.found is REPLACED:
            raise SessionGone(f"Session {known.key[:8]} got a new secret from another request")
        cookie, closed = self.cookie, self.phase is CLOSED
        if cookie is DELETE and self._pending is not None and self._pending.endings:
            cookie = KEEP
        self._reset()
        self._take(opened)
        self.cookie = cookie
        if closed:
            self.phase = CLOSED
        if others:
            self.open().endings = others

    # For the saver.

    @property
    def pending(self) -> Pending:
        """What is not saved yet, to be looked at."""
        return self._pending or Pending()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done for this session."""
        return self._pending is None and (not self.mutable or self.phase is GONE)

    def plan(self) -> Plan:
        """What is to be stored; raises if the contents could not be."""
        found, pending = self.found, self._pending or Pending(polls=self.polls)
        assert found is not None
        return plan(found, self.stored, pending, self._encoded(pending), self.persistence.settings, self.at)

    def end(self) -> None:
        """Carry out the endings that the request asked for, except those that it may not ask for."""
        pending = self._pending
        if pending is None or not pending.endings:
            return
        refused: tuple[Ending, ...] = ()
        while pending.endings:
            ending = pending.endings[-1]
            if ending.condition is Condition.NEVER:
                refused += (ending,)
            elif self.persistence.end(ending):
                self.note(Outcome.ENDED, f"{ending.reason} ({ending.key[:8]})")
            else:
                self.note(Outcome.NOT_ENDED, f"{ending.reason} ({ending.key[:8]})")
                self._could_not_end(ending)
            pending.endings = pending.endings[:-1]
        pending.endings = refused

    def _could_not_end(self, ending: Ending) -> None:
        pending = self._pending
        if ending.condition is Condition.ANONYMOUS and not (pending is not None and pending.logs_in):
            # Somebody has logged in since: their session and their cookie stay.
            self.phase, self.cookie = DROPPED, KEEP
            if self.contents:
                log.warning("Session %s goes on, since somebody logged in: later changes were dropped", ending.key[:8])

    def commit(self, wanted: Plan) -> None:
        """Carry the plan out; what another request ended meanwhile is dropped, and logged."""
        why = f"Session {self.key[:8]} was ended by another request" if self.phase is GONE else ""
        try:
            if not why:
                self._carry_out(wanted)
                return
        except SessionGone as error:
            why = str(error)
        if self._is_a_loss(wanted):
            self.note(Outcome.DROPPED, why)
            log.warning("%s: changes were dropped", why)
        self._pending = None

    def _is_a_loss(self, wanted: Plan) -> bool:
        """Whether anything but a renewal would be dropped."""
        if not isinstance(wanted, Update):
            return isinstance(wanted, Create)
        pending = self._pending
        asked = pending is not None and (set(pending.fields) - {"renewed"} or pending.limits or pending.new_secret)
        return bool(asked) or wanted.record.data != self._start

    def save(self) -> None:
        """Save, and raise :exc:`SessionGone` if another request ended the session meanwhile."""
        if self.phase is GONE:
            raise SessionGone(f"Session {self.key[:8]} was ended by another request")
        if self.contents is None:
            return
        self.end()
        if self.phase is DROPPED:
            return
        try:
            self._carry_out(self.plan())
        except SessionGone as error:
            self.note(Outcome.DROPPED, str(error))
            self._pending = None
            raise

    def drop_changes(self) -> None:
        """Save nothing more. What the request ended is still to be ended."""
        self.phase = DROPPED

    def abandon(self, error: Exception) -> None:
        """Save and end nothing more, and leave the browser's cookie alone: the store failed."""
        self.note(Outcome.NOT_SAVED, str(error) if isinstance(error, SessionError) else type(error).__name__)
        self.phase = DROPPED
        if self._pending is not None:
            self._pending.endings = ()
        if self._cookie_forgets:
            self.cookie = KEEP

    @property
    def _cookie_forgets(self) -> bool:
        """Whether the browser would lose the cookie that it sent."""
        return self.cookie is DELETE or (self.cookie is BLANK and self.found is not Found.NOTHING)

    def revert(self) -> None:
        """Forget what the request did: it was part of a transaction that was rolled back."""
        self.note(Outcome.ROLLED_BACK, "with the transaction")
        self._reset()
        self._carrier.forget()
        if self.cookie is not BLANK or self._cookie_forgets:
            self.cookie, self.seed = KEEP, None

    def _reset(self) -> None:
        self.private = self.shows_a_user
        self.stored, self.contents, self._pending = None, None, None
        self.mutable = False
        if self.phase is not CLOSED:
            self.phase = OPEN

    def snapshot(self) -> Snapshot:
        """The state as it is now, for :meth:`restore`."""
        contents, pending = deepcopy(self.contents), None
        if self._pending is not None:
            pending = self._pending.copy()
        return Snapshot(self.found, self.seed, self.stored, contents, pending, self.phase, self.cookie, self.mutable)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to that state: what was saved since was part of a savepoint that was rolled back."""
        self.note(Outcome.ROLLED_BACK, "to a savepoint")
        found, self.seed, self.stored, contents, self._pending, self.phase, self.cookie, mutable = snapshot
        self.found = found or self.found
        # What the view had changed inside of a list before the savepoint is still to be found.
        self.mutable = self.mutable or mutable
        if contents is None or self.contents is None:
            self.contents = contents
        else:
            graft(self.contents, contents, self.persistence.serializer.dumps)

    def note(self, outcome: Outcome, detail: str = "") -> None:
        """Say what became of the session, where somebody listens."""
        observer = self.persistence.observer
        if observer is not None:
            observer.note(self, outcome, detail)

    def close(self) -> None:
        """From now on a change raises :exc:`SessionClosed`."""
        self.phase = CLOSED

    # Saving.

    def _encoded(self, pending: Pending) -> bytes:
        start, contents = self._start, self.contents
        if contents is None or not (self.mutable or pending.touched):
            return start
        if pending.encoded is not None and not self.mutable:
            return pending.encoded
        persistence = self.persistence
        data = persistence.serializer.dumps(contents)
        settings = persistence.settings
        persistence.serializer.check_size(contents, data, settings.max_size, len(start), settings.begin_with)
        pending.encoded = data
        return data

    @property
    def _start(self) -> bytes:
        return EMPTY if self.stored is None else self.stored.record.data

    def _carry_out(self, wanted: Plan) -> None:
        if isinstance(wanted, Create) and not self._carrier.begins:
            raise SessionGone("The session that was opened by its key has ended, and nobody could open another one")
        if isinstance(wanted, (Update, Create, Remove)):
            pending, seed = self._pending or Pending(polls=self.polls), self._a_seed()
            job = Job(self.persistence, seed, self._carrier.prefix, self.stored, pending, wanted.record.data, self.at)
            try:
                saved = saving.carry_out(job, wanted, self.found, self.phase)
                pending.encoded = None  # what others stored may be merged into the contents now
                if self.persistence.observer is not None:
                    self._note_saved(saved)
                self._keep(saved)
            except SessionGone:
                if not isinstance(wanted, Remove):
                    self.phase, self.cookie = GONE, KEEP
                    raise
                self._forget_stored()  # as this request wants it
        elif isinstance(wanted, Refused):
            raise session_replaced_error(wanted)
        self._pending = None

    def _note_saved(self, saved: Saved) -> None:
        if saved.removed:
            self.note(Outcome.ENDED, f"emptied, see {self.persistence.settings.name_of('delete_empty')}")
        elif saved.stale:
            self.note(Outcome.SAVED_IN_PART, "the contents alone, since another request has replaced the ID meanwhile")
        else:
            self.note(Outcome.SAVED)

    def _keep(self, saved: Saved) -> None:
        """Go on from what is stored now."""
        self.stored = saved.stored
        if saved.stale:
            self.phase, self.cookie = STALE, KEEP
            return
        if saved.removed:
            self._was_removed(saved.stored.key)
            return
        self.phase, self.found = OPEN, LIVE
        if saved.contents is not None and self.contents is not None:
            graft(self.contents, saved.contents, self.persistence.serializer.dumps)
        if saved.new_secret or saved.resend:
            self.cookie = SEND if saved.stored.secret is not None else KEEP
            self._carrier.keep(saved.stored, self.cookie, self.at)
            self._tell(saved)

    def _was_removed(self, key: str) -> None:
        """Nothing was left in the session."""
        self._forget_stored()
        self.cookie = DELETE
        if self.shows_token:
            # A form in the response works with the cookie that the browser has, or with what this request began with.
            self.cookie = KEEP if self.seed in self._carrier.presented() else BLANK
        self.persistence.tell(SessionEnded(key, None, "emptied"))

    def _forget_stored(self) -> None:
        """Nothing is stored any more: the next thing that is put into the session begins another one."""
        self.stored, self.contents, self.found, self.mutable = None, {}, Found.DEAD, False

    def _tell(self, saved: Saved) -> None:
        tell, (key, record, _) = self.persistence.tell, saved.stored
        if saved.created:
            tell(SessionCreated(key, record.userid))
        elif saved.new_secret:
            tell(SessionRegenerated(key, record.userid))
        if saved.logged_in:
            assert record.userid is not None
            tell(LoggedIn(key, record.userid))
            self.persistence.limit_sessions(record.userid)


def _closed_error() -> SessionClosed:
    return SessionClosed(
        "The session was changed after the response callbacks ran, when it could not be saved any more: "
        "change it in the view, a tween or a response callback"
    )


def session_replaced_error(refused: Refused) -> SessionReplaced:
    what = "could not be ended" if refused.ending else "was not changed"
    return SessionReplaced(
        f"The session {what}: its cookie opens nothing any more, since another request has just replaced its ID, or "
        "the login has ended. Send the request again"
    )
