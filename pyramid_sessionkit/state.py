"""What one request knows about its session: a few values, and an enum for each question."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from pyramid_sessionkit.contents.merge import Applied
from pyramid_sessionkit.interfaces import Record


class Found(Enum):
    """What the cookie of a request opened. Of several cookies the one whose answer comes first in this list is used."""

    LIVE = "its secret opens a stored session"
    REPLACED = "the session that it names got another secret less than half a minute ago"
    BLANK = "it was signed to carry a CSRF token, and never named a stored session"
    DEAD = "the session that it names is gone, or its secret was replaced long ago"
    UNREADABLE = "it names a record that cannot be understood"
    NOTHING = "there is no cookie of ours"


class Phase(Enum):
    """Whether what a request does to its session can still be saved."""

    OPEN = "yes"
    STALE = "another request replaced the secret: only changes of the contents are merged"
    GONE = "no: another request ended the session"
    DROPPED = "no: what is not saved yet must not be saved"
    CLOSED = "no: the response is on its way"


class Cookie(Enum):
    """Which cookie the response sends."""

    KEEP = "none: the browser keeps the cookie that it has"
    SEND = "the key and the secret of the session"
    BLANK = "a cookie that names nothing stored, for a CSRF token"
    DELETE = "one that expired, so that the browser removes its cookie"


# Python before 3.12 calls a function for each look at a member of an enum: every request pays for that.
LIVE, REPLACED = Found.LIVE, Found.REPLACED
OPEN, STALE, GONE, DROPPED, CLOSED = Phase
KEEP, SEND, BLANK, DELETE = Cookie


class NewSecret(Enum):
    """Why a session gets a new secret. The value is part of what that secret is derived from."""

    BEGUN = "begin"
    REGENERATED = "regenerate"
    LOGIN = "login"
    LOGIN_AGAIN = "login again"


class Presented(NamedTuple):
    """The key and the secret of a cookie that we signed. The key of a blank cookie is :data:`BLANK_KEY`."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"<Presented {self.key}>"


BLANK_KEY = "-"


class Stored(NamedTuple):
    """A stored session: what was found, or what saving left. ``secret`` is None where it was opened by its key."""

    key: str
    record: Record
    secret: str | None

    def __repr__(self) -> str:
        return f"<Stored {self.key}>"


class Opened(NamedTuple):
    """What the cookies of a request opened, and when (epoch seconds). ``phase`` and ``cookie`` are where to start."""

    found: Found
    seed: Presented | None
    stored: Stored | None
    contents: dict[str, Any] | None
    """None for new ones."""
    at: float
    phase: Phase = Phase.OPEN
    cookie: Cookie = Cookie.KEEP


NO_COOKIE = Opened(Found.NOTHING, None, None, None, 0.0)
"""For a request without any cookie, as most are: one for all of them, so that ``at`` is not known here."""


class Condition(Enum):
    """When a session that is to be ended may be deleted, whatever else was stored since."""

    ALWAYS = "somebody asked for it who may"
    ANONYMOUS = "an anonymous visitor asked for it: only if nobody has logged in since"
    OPENED = "a second cookie of the browser names it: only if that cookie opens it"
    JUDGED = "the library decided it: only if the secret, the user and the credentials are those that it judged"
    NEVER = "the cookie of the request was replaced, and nothing proves that it may still end the session"


class Ending(NamedTuple):
    """A session that is to be ended. ``judged`` is what the condition compares with."""

    key: str
    userid: str | None
    reason: str
    condition: Condition
    judged: Record | None = None

    def applies_to(self, record: Record) -> bool:
        """Whether this record may be deleted."""
        condition, judged = self.condition, self.judged
        if condition is Condition.ALWAYS:
            return True
        if condition is Condition.ANONYMOUS:
            return record.userid is None
        if condition is Condition.NEVER or judged is None:
            return False
        if record.verifier != judged.verifier:
            return False
        return condition is Condition.OPENED or (
            record.userid == judged.userid and record.credentials == judged.credentials
        )


class Pending:
    """What a request wants of its session and has not saved yet. A save replaces it as a whole."""

    __slots__ = (
        "applied",
        "attempt",
        "encoded",
        "endings",
        "fields",
        "limits",
        "new_secret",
        "polls",
        "renew",
        "touched",
    )

    def __init__(self, endings: tuple[Ending, ...] = (), renew: bool = False, polls: bool = False) -> None:
        self.endings = endings
        self.polls = polls
        """Whether nothing that the request stores restarts the idle timeout, except ``touch()`` and a login."""
        self.renew = renew
        """Whether to restart the idle timeout."""
        self.touched = False
        """Whether something was put into the contents or taken out."""
        self.encoded: bytes | None = None
        """The contents as bytes, if they were encoded since they were touched."""
        self.fields: dict[str, Any] = {}
        """Fields of the record that a login sets."""
        self.limits: dict[str, Any] = {}
        """``timeout``, ``lifetime`` and ``persistent`` as ``set_expiry`` set them."""
        self.applied: tuple[Applied, ...] = ()
        self.new_secret: NewSecret | None = None
        self.attempt: tuple[str, str] | None = None
        """The secret and the salt of a new session that a store may have stored, though it did not say so."""

    def copy(self) -> Pending:
        copied = Pending(self.endings, self.renew, self.polls)
        copied.touched, copied.applied, copied.new_secret = self.touched, self.applied, self.new_secret
        copied.attempt = self.attempt
        copied.fields, copied.limits = dict(self.fields), dict(self.limits)
        return copied

    @property
    def logs_in(self) -> bool:
        return "userid" in self.fields
