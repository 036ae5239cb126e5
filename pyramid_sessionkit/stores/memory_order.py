"""Which sessions of the memory store go first when there is no room for another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush, heapreplace

from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.session_id.tokens import is_trace

SPARE = 1000
"""So many entries more than twice those that are needed may stand in the heap before it is made again."""


class Order:
    """The expired go first, then traces, then the anonymous, then those that were unused for longest.

    A session is used when it is written or renewed. The store says so with each change of its ``records``, under its
    lock. Nothing here looks through all of them, except for the heap, which is made again once in as many changes.

    Where a change was interrupted half-way (a signal's handler raised, or memory ran out), keys may stand here that the
    records have not, and the reverse. Neither breaks a later change.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = records
        self._traces: OrderedDict[str, None] = OrderedDict()
        self._anonymous: OrderedDict[str, None] = OrderedDict()
        self._logged_in: OrderedDict[str, None] = OrderedDict()
        self._ends: list[tuple[int, str]] = []
        """A heap with a time for each session that can expire, at which it does so or goes on.

        Renewing leaves that time as it is. It is corrected when it has come.
        """

    def added(self, key: str, record: Record) -> None:
        self._of(key, record)[key] = None
        self._note_end(key, record)

    def used(self, key: str, before: Record, after: Record) -> None:
        """To be called after an update that left the user as it was."""
        keys = self._of(key, after)
        try:
            keys.move_to_end(key)
        except KeyError:
            keys[key] = None
        # Mostly a session is only renewed, and ends no earlier than it did.
        if after.renewed < before.renewed or after.timeout != before.timeout or after.deadline != before.deadline:
            self._note_end(key, after)

    def removed(self, key: str, record: Record) -> None:
        self._of(key, record).pop(key, None)

    def cleared(self) -> None:
        self._traces.clear()
        self._anonymous.clear()
        self._logged_in.clear()
        self._ends.clear()

    def expired(self, at: float) -> str | None:
        """One that has expired at that time, or None. It comes again until it is removed."""
        ends = self._ends
        corrections = 0
        while ends and ends[0][0] <= at:
            key = ends[0][1]
            record = self._records.get(key)
            expires = None if record is None else record.expires
            if expires is None:
                heappop(ends)
            elif expires <= at:
                return key
            elif corrections <= len(ends) // 16:
                heapreplace(ends, (expires, key))
                corrections += 1
            else:
                # Everybody waits for this, and to make all of it again takes a third as long as to correct all of it.
                self._make_heap()
                corrections = 0
        return None

    def unused_for_longest(self) -> str | None:
        """A trace, or without one an anonymous session, unless all are logged in."""
        for keys in (self._traces, self._anonymous, self._logged_in):
            while keys:
                key = next(iter(keys))
                if key in self._records:
                    return key
                del keys[key]
        return None

    def _of(self, key: str, record: Record) -> OrderedDict[str, None]:
        if record.userid is not None:
            return self._logged_in
        # A trace has no verifier: that is looked at first, since it costs less.
        return self._traces if not record.verifier and is_trace(key) else self._anonymous

    def _note_end(self, key: str, record: Record) -> None:
        # Those that were removed are still in it.
        if len(self._ends) > 2 * len(self._records) + SPARE:
            self._make_heap()
        expires = record.expires
        if expires is not None:
            heappush(self._ends, (expires, key))

    def _make_heap(self) -> None:
        self._ends[:] = [(end, key) for key, record in self._records.items() if (end := record.expires) is not None]
        heapify(self._ends)
