"""Stores whose sessions end too early or too late."""

from __future__ import annotations

import time
from typing import Any

from pyramid_sessionkit.interfaces import GRACE, IContentsUpdate, Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

JUDGES = "load answers None for what has expired at the time that is asked for, by the record's own times."
IN_TIME = "A session ends when its record says so, and not earlier."
CAN_BE_SAVED = "What expired less than a minute ago can be updated."
IS_GONE = "What expired more than a minute ago is gone."


class ServesTheExpired(BrokenStore):
    """``load`` returns what has expired, until it is purged."""

    promise = JUDGES
    found_by = ("test_the_expired_are_gone_without_purging", "test_it_expires_in_time")

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self.good.load(key, fresh, 0)


class JudgesAtItsOwnTime(BrokenStore):
    """``load`` judges by the present time, whatever time is asked for."""

    promise = JUDGES
    found_by = ("test_they_are_judged_at_the_time_that_is_asked_for",)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self.good.load(key, fresh)


class IgnoresTheDeadline(BrokenStore):
    """``load`` goes by the idle timeout alone."""

    promise = JUDGES
    found_by = ("test_the_expired_are_gone_without_purging",)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, 0)
        idle = record and record._replace(deadline=None)
        return None if idle is None or idle.expired(time.time() if at is None else at) else record


class CountsFromCreation(BrokenStore):
    """The idle timeout counts from the creation of the session, and not from its last use."""

    promise = IN_TIME
    found_by = ("test_it_does_not_end_early",)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, at)
        if record is None or record._replace(renewed=record.created).expired(time.time() if at is None else at):
            return None
        return record


class EndsEarly(BrokenStore):
    """A session ends a minute early."""

    promise = IN_TIME
    found_by = ("test_it_does_not_end_early",)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self.good.load(key, fresh, (time.time() if at is None else at) + 60)


class ExpiryOfTheServer(BrokenStore):
    """The server removes a record when it was to end at its creation: an update does not move that."""

    promise = IN_TIME
    found_by = ("test_what_expired_a_moment_ago_can_be_saved", "test_it_expires_in_time")

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.ends: dict[str, int | None] = {}

    def create(self, key: str, record: Record) -> Any:
        self.ends[key] = record.expires
        return super().create(key, record)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        ends = self.ends.get(key)
        if ends is not None and ends <= time.time():
            return None
        return self.good.load(key, fresh, at)


class ContentsDoNotMoveTheExpiry(ExpiryOfTheServer):
    """The server's expiry is not moved by ``update_contents``."""

    needs = IContentsUpdate
    found_by = ("test_contents_can_be_saved_for_a_moment_after", "test_it_expires_in_time")

    def update(self, key: str, record: Record) -> Any:
        updated = super().update(key, record)
        if updated is not None:
            self.ends[key] = updated.expires
        return updated


class RemovesAtTheEnd(BrokenStore):
    """The server removes a record as soon as it has expired."""

    promise = CAN_BE_SAVED
    found_by = ("test_what_expired_a_moment_ago_can_be_saved", "test_it_expires_in_time")

    def update(self, key: str, record: Record) -> Any:
        return super().update(key, record) if self.good.load(key, True) is not None else None


class ContentsCannotBeSavedLate(BrokenStore):
    """``update_contents`` refuses what has just expired."""

    promise = CAN_BE_SAVED
    needs = IContentsUpdate
    found_by = ("test_contents_can_be_saved_for_a_moment_after",)

    def update_contents(self, key: str, record: Record) -> Any:
        return super().update_contents(key, record) if self.good.load(key, True) is not None else None


class _Restoring(BrokenStore):
    """Creates again what a good store does not update, since it expired."""

    promise = IS_GONE

    def restored(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        if stored is None or stored.version != record.version or not stored.expired(time.time() - GRACE):
            return None
        self.good.delete(key, stored)
        return super().create(key, record)


class UpdateRestoresTheExpired(_Restoring):
    """An update is stored however long ago the session expired."""

    found_by = ("test_what_expired_a_minute_ago_cannot",)

    def update(self, key: str, record: Record) -> Any:
        return super().update(key, record) or self.restored(key, record)


class ContentsUpdateRestoresTheExpired(_Restoring):
    """``update_contents`` is stored however long ago the session expired."""

    needs = IContentsUpdate
    found_by = ("test_contents_cannot_be_saved_a_minute_after",)

    def update_contents(self, key: str, record: Record) -> Any:
        return super().update_contents(key, record) or self.restored(key, record)
