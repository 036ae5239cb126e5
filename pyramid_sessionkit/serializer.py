"""Contents to JSON bytes and back, and the check that nothing changed on the way."""

from __future__ import annotations

from typing import Any

import orjson

from pyramid_sessionkit.compare import as_read_back
from pyramid_sessionkit.exceptions import SessionTooLarge
from pyramid_sessionkit.refused import not_serializable

Contents = dict[str, Any]


def dumps(contents: Contents) -> bytes:
    """The contents as JSON; :exc:`SessionNotSerializable` names the path of a value JSON cannot hold."""
    try:
        return orjson.dumps(contents)
    except orjson.JSONEncodeError:
        raise not_serializable(contents) from None


def loads(data: bytes) -> Contents:
    """The contents in ``data``. Raises ValueError if those are not the bytes of a JSON object."""
    contents = orjson.loads(data)
    if type(contents) is not dict:
        raise ValueError("not a JSON object")
    return contents


def encode(contents: Contents) -> tuple[bytes, Contents]:
    """The contents as JSON, and what that reads back as: for what a merge made, which is never too large.

    Raises as :func:`dumps` and :func:`check` do.
    """
    data = dumps(contents)
    return data, check(contents, data)


def check(contents: Contents, data: bytes, max_size: int | None = None, stored_size: int = 0) -> Contents:
    """What ``data`` reads back as. Raises unless that equals ``contents`` (with lists for tuples).

    Raises too if ``data`` takes more than ``max_size`` bytes, and more than the ``stored_size`` that the session has
    already: a merge may have taken it above ``max_size``, and such a session may still change and shrink.
    """
    if max_size is not None and max_size < len(data) > stored_size:
        raise _too_large(contents, len(data), max_size, stored_size)
    back: Contents = orjson.loads(data)
    if back != contents and back != as_read_back(contents):
        raise not_serializable(contents)
    return back


def _too_large(contents: Contents, size: int, max_size: int, stored_size: int) -> SessionTooLarge:
    sizes = {name: len(orjson.dumps(value)) for name, value in contents.items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    listed = ", ".join(f"{name} ({sizes[name]})" for name in largest)
    limit = f"sessionkit.max_size is {max_size}"
    if stored_size > max_size:
        limit += f" and the {stored_size} bytes that are stored already exceed it, so that it may not grow"
    return SessionTooLarge(
        f"The session takes {size} bytes, but {limit}; its largest keys are {listed}. "
        "Keep large things in the application's database and their ids in the session."
    )
