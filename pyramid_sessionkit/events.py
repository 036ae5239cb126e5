"""What an application can subscribe to: facts about sessions, published after the store has accepted them.

``@subscriber(SessionEnded)`` gets them through Pyramid's registry. The same facts go to the logger
``pyramid_sessionkit.security``, a line each. None has the secret of a session: ``key`` names it, and opens nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, fields, replace
from typing import Any

from zope.interface import implementedBy, providedBy

from pyramid_sessionkit.interfaces import FIRST

log = logging.getLogger("pyramid_sessionkit")
security_log = logging.getLogger("pyramid_sessionkit.security")


@dataclass(frozen=True)
class SessionEvent:
    """The base of all events: subscribe to it to get all of them.

    ``session`` is the name of the session, ``"session"`` unless ``config.add_session`` has added it.
    """

    key: str
    userid: str | None
    session: str = field(default=FIRST, kw_only=True)


@dataclass(frozen=True)
class SessionCreated(SessionEvent):
    """A session was stored for the first time."""


@dataclass(frozen=True)
class SessionRegenerated(SessionEvent):
    """A session has a new secret, and the old cookie opens nothing. Its key stays."""


@dataclass(frozen=True)
class SessionEnded(SessionEvent):
    """A session ended: before its time, or it was purged after it.

    ``reason``: ``logout`` (also any other ``session.invalidate()``, and a login as another user), ``revoked``,
    ``limit`` (too many sessions of one user), ``credentials_changed``, ``user_gone`` (the identity function knows no
    such user), ``emptied`` (nothing was left in it: ``sessionkit.delete_empty``), ``unreadable`` (its record cannot be
    understood; its bytes stay), or ``expired`` (its time was over, and ``purge()`` removed it. memcached and Redis
    remove such sessions by themselves: then no event is published).
    """

    reason: str


@dataclass(frozen=True)
class LoggedIn(SessionEvent):
    """A user logged in."""


@dataclass(frozen=True)
class LoggedOut(SessionEvent):
    """A user logged out."""


@dataclass(frozen=True)
class SuspiciousCookie(SessionEvent):
    """A cookie or header of our name that should not be there; ``key`` is the one it claims, or empty.

    ``kind``: ``signature`` (of the right form, but signed by someone else, or with a secret that is no longer
    configured), ``malformed``, or ``replaced`` (its secret was replaced more than half a minute ago: somebody kept an
    old cookie).
    """

    kind: str


@dataclass(frozen=True)
class SessionTampered(SessionEvent):
    """A sealed record cannot be opened (``sessionkit.seal_key``). ``userid`` is None: nothing in it is certain.

    ``why``: ``changed`` (something in it was changed after it was sealed, or it is that of another session or another
    application), ``unsealed``, ``unknown key`` (sealed with a key that is not configured), or ``damaged`` (its fields
    make no record).
    """

    why: str


_WARNINGS = (SuspiciousCookie, SessionTampered)


class Events:
    """Publishes to the subscribers of a registry and to the log. If one raises, the others still get the event.

    ``name``: of the session that all these events are about.
    """

    def __init__(self, registry: Any = None, name: str = FIRST) -> None:
        self._registry = registry
        self._name = name

    def has_subscribers(self, kind: type[SessionEvent]) -> bool:
        """Whether somebody subscribes to these events."""
        if self._registry is None or not self._registry.has_listeners:
            return False
        return bool(self._registry.adapters.subscriptions([implementedBy(kind)], None))

    def tell(self, event: SessionEvent) -> None:
        if self._name != FIRST:
            event = replace(event, session=self._name)
        level = logging.WARNING if isinstance(event, _WARNINGS) else logging.INFO
        if security_log.isEnabledFor(level):
            security_log.log(level, "%s", _line(event))
        if self._registry is None or not self._registry.has_listeners:
            return
        for subscriber in self._registry.adapters.subscriptions([providedBy(event)], None):
            try:
                subscriber(event)
            except Exception:
                log.exception("A subscriber of %s failed", type(event).__name__)


def _line(event: SessionEvent) -> str:
    names = [declared.name for declared in fields(event) if declared.name != "session"]
    if event.session != FIRST:
        names.append("session")
    values = [f"{name}={_word(getattr(event, name))}" for name in names]
    return " ".join([f"event={type(event).__name__}", *values])


def _word(value: str | None) -> str:
    """A value that cannot be mistaken for the next one."""
    if value is None:
        return "-"
    return value if value.isalnum() or (all(c.isalnum() or c in "_.@-" for c in value) and value) else repr(value)
