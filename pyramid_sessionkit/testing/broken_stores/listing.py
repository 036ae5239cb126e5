"""Stores that list, count or remove too little or too much."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pyramid_sessionkit.interfaces import IListable, IPurgeable, IUserIndex, Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

LISTS_ALL = "live_sessions gives the live sessions, those that last longest first, limit at most."
NO_CONTENTS = "Each record of live_sessions is made by Record.without_contents."
FINDS_ALL = "find_keys gives the keys of live sessions that begin with the prefix, limit at most."
COUNTS_ALL = "count says how many live sessions there are, or how many have expired and are stored."
CLEARS_ALL = "clear removes every record, and says how many."
PURGES_ALL = "purge removes what expired more than a minute ago, limit at most, and says how many."
ANY_TIME = "Methods are called from many threads at once."
TELLS_ALL = "purge tells each record that it removed, once."
Listed = list[tuple[str, Record]]
Tell = Callable[[str, Record], None]
ORDER = ("test_those_that_last_longest_are_listed_first",)


class _Lists(BrokenStore):
    """Breaks ``live_sessions`` alone."""

    promise = LISTS_ALL
    needs = IListable
    found_by = ORDER

    def live_sessions(self, limit: int) -> Any:
        return self.broken(limit, list(self.good.live_sessions(limit)))

    def broken(self, limit: int, listed: Listed) -> Listed:
        raise NotImplementedError


class ListForgetsOne(_Lists):
    """A list of all forgets the last."""

    def broken(self, limit: int, listed: Listed) -> Listed:
        return listed if len(listed) == limit else listed[:-1]


class ListForgetsTheEndless(_Lists):
    """A list of all forgets sessions that never expire."""

    def broken(self, limit: int, listed: Listed) -> Listed:
        return [item for item in listed if item[1].expires is not None]


class ListShowsTheExpired(_Lists):
    """A list of all shows expired sessions too."""

    def broken(self, limit: int, listed: Listed) -> Listed:
        expired = [(key, record.without_contents()) for key, record in self.known() if record.expired(time.time())]
        return (listed + expired)[:limit]


class ListHasNoOrder(_Lists):
    """A list of all is in the order of the keys."""

    def broken(self, limit: int, listed: Listed) -> Listed:
        return sorted(listed)


class ListHasNoLimit(_Lists):
    """A list of all ignores its limit."""

    def broken(self, limit: int, listed: Listed) -> Listed:
        return list(self.good.live_sessions(10_000))


class ListTakesNoLimitForNone(_Lists):
    """A limit of 0 is taken for no limit."""

    found_by = ("test_a_limit_of_none_at_all_lists_nothing",)

    def broken(self, limit: int, listed: Listed) -> Listed:
        return listed if limit else list(self.good.live_sessions(10_000))


class ListHasContents(_Lists):
    """A list of all shows contents."""

    promise = NO_CONTENTS

    def broken(self, limit: int, listed: Listed) -> Listed:
        return [(key, record.with_data(self.stored(key).data)) for key, record in listed]


class ListHasVersions(_Lists):
    """The records of a list have versions, so that an update writes them back without their contents."""

    promise = NO_CONTENTS
    found_by = ("test_what_was_listed_cannot_be_written_back",)

    def broken(self, limit: int, listed: Listed) -> Listed:
        return [(key, record.versioned(self.stored(key).version)) for key, record in listed]


class _Finds(BrokenStore):
    """Breaks ``find_keys`` alone."""

    promise = FINDS_ALL
    needs = IListable
    found_by = ("test_find_keys",)


class FindsTooFew(_Finds):
    """``find_keys`` forgets one."""

    def find_keys(self, prefix: str, limit: int) -> Any:
        return list(self.good.find_keys(prefix, limit))[1:]


class FindsTooMany(_Finds):
    """``find_keys`` ignores its limit."""

    def find_keys(self, prefix: str, limit: int) -> Any:
        return self.good.find_keys(prefix, 10_000)


class FindsTheExpired(_Finds):
    """``find_keys`` finds what has expired."""

    def find_keys(self, prefix: str, limit: int) -> Any:
        return [key for key, _ in self.known() if key.startswith(prefix)][:limit]


class FindsWithoutCase(_Finds):
    """``find_keys`` ignores case."""

    def find_keys(self, prefix: str, limit: int) -> Any:
        return [key for key in self.good.find_keys("", 10_000) if key.lower().startswith(prefix.lower())][:limit]


class FindsByPattern(_Finds):
    """An underscore in the prefix stands for any character."""

    def find_keys(self, prefix: str, limit: int) -> Any:
        live = self.good.find_keys("", 10_000)
        return [key for key in live if all(a in ("_", b) for a, b in zip(prefix, key, strict=False))][:limit]


class _Counts(BrokenStore):
    """Breaks ``count`` alone."""

    promise = COUNTS_ALL
    needs = IListable
    found_by = ("test_count",)


class CountsTheExpired(_Counts):
    """``count`` counts expired sessions as live ones."""

    def count(self, expired: bool = False) -> Any:
        return self.good.count(True) + (0 if expired else self.good.count())


class CountsWhatNothingOpens(_Counts):
    """``count`` counts live records without a verifier, which are no sessions."""

    def count(self, expired: bool = False) -> Any:
        return self.good.count(True) if expired else len(self.good.find_keys("", 10_000))


class CountsNoneExpired(_Counts):
    """``count`` says that nothing has expired."""

    def count(self, expired: bool = False) -> Any:
        return 0 if expired else self.good.count()


class CountsAPage(_Counts):
    """``count`` stops at a hundred."""

    found_by = ("test_many_sessions_are_all_counted_and_removed",)

    def count(self, expired: bool = False) -> Any:
        return min(100, self.good.count(expired))


class _Clears(BrokenStore):
    """Breaks ``clear`` alone."""

    promise = CLEARS_ALL
    needs = IListable


class ClearsTheLiveAlone(_Clears):
    """``clear`` leaves what has expired."""

    found_by = ("test_count",)

    def clear(self) -> Any:
        return sum(self.good.delete(key) for key in list(self.good.find_keys("", 10_000)))


class ClearsAPage(_Clears):
    """``clear`` stops at a hundred."""

    found_by = ("test_many_sessions_are_all_counted_and_removed",)

    def clear(self) -> Any:
        return sum(self.good.delete(key) for key in list(self.good.find_keys("", 100)))


class ClearSaysNothing(_Clears):
    """``clear`` does not say how many it removed."""

    found_by = ("test_count",)

    def clear(self) -> Any:
        self.good.clear()


class ClearLeavesTheIndex(_Clears):
    """``clear`` leaves sessions in the index of their user."""

    needs = IUserIndex
    found_by = ("test_nothing_remembers_what_was_cleared",)

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.left: Listed = []

    def clear(self) -> Any:
        self.left = list(self.known())
        return self.good.clear()

    def sessions_of(self, userid: str) -> Any:
        return [*self.good.sessions_of(userid), *(item for item in self.left if item[1].userid == userid)]


class _Purges(BrokenStore):
    """Breaks ``purge`` alone."""

    promise = PURGES_ALL
    needs = IPurgeable
    found_by = ("test_purge",)


class PurgeRemovesNothing(_Purges):
    """``purge`` removes nothing."""

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        return 0


class PurgeForgetsOne(_Purges):
    """``purge`` leaves one."""

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        expired = [item for item in self.known() if item[1].expired(time.time() - 60)]
        return self.good.purge(max(0, min(len(expired) - 1, len(expired) if limit is None else limit)), tell)


class PurgeHasNoLimit(_Purges):
    """``purge`` ignores its limit."""

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        return self.good.purge(None, tell)


class PurgeTakesNoLimitForNone(_Purges):
    """A limit of 0 is taken for no limit."""

    found_by = ("test_a_limit_of_none_at_all_purges_nothing",)

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        return self.good.purge(limit or None, tell)


class PurgeTakesWhatCanBeSaved(_Purges):
    """``purge`` removes what has just expired, and can still be updated."""

    found_by = ("test_purging_leaves_what_can_still_be_saved",)

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        late = [key for key, record in self.known() if record.expired(time.time())]
        return sum(self.good.delete(key) for key in late[:limit])


class PurgeTakesTheEndless(_Purges):
    """``purge`` takes no limit for one that is over."""

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        endless = [key for key, record in self.known() if record.expires is None]
        return self.good.purge(limit, tell) + sum(self.good.delete(key) for key in endless)


class PurgeTakesTheIdle(_Purges):
    """``purge`` goes by the creation of a session, and not by its last use."""

    found_by = ("test_purging_takes_nothing_that_is_alive",)

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        old = [key for key, record in self.known() if record._replace(renewed=record.created).expired(time.time() - 60)]
        return sum(self.good.delete(key) for key in old[:limit])


class _Tells(BrokenStore):
    """Breaks what ``purge`` tells."""

    promise = TELLS_ALL
    needs = IPurgeable
    found_by = ("test_purging_tells_what_it_removed",)


class PurgeTellsNothing(_Tells):
    """``purge`` tells nothing."""

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        return self.good.purge(limit)


class PurgeTellsWithoutUsers(_Tells):
    """What ``purge`` tells has no users."""

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        if tell is None:
            return self.good.purge(limit)
        return self.good.purge(limit, lambda key, record: tell(key, record._replace(userid=None, authenticated=None)))


class PurgeTellsWhatItFinds(_Tells):
    """``purge`` tells what it is about to remove, and another may be faster."""

    found_by = ("test_purges_at_once_tell_each_session_once",)

    def purge(self, limit: int | None = None, tell: Tell | None = None) -> Any:
        found = [item for item in self.known() if item[1].expired(time.time() - 60)][:limit]
        time.sleep(0.01)
        if tell is not None:
            for item in found:
                tell(*item)
        return self.good.purge(limit)


class ListsFailDuringWrites(BrokenStore):
    """A list fails if a session comes or goes while it is made."""

    promise = ANY_TIME
    needs = IListable
    found_by = ("test_lists_can_be_made_while_sessions_come_and_go",)
    changes = 0

    def create(self, key: str, record: Record) -> Any:
        self.changes += 1
        return super().create(key, record)

    def live_sessions(self, limit: int) -> Any:
        before = self.changes
        time.sleep(0.001)
        listed = self.good.live_sessions(limit)
        if self.changes != before:
            raise RuntimeError("dictionary changed size during iteration")
        return listed
