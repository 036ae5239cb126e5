"""Stores that do not know the sessions of a user."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

from pyramid_sessionkit.interfaces import IContentsUpdate, IUserIndex, Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

ALL_AND_ONLY = "sessions_of gives each live session of this user, and no other."
BY_LOGIN = "sessions_of goes by the time of the login, then by key."
AS_STORED = "sessions_of gives the records that are stored now, with their versions."
Found = list[tuple[str, Record]]


class _Users(BrokenStore):
    """Breaks ``sessions_of`` alone."""

    promise = ALL_AND_ONLY
    needs = IUserIndex

    def sessions_of(self, userid: str) -> Any:
        return self.broken(userid, list(self.good.sessions_of(userid)))

    def broken(self, userid: str, found: Found) -> Found:
        raise NotImplementedError


class LoginsAreNotIndexed(_Users):
    """A session that logs in later does not enter the user's index."""

    found_by = ("test_a_session_is_its_users_from_login_to_logout",)

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.first: dict[str, str | None] = {}

    def create(self, key: str, record: Record) -> Any:
        created = super().create(key, record)
        if created is not None:
            self.first[key] = record.userid
        return created

    def broken(self, userid: str, found: Found) -> Found:
        return [(key, record) for key, record in found if self.first.get(key, userid) == userid]


class LogoutsAreNotIndexed(_Users):
    """A session that logged out, or in as another, stays in the user's index."""

    found_by = ("test_a_session_is_its_users_from_login_to_logout",)

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.ever: dict[str, set[str]] = {}

    def noted(self, key: str, record: Record | None) -> Record | None:
        if record is not None and record.userid is not None:
            self.ever.setdefault(record.userid, set()).add(key)
        return super().noted(key, record)

    def broken(self, userid: str, found: Found) -> Found:
        there = {key: self.good.load(key) for key in self.ever.get(userid, ())}
        return found + [(key, record) for key, record in there.items() if record and record.userid != userid]


class ListsTheEnded(_Users):
    """A session that was deleted stays in the user's index."""

    found_by = ("test_a_session_is_its_users_from_login_to_logout",)

    def broken(self, userid: str, found: Found) -> Found:
        gone = [(key, record) for key, record in self.records.items() if self.stored(key) is None]
        return found + [(key, record) for key, record in gone if record.userid == userid]


class ListsTheExpired(_Users):
    """Expired sessions are among those of their user."""

    found_by = ("test_sessions_of_a_user",)

    def broken(self, userid: str, found: Found) -> Found:
        expired = [(key, record) for key, record in self.known() if record.expired(time.time())]
        return found + [(key, record) for key, record in expired if record.userid == userid]


class ForgetsTheLastLogin(_Users):
    """Of several sessions of a user the last is missing."""

    found_by = ("test_sessions_of_a_user",)

    def broken(self, userid: str, found: Found) -> Found:
        return found[:-1] if len(found) > 1 else found


class ListsAHundred(_Users):
    """Of a user's sessions no more than a hundred are found."""

    found_by = ("test_a_user_has_any_number_of_sessions",)

    def broken(self, userid: str, found: Found) -> Found:
        return found[:100]


class SortsByCreation(_Users):
    """A user's sessions go by their creation."""

    promise = BY_LOGIN
    found_by = ("test_sessions_of_a_user",)

    def broken(self, userid: str, found: Found) -> Found:
        return sorted(found, key=lambda item: item[1].created)


class EqualLoginsHaveNoOrder(_Users):
    """Sessions that logged in at the same time are in no order."""

    promise = BY_LOGIN
    found_by = ("test_logins_at_the_same_time_go_by_their_keys",)

    def broken(self, userid: str, found: Found) -> Found:
        backwards = found[::-1]
        return sorted(backwards, key=lambda item: item[1].authenticated or 0)


class IndexKeepsOldRecords(_Users):
    """``sessions_of`` gives each record as it was when it was created."""

    promise = AS_STORED
    found_by = ("test_a_users_sessions_are_those_stored_now",)

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.first: dict[str, Record] = {}

    def noted(self, key: str, record: Record | None) -> Record | None:
        if record is not None:
            self.first.setdefault(key, record)
        return super().noted(key, record)

    def broken(self, userid: str, found: Found) -> Found:
        return [(key, self.first.get(key, record)) for key, record in found]


class IndexMissesContents(_Users):
    """``sessions_of`` does not see what ``update_contents`` stored."""

    promise = AS_STORED
    needs = IContentsUpdate
    found_by = ("test_a_users_sessions_are_those_stored_now",)

    def update_contents(self, key: str, record: Record) -> Any:
        return self.good.update_contents(key, record)

    def broken(self, userid: str, found: Found) -> Found:
        return [(key, self.records.get(key, record)) for key, record in found]


class IndexHasNoVersions(_Users):
    """The records that ``sessions_of`` gives have no version, so that none of them can be ended."""

    promise = AS_STORED
    found_by = ("test_sessions_of_a_user",)

    def broken(self, userid: str, found: Found) -> Found:
        return [(key, record.versioned(None)) for key, record in found]


class UseridsMustBeText(_Users):
    """``sessions_of`` breaks at a userid that cannot be encoded: it may have been typed into a script."""

    promise = "sessions_of finds nothing for a userid that cannot be stored, or raises StoreError."
    found_by = ("test_a_userid_that_is_not_text_has_no_sessions",)

    def broken(self, userid: str, found: Found) -> Found:
        userid.encode()
        return found


class _Folded(_Users):
    """Takes one userid for another."""

    promise = "A userid is exactly that text."
    found_by = ("test_userids_are_not_patterns",)

    def folded(self, userid: str) -> str:
        raise NotImplementedError

    def broken(self, userid: str, found: Found) -> Found:
        live = [(key, record) for key, record in self.known() if not record.expired(time.time())]
        return [item for item in live if item[1].userid and self.folded(item[1].userid) == self.folded(userid)]


class UseridsIgnoreCase(_Folded):
    """Userids that differ by case are the same user."""

    def folded(self, userid: str) -> str:
        return userid.casefold()


class UseridsIgnoreSpaces(_Folded):
    """Userids that differ by spaces at the end are the same user."""

    def folded(self, userid: str) -> str:
        return userid.rstrip(" ")


class UseridsIgnoreAccents(_Folded):
    """Userids that are written with other code points for the same letters are the same user."""

    def folded(self, userid: str) -> str:
        return unicodedata.normalize("NFC", userid)


class UseridsAreCut(_Folded):
    """Of a userid the first 64 characters count."""

    def folded(self, userid: str) -> str:
        return userid[:64]


class UseridsArePatterns(_Folded):
    """An underscore in a userid stands for any character."""

    def broken(self, userid: str, found: Found) -> Found:
        others = {record.userid for _, record in self.known()} - {userid, None}
        return found + [
            item for other in others if _matches(userid, other or "") for item in self.good.sessions_of(other)
        ]


def _matches(pattern: str, text: str) -> bool:
    return len(pattern) == len(text) and all(one in ("_", other) for one, other in zip(pattern, text, strict=True))
