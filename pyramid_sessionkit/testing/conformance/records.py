"""The records and keys of the suite."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import Record

KEY = "A-z_" + "a" * 18
OTHER_KEY = "b" * 64

LARGEST = 262_144
"""Bytes of contents that every store takes: the default of ``sessionkit.max_size``."""

DAY = 86400


def make_record(data: bytes = b'{"a":1}', **fields: Any) -> Record:
    """A record made now: of an anonymous visitor, or of a given ``userid``, who has just logged in."""
    now = int(time.time())
    authenticated = None if fields.get("userid") is None else now * 1_000_000
    record = Record(data, "f" * 64, "", None, None, authenticated, None, now, now, 1200, now + 43200, False)
    return record._replace(**fields)


def expired_record(ago: int = DAY, **fields: Any) -> Record:
    """A record that expired so many seconds ago."""
    renewed = int(time.time()) - ago - 60
    return make_record(**{"created": renewed, "renewed": renewed, "timeout": 60, "deadline": None, **fields})


def unversioned(record: Record | None) -> Record | None:
    """The record without what is the store's own."""
    return record and record.versioned(None)


def types_of(record: Record) -> list[type]:
    """Those of all fields that are not the store's own."""
    return [type(value) for value in record.versioned(None)]


def numbered(number: int) -> str:
    """A key for each number."""
    return f"{number:022}"


EXPIRED: dict[str, Callable[[int], dict[str, Any]]] = {
    "timeout": lambda ago: {"renewed": int(time.time()) - ago - 100, "timeout": 100, "deadline": None},
    "deadline": lambda ago: {"timeout": None, "deadline": int(time.time()) - ago},
}
"""The fields of a record that expired so many seconds ago."""

each_limit = pytest.mark.parametrize("limit", EXPIRED)


def difference(found: bytes, expected: bytes) -> str | None:
    """How large contents differ, in few words, since pytest compares them for minutes. None if they do not."""
    if found == expected:
        return None
    first = next((at for at, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other), len(found))
    return f"{len(found)} bytes instead of {len(expected)}, and others from byte {first} on"
