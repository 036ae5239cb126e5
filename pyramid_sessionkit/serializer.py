"""Contents to JSON bytes and back, and the check that nothing changed on the way."""

from __future__ import annotations

from typing import Any

import orjson

from pyramid_sessionkit.exceptions import SessionNotSerializable, SessionTooLarge
from pyramid_sessionkit.merge import as_read_back

Contents = dict[str, Any]

EMPTY = b"{}"

LONGEST_PATH = 200
"""Characters of a path in a message."""


def dumps(contents: Contents) -> bytes:
    """The contents as JSON; :exc:`SessionNotSerializable` names the path of a value JSON cannot hold."""
    try:
        return orjson.dumps(contents)
    except orjson.JSONEncodeError:
        raise _not_serializable(contents) from None


def loads(data: bytes) -> Contents:
    """The contents in ``data``. Raises ValueError if those are not the bytes of a JSON object."""
    contents = orjson.loads(data)
    if type(contents) is not dict:
        raise ValueError("not a JSON object")
    return contents


def check(contents: Contents, data: bytes, max_size: int) -> Contents:
    """What ``data`` reads back as.

    Raises unless that equals ``contents`` (with lists for tuples), and ``data`` fits into ``max_size`` bytes.
    """
    if len(data) > max_size:
        raise _too_large(contents, len(data), max_size)
    back: Contents = orjson.loads(data)
    if back != contents and back != as_read_back(contents):
        raise _not_serializable(contents)
    return back


def _survives(value: Any) -> bool:
    try:
        back = orjson.loads(orjson.dumps(value))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return False
    return bool(back == as_read_back(value))


def _not_serializable(contents: Contents) -> SessionNotSerializable:
    path, problem = _culprit(contents, "")
    path = path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}..."
    return SessionNotSerializable(
        f"The session cannot be saved, since JSON would not give this value back: {path}: {problem}. "
        "Store text, numbers, booleans, None, lists and dicts with text keys."
    )


def _culprit(value: Any, path: str, depth: int = 0) -> tuple[str, str]:
    """The path of the innermost value that does not survive, and what is wrong with it."""
    kind = type(value).__name__
    where = path or "the session"
    if depth > 250:
        return where, "nested too deeply, or containing itself"
    if isinstance(value, dict):
        for name, item in value.items():
            if type(name) is not str:
                return where, f"a key of type {type(name).__name__}"
            if not _survives(name):
                return where, "a key with a lone surrogate"
            if not _survives(item):
                return _culprit(item, _below(path, name), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if not _survives(item):
                return _culprit(item, f"{path}[{index}]", depth + 1)
    if type(value) in (dict, list, tuple):
        return where, "nested too deeply"
    if type(value) is float:
        return where, f"float {value}"
    if isinstance(value, int):
        return where, f"{kind} of more than 64 bits"
    if isinstance(value, str):
        return where, f"{kind} with a lone surrogate"
    return where, kind


def _below(path: str, name: str) -> str:
    if not name.isidentifier():
        return f"{path}[{name!r}]"
    return f"{path}.{name}" if path else name


def _too_large(contents: Contents, size: int, max_size: int) -> SessionTooLarge:
    sizes = {name: len(orjson.dumps(value)) for name, value in contents.items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    listed = ", ".join(f"{name} ({sizes[name]})" for name in largest)
    return SessionTooLarge(
        f"The session takes {size} bytes, but sessionkit.max_size is {max_size}; its largest keys are {listed}. "
        "Keep large things in the application's database and their ids in the session."
    )
