"""Stores that overwrite, create, or take an old version for the current one."""

from __future__ import annotations

import time
from typing import Any

from pyramid_sessionkit.interfaces import IContentsUpdate, Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

COMPARES = "An update is stored only if the version is still the stored one, in one step."
NEVER_CREATES = "An update never creates."
NEVER_TWICE = "A version is never used twice for a key."
TELLS = "delete answers True if it removed a record, and False otherwise."
AT_ONCE = "Methods are called from many threads at once."

SLOW = 0.1
"""Seconds between two steps: on a busy machine other threads need that long to come between."""


class CreateOverwrites(BrokenStore):
    """``create`` overwrites the record of a key that is taken."""

    promise = "create answers None if the key is taken."
    found_by = ("test_create_does_not_overwrite",)

    def create(self, key: str, record: Record) -> Any:
        self.good.delete(key)
        return super().create(key, record)


class CreateSaysItDid(BrokenStore):
    """``create`` answers with a record also if the key is taken."""

    promise = "create answers None if the key is taken."
    found_by = ("test_create_does_not_overwrite",)

    def create(self, key: str, record: Record) -> Any:
        return super().create(key, record) or record


class UpdateCreates(BrokenStore):
    """An update of a record that is gone creates it."""

    promise = NEVER_CREATES
    found_by = ("test_a_missing_record_is_none", "test_delete")

    def update(self, key: str, record: Record) -> Any:
        return super().create(key, record) or super().update(key, record)


class ContentsUpdateCreates(BrokenStore):
    """``update_contents`` of a record that is gone creates it."""

    promise = NEVER_CREATES
    needs = IContentsUpdate
    found_by = ("test_an_update_of_the_contents_is_an_update",)

    def update_contents(self, key: str, record: Record) -> Any:
        return super().create(key, record) or super().update_contents(key, record)


class UpdateIgnoresVersions(BrokenStore):
    """An update is stored whatever its version."""

    promise = COMPARES
    found_by = ("test_update_compares_versions",)

    def update(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        return stored and super().update(key, record.versioned(stored.version))


class ContentsUpdateIgnoresVersions(BrokenStore):
    """``update_contents`` is stored whatever its version."""

    promise = COMPARES
    needs = IContentsUpdate
    found_by = ("test_contents_of_an_older_version_are_refused",)

    def update_contents(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        return stored and super().update_contents(key, record.versioned(stored.version))


class DeleteIgnoresVersions(BrokenStore):
    """``delete`` with a record removes whatever is stored."""

    promise = "delete with a record removes only that version."
    found_by = ("test_delete_of_a_version",)

    def delete(self, key: str, record: Record | None = None) -> Any:
        return self.good.delete(key)


class DeleteSaysTrueTwice(BrokenStore):
    """``delete`` answers True also if somebody else has removed the record."""

    promise = TELLS
    found_by = ("test_delete",)

    def delete(self, key: str, record: Record | None = None) -> Any:
        return self.good.delete(key, record) or (key in self.records and self.stored(key) is None)


class DeleteSaysNothing(BrokenStore):
    """``delete`` removes, and answers None."""

    promise = TELLS
    found_by = ("test_delete",)

    def delete(self, key: str, record: Record | None = None) -> Any:
        self.good.delete(key, record)


class EqualContentsAreNoVersion(BrokenStore):
    """An update that changes nothing keeps its version."""

    promise = NEVER_TWICE
    found_by = ("test_updates_with_equal_contents_are_versions_too",)

    def update(self, key: str, record: Record) -> Any:
        return record if self.stored(key) == record else super().update(key, record)


class EqualContentsUpdateIsNoVersion(BrokenStore):
    """``update_contents`` that changes nothing keeps its version."""

    promise = NEVER_TWICE
    needs = IContentsUpdate
    found_by = ("test_an_update_of_equal_contents_is_a_version",)

    def update_contents(self, key: str, record: Record) -> Any:
        return record if self.stored(key) == record else super().update_contents(key, record)


class VersionsRepeat(BrokenStore):
    """Versions count up from one again when a record is created again."""

    promise = NEVER_TWICE
    found_by = ("test_a_version_is_never_used_twice", "test_a_record_that_was_created_again_is_another")

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.versions: dict[str, list[Any]] = {}
        """The good store's versions of each key: ours is the place in this list."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self._ours(key, self.good.load(key, fresh, at))

    def create(self, key: str, record: Record) -> Any:
        created = super().create(key, record)
        if created is not None:
            self.versions[key] = [None]
        return self._ours(key, created)

    def update(self, key: str, record: Record) -> Any:
        return self._ours(key, super().update(key, self._theirs(key, record)))

    def update_contents(self, key: str, record: Record) -> Any:
        return self._ours(key, super().update_contents(key, self._theirs(key, record)))

    def delete(self, key: str, record: Record | None = None) -> Any:
        return self.good.delete(key, record and self._theirs(key, record))

    def sessions_of(self, userid: str) -> Any:
        return [(key, self._ours(key, record)) for key, record in self.good.sessions_of(userid)]

    def _ours(self, key: str, record: Record | None) -> Any:
        if record is None:
            return None
        versions = self.versions.setdefault(key, [None])
        if record.version not in versions:
            versions.append(record.version)
        return record.versioned(versions.index(record.version))

    def _theirs(self, key: str, record: Record) -> Record:
        versions = self.versions.get(key, [None])
        known = isinstance(record.version, int) and record.version < len(versions)
        return record.versioned(versions[record.version] if known else None)


class UpdateInTwoSteps(BrokenStore):
    """An update compares first and writes then, so that another may come between."""

    promise = COMPARES
    found_by = ("test_one_of_many_updates_wins",)

    def update(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        if stored is None or stored.version != record.version:
            return None
        time.sleep(SLOW)
        now = self.stored(key)
        return now and super().update(key, record.versioned(now.version))


class ContentsUpdateInTwoSteps(BrokenStore):
    """``update_contents`` compares first and writes then, so that another may come between."""

    promise = COMPARES
    needs = IContentsUpdate
    found_by = ("test_one_of_many_updates_of_contents_wins",)

    def update_contents(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        if stored is None or stored.version != record.version:
            return None
        time.sleep(SLOW)
        now = self.stored(key)
        return now and super().update_contents(key, record.versioned(now.version))


class CreateInTwoSteps(BrokenStore):
    """``create`` looks first and writes then, so that two at once may both get a record."""

    promise = "Of many creations of one key exactly one wins."
    found_by = ("test_one_of_many_creations_wins",)

    def create(self, key: str, record: Record) -> Any:
        if self.stored(key) is not None:
            return None
        time.sleep(SLOW)
        return super().create(key, record) or self.stored(key)


class DeleteInTwoSteps(BrokenStore):
    """``delete`` looks first and removes then, so that two at once may both get True."""

    promise = TELLS
    found_by = ("test_one_of_many_deletions_is_told_that_it_was",)

    def delete(self, key: str, record: Record | None = None) -> Any:
        stored = self.stored(key)
        if stored is None or (record is not None and record.version != stored.version):
            return False
        time.sleep(SLOW)
        self.good.delete(key)
        return True


class MixesUpAnswers(BrokenStore):
    """Threads share a connection without a lock, and read one another's answers."""

    promise = AT_ONCE
    found_by = ("test_each_thread_gets_its_own_answers",)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        self.answer = self.good.load(key, fresh, at)
        time.sleep(0.001)
        return self.answer
