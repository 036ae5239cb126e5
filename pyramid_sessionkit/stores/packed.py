"""A record as bytes: what memcached and Redis keep for a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from pyramid_sessionkit.interfaces import Record, is_sound

_VERSION = Record._fields.index("version")


def pack(record: Record) -> bytes:
    """A record as bytes: a line of JSON with its fields, then its contents."""
    return orjson.dumps((record.version.word, *record[1:_VERSION], *record[_VERSION + 1 :])) + b"\n" + record.data


def unpack_from(value: bytes, start: int, version_of: Callable[[list[Any]], Any]) -> Record | None:
    """The record in what :func:`pack` put there, from ``start`` on; None if that cannot be understood.

    A record of an earlier release has fewer fields: the later ones have their defaults then.
    ``version_of`` makes its version of its fields, where the word of the version stands in the place of the data.
    """
    end = value.find(b"\n", start)
    try:
        fields = orjson.loads(value[start:end])
        fields.insert(_VERSION, version_of(fields))
        fields[0] = value[end + 1 :]
        record = Record(*fields)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    return record if end >= 0 and is_sound(record) else None
