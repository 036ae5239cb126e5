"""Stores that take an outage for an answer, or that never work again after it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import IContentsUpdate, IListable, IPurgeable, IUserIndex, Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

T = TypeVar("T")


class _Outage(BrokenStore):
    """Answers where a good store raises StoreUnavailable."""

    promise = "Each method raises StoreUnavailable in an outage. A miss is never an outage, nor the reverse."
    hook = "unreachable"
    found_by = ("test_an_outage_is_not_a_miss",)


def _answer(outage: T, call: Callable[..., Any], *args: Any) -> Any:
    """What a call returns; in an outage something else."""
    with contextlib.suppress(StoreUnavailable):
        result = call(*args)
        return result if isinstance(result, (Record, int, type(None))) else list(result)
    return outage


class OutageIsAMiss(_Outage):
    """``load`` answers None in an outage."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return _answer(None, self.good.load, key, fresh, at)


class OutageIsAFreshMiss(_Outage):
    """``load`` answers None in an outage if it may ask no cache."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return _answer(None, self.good.load, key, fresh, at) if fresh else self.good.load(key, fresh, at)


class OutageIsATakenKey(_Outage):
    """``create`` answers None in an outage."""

    def create(self, key: str, record: Record) -> Any:
        return _answer(None, super().create, key, record)


class OutageIsAConflict(_Outage):
    """``update`` answers None in an outage."""

    def update(self, key: str, record: Record) -> Any:
        return _answer(None, super().update, key, record)


class OutageIsAConflictOfContents(_Outage):
    """``update_contents`` answers None in an outage."""

    needs = IContentsUpdate

    def update_contents(self, key: str, record: Record) -> Any:
        return _answer(None, super().update_contents, key, record)


class OutageIsNoEnding(_Outage):
    """``delete`` answers False in an outage."""

    def delete(self, key: str, record: Record | None = None) -> Any:
        return _answer(False, self.good.delete, key, record)


class OutageIsNobody(_Outage):
    """``sessions_of`` is empty in an outage."""

    needs = IUserIndex

    def sessions_of(self, userid: str) -> Any:
        return _answer([], self.good.sessions_of, userid)


class OutageIsAnEmptyList(_Outage):
    """``live_sessions`` is empty in an outage."""

    needs = IListable

    def live_sessions(self, limit: int) -> Any:
        return _answer([], self.good.live_sessions, limit)


class OutageIsNoKey(_Outage):
    """``find_keys`` is empty in an outage."""

    needs = IListable

    def find_keys(self, prefix: str, limit: int) -> Any:
        return _answer([], self.good.find_keys, prefix, limit)


class OutageIsZero(_Outage):
    """``count`` is 0 in an outage."""

    needs = IListable

    def count(self, expired: bool = False) -> Any:
        return _answer(0, self.good.count, expired)


class OutageIsCleared(_Outage):
    """``clear`` answers 0 in an outage."""

    needs = IListable

    def clear(self) -> Any:
        return _answer(0, self.good.clear)


class OutageIsPurged(_Outage):
    """``purge`` answers 0 in an outage."""

    needs = IPurgeable

    def purge(self, limit: int | None = None) -> Any:
        return _answer(0, self.good.purge, limit)


class OutageRaisesTheDriversError(_Outage):
    """``load`` raises what its driver raises."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        try:
            return self.good.load(key, fresh, at)
        except StoreUnavailable as error:
            raise ConnectionError(str(error)) from error


class OutageLastsForEver(BrokenStore):
    """After a connection was closed, no call works again."""

    promise = "A store works again when its server does."
    hook = "address"
    found_by = ("test_it_works_again_when_the_server_is_back",)
    broken = False

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        if self.broken:
            raise StoreUnavailable("The connection was closed.")
        try:
            return self.good.load(key, fresh, at)
        except StoreUnavailable:
            self.broken = True
            raise


class WaitsForEver(BrokenStore):
    """An update waits until the server answers, however long that takes."""

    promise = "Each call ends within the store's time-out."
    hook = "at"
    found_by = ("test_a_server_that_never_answers_blocks_nobody",)
    tries = 300
    """So that what the tests leave behind ends some time. Each takes a tenth of a second or more."""

    def update(self, key: str, record: Record) -> Any:
        for _ in range(self.tries):
            with contextlib.suppress(StoreUnavailable):
                return super().update(key, record)
            time.sleep(0.1)
        raise StoreUnavailable("There was no answer.")


class RepeatsUpdates(BrokenStore):
    """An update whose answer was lost is sent again, as many drivers do: it then finds its own version and loses."""

    promise = "An update that may have been applied is never repeated: it raises StoreUnavailable."
    hook = "address"
    found_by = ("test_an_update_whose_answer_is_lost_is_not_repeated",)

    def update(self, key: str, record: Record) -> Any:
        try:
            return super().update(key, record)
        except StoreUnavailable:
            return super().update(key, record)


class RepeatsUpdatesOfContents(BrokenStore):
    """``update_contents`` whose answer was lost is sent again, as many drivers do."""

    promise = RepeatsUpdates.promise
    needs = IContentsUpdate
    hook = "address"
    found_by = ("test_an_update_whose_answer_is_lost_is_not_repeated",)

    def update_contents(self, key: str, record: Record) -> Any:
        try:
            return super().update_contents(key, record)
        except StoreUnavailable:
            return super().update_contents(key, record)
