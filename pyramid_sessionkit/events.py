"""What an application can subscribe to: facts about sessions, told after the store said yes.

``@subscriber(SessionEnded)`` gets them through Pyramid's registry. The same facts go to the logger
``pyramid_sessionkit.security``, a line each. None has the session ID: ``key`` is its SHA-256, as in the store.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Any

log = logging.getLogger("pyramid_sessionkit")
security_log = logging.getLogger("pyramid_sessionkit.security")


@dataclass(frozen=True)
class SessionEvent:
    """What all of them have: subscribe to this class for all."""

    key: str
    userid: str | None


@dataclass(frozen=True)
class SessionCreated(SessionEvent):
    """A session was stored for the first time."""


@dataclass(frozen=True)
class SessionRegenerated(SessionEvent):
    """A session has a new ID, and the old one opens nothing."""

    old_key: str


@dataclass(frozen=True)
class SessionEnded(SessionEvent):
    """A session ended before its time.

    ``reason``: ``logout`` (also any other ``session.invalidate()``), ``revoked``, ``limit`` (too many sessions of one
    user), ``credentials_changed``, or ``unreadable`` (its contents cannot be decoded; its bytes stay).
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
    """A cookie of our name that we did not sign; ``key`` is that of the ID it claims, or empty.

    ``kind``: ``signature`` (of the right form, but signed by someone else, or with a secret that is no longer
    configured) or ``malformed``.
    """

    kind: str


class Events:
    """Tells the subscribers of a registry, and the log. A subscriber that raises is logged, and stops nothing."""

    def __init__(self, registry: Any = None) -> None:
        self._registry = registry

    def tell(self, event: SessionEvent) -> None:
        suspicious = isinstance(event, SuspiciousCookie)
        level = logging.WARNING if suspicious else logging.INFO
        if security_log.isEnabledFor(level):
            security_log.log(level, "%s", _line(event))
        if self._registry is None or not self._registry.has_listeners:
            return
        try:
            self._registry.notify(event)
        except Exception:
            log.exception("A subscriber of %s failed", type(event).__name__)


def _line(event: SessionEvent) -> str:
    values = [f"{field.name}={_word(getattr(event, field.name))}" for field in fields(event)]
    return " ".join([f"event={type(event).__name__}", *values])


def _word(value: str | None) -> str:
    """A value that cannot be mistaken for the next one."""
    if value is None:
        return "-"
    return value if value.isalnum() or (all(c.isalnum() or c in "_.@-" for c in value) and value) else repr(value)
