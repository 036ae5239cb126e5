"""Requests fail at once, for a moment, where each of the last ones waited in vain.

A database that gives no answer costs each request that uses its session the whole time-out, and soon all threads of the
server wait, with them those for pages without a session.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from weakref import WeakSet

from pyramid_sessionkit.exceptions import StoreUnavailable

IN_A_ROW = 2
"""Time-outs after which requests fail at once."""

PAUSE = 1.0
"""Seconds until one of them tries again, and after each time-out more."""


class Breaker:
    """Counts time-outs with no answer between them.

    Who gets an answer sets ``answered_at`` to the time when it asked, unless that is later already, and calls
    :meth:`close` if ``timeouts`` is not 0: so the usual case costs a few attributes and no call.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.timeouts = 0
        self.answered_at = 0.0
        self._clock = clock
        self._shut_until = 0.0
        self._told = 0  # the time-outs that a refusal in the log has told of
        # Weakly: one that was lost by an interruption in the wrong moment leaves its place to another.
        self._trying: WeakSet[_Ticket] = WeakSet()
        # By name, at run time: gevent puts other locks in their place.
        self._lock = threading.Lock()

    def timed_out(self, asked_at: float) -> None:
        """Count it, unless somebody who asked later had an answer: then one row is locked, and the database is well."""
        if self.answered_at > asked_at:
            return
        self.timeouts += 1
        self._shut_until = self._clock() + PAUSE

    def close(self) -> None:
        """An answer came."""
        self.timeouts = self._told = 0

    @contextmanager
    def permission(self) -> Iterator[None]:
        """To ask the database: refused for a moment after time-outs, then given to one at a time."""
        if self.timeouts < IN_A_ROW:
            yield
            return
        ticket = None if self._clock() < self._shut_until else self._take_ticket()
        if ticket is None:
            raise self._refusal()
        try:
            yield
        finally:
            self._trying.discard(ticket)

    def _refusal(self) -> StoreUnavailable:
        """The first after each time-out is an error in the log; thousands in a second must not fill it."""
        refused = StoreUnavailable(
            f"The sessions' database did not answer {self.timeouts} times in a row: for a moment it is not asked"
        )
        if self._told == self.timeouts:
            refused.log_level = logging.DEBUG
        self._told = self.timeouts
        return refused

    def _take_ticket(self) -> _Ticket | None:
        with self._lock:
            if self._trying:
                return None
            ticket = _Ticket()
            self._trying.add(ticket)
            return ticket


class _Ticket:
    """Of one who tries."""
