"""Removing what has expired, and publishing which sessions those were where somebody wants to know."""

from __future__ import annotations

import logging
from functools import cache
from inspect import signature
from typing import Any

from pyramid_sessionkit.events import Events, SessionEnded
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.plan import was_removed
from pyramid_sessionkit.session_id.tokens import is_no_session

log = logging.getLogger("pyramid_sessionkit")


def purge(store: Any, events: Events, limit: int | None) -> int:
    """Remove expired records, ``limit`` at most, and return how many.

    To publish each of them takes more time, so that it is done only where somebody subscribes.
    """
    if not events.has_subscribers(SessionEnded):
        return int(store.purge(limit))
    if not takes_tell(store):
        _warn_once(type(store).__name__)
        return int(store.purge(limit))

    def tell(key: str, record: Record) -> None:
        # One that was removed since it was empty was told then.
        if not (is_no_session(key) or was_removed(record)):
            events.tell(SessionEnded(key, record.userid, "expired"))

    return int(store.purge(limit, tell))


def takes_tell(store: Any) -> bool:
    """Whether its ``purge`` can say what it removed. A store that was written for an earlier release cannot."""
    return "tell" in signature(store.purge).parameters


@cache
def _warn_once(store: str) -> None:
    log.warning(
        "%s.purge() cannot say which sessions it removed, so that SessionEnded is not published for them: let it take "
        "tell, as IPurgeable says",
        store,
    )
