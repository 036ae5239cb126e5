"""Stores that lose or change what they were given, or that mix keys up."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.interfaces import IContentsUpdate, Record
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

AS_GIVEN = "What is stored comes back as it was given, with the same types."
ALL_FIELDS = "An update replaces the whole record."
ONE_KEY_ONE_RECORD = "A key names one record; case matters."
LOST = ("test_binary_data_of_the_largest_size", "test_contents_are_bytes_of_any_kind")


class _Changing(BrokenStore):
    """Changes each record that is stored."""

    promise = AS_GIVEN

    def changed(self, record: Record) -> Record:
        raise NotImplementedError

    def create(self, key: str, record: Record) -> Any:
        return super().create(key, self.changed(record))

    def update(self, key: str, record: Record) -> Any:
        return super().update(key, self.changed(record))

    def update_contents(self, key: str, record: Record) -> Any:
        return super().update_contents(key, self.changed(record))


class LosesBytesAbove64k(_Changing):
    """Of contents above 64 kB the rest is lost."""

    found_by = LOST[:1]

    def changed(self, record: Record) -> Record:
        return record.with_data(record.data[:65_535])


class LosesUpdatedBytesAbove64k(BrokenStore):
    """Of contents above 64 kB ``update_contents`` loses the rest."""

    promise = AS_GIVEN
    needs = IContentsUpdate
    found_by = ("test_updated_contents_may_be_of_the_largest_size",)

    def update_contents(self, key: str, record: Record) -> Any:
        return super().update_contents(key, record.with_data(record.data[:65_535]))


class StripsContents(_Changing):
    """White space around the contents is lost."""

    found_by = LOST[1:]

    def changed(self, record: Record) -> Record:
        return record.with_data(record.data.strip())


class EndsAtANullByte(_Changing):
    """Contents end at the first byte that is zero."""

    found_by = LOST

    def changed(self, record: Record) -> Record:
        return record.with_data(record.data.partition(b"\0")[0])


class TakesContentsForText(_Changing):
    """Contents that are not UTF-8 are changed."""

    found_by = LOST

    def changed(self, record: Record) -> Record:
        return record.with_data(record.data.decode(errors="replace").encode())


class RoundsTheLogin(_Changing):
    """The time of the login is rounded to seconds."""

    found_by = ("test_all_fields_come_back",)

    def changed(self, record: Record) -> Record:
        if record.authenticated is None:
            return record
        return record._replace(authenticated=record.authenticated // 1_000_000 * 1_000_000)


class StoresNoneAsZero(_Changing):
    """A limit that is None comes back as 0."""

    found_by = ("test_no_limits_come_back_as_none",)

    def changed(self, record: Record) -> Record:
        return record._replace(timeout=record.timeout or 0, deadline=record.deadline or 0)


class ForgetsWhoseTimeoutItIs(_Changing):
    """A field that came later is not stored."""

    found_by = ("test_all_fields_come_back",)

    def changed(self, record: Record) -> Record:
        return record._replace(own_timeout=False)


class _OtherTypes(BrokenStore):
    """Loads records whose fields are equal, but of other types."""

    promise = AS_GIVEN
    found_by = ("test_all_fields_come_back", "test_they_come_back_from_an_update_too")

    def other(self, record: Record) -> Record:
        raise NotImplementedError

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, at)
        return record and self.other(record)


class ContentsThatCanBeChanged(_OtherTypes):
    """Contents come back as a bytearray, which somebody may change in place."""

    def other(self, record: Record) -> Record:
        return record.with_data(bytearray(record.data))  # type: ignore[arg-type]


class NumbersForBooleans(_OtherTypes):
    """``persistent`` comes back as 0 or 1."""

    def other(self, record: Record) -> Record:
        return record._replace(persistent=int(record.persistent))  # type: ignore[arg-type]


class ChangesRecordsInPlace(BrokenStore):
    """An update changes the records that were loaded before."""

    promise = "A record that was loaded stays as it was."
    found_by = ("test_a_record_that_was_loaded_stays_as_it_was",)

    class _Shared:
        """A record that shows what is stored now."""

        def __init__(self, broken: BrokenStore, key: str, loaded: Record) -> None:
            self._broken, self._key, self._loaded = broken, key, loaded

        def __getattr__(self, name: str) -> Any:
            return getattr(self._broken.stored(self._key) or self._loaded, name)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, at)
        return record and self._Shared(self, key, record)


class UpdatesTheContentsAlone(BrokenStore):
    """An update stores nothing but the contents and their time."""

    promise = ALL_FIELDS
    found_by = ("test_an_update_replaces_all_fields", "test_a_new_secret_keeps_the_key")

    def update(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        if stored is None:
            return None
        return super().update(key, stored.renewed_with(record.data, record.renewed).versioned(record.version))


class NeverForgetsALogin(BrokenStore):
    """An update does not store a field that is None now."""

    promise = ALL_FIELDS
    found_by = ("test_an_update_removes_what_is_none_now",)

    def update(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        kept = {} if stored is None else {name: value for name, value in stored._asdict().items() if value is not None}
        given = {name: value for name, value in record._asdict().items() if value is not None}
        return super().update(key, Record(**{**record._asdict(), **kept, **given}))


class ContentsWithoutTheirTime(BrokenStore):
    """``update_contents`` does not restart the idle timeout."""

    promise = "update_contents stores data, renewed and timeout."
    needs = IContentsUpdate
    found_by = ("test_an_update_of_the_contents_is_an_update",)

    def update_contents(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        return stored and super().update_contents(key, record._replace(renewed=stored.renewed))


class ContentsWithoutTheirTimeout(BrokenStore):
    """``update_contents`` does not store the idle timeout."""

    promise = "update_contents stores data, renewed and timeout."
    needs = IContentsUpdate
    found_by = ("test_an_update_of_the_contents_is_an_update",)

    def update_contents(self, key: str, record: Record) -> Any:
        stored = self.stored(key)
        return stored and super().update_contents(key, record._replace(timeout=stored.timeout))


class _OtherKeys(BrokenStore):
    """Takes one key for another."""

    promise = ONE_KEY_ONE_RECORD

    def other(self, key: str) -> str:
        raise NotImplementedError

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self.good.load(self.other(key), fresh, at)

    def create(self, key: str, record: Record) -> Any:
        return super().create(self.other(key), record)

    def update(self, key: str, record: Record) -> Any:
        return super().update(self.other(key), record)

    def update_contents(self, key: str, record: Record) -> Any:
        return super().update_contents(self.other(key), record)

    def delete(self, key: str, record: Record | None = None) -> Any:
        return self.good.delete(self.other(key), record)


class KeysIgnoreCase(_OtherKeys):
    """Keys that differ by case are the same."""

    found_by = ("test_keys_differ_by_case",)

    def other(self, key: str) -> str:
        return key.lower()


class KeysAreCut(_OtherKeys):
    """Of a key the first 40 characters count."""

    found_by = ("test_each_key_names_its_record",)

    def other(self, key: str) -> str:
        return key[:40]


class KeysIgnoreSigns(_OtherKeys):
    """A dash in a key is taken for an underscore."""

    found_by = ("test_keys_differ_by_their_signs",)

    def other(self, key: str) -> str:
        return key.replace("-", "_")
