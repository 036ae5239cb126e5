"""Stores that fail at a record that cannot be understood, or remove it."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import UNREADABLE
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore

SURVIVES_DAMAGE = "A record that cannot be understood is returned as unreadable(), and its bytes stay."
FOUND_BY = ("test_a_damaged_record_is_unreadable_and_stays",)


class FailsAtDamage(BrokenStore):
    """``load`` raises an error for what it cannot understand."""

    promise = SURVIVES_DAMAGE
    hook = "damage"
    found_by = FOUND_BY

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, at)
        if record is not None and record.data == UNREADABLE:
            raise StoreError("The record cannot be decoded.")
        return record


class TakesDamageForAMiss(BrokenStore):
    """``load`` answers None for what it cannot understand."""

    promise = SURVIVES_DAMAGE
    hook = "damage"
    found_by = FOUND_BY

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, at)
        return None if record is None or record.data == UNREADABLE else record


class RemovesTheDamaged(BrokenStore):
    """``load`` removes what it cannot understand."""

    promise = SURVIVES_DAMAGE
    hook = "damage"
    found_by = FOUND_BY

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        record = self.good.load(key, fresh, at)
        if record is not None and record.data == UNREADABLE:
            self.good.delete(key)
        return record
