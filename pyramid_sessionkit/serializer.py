"""Contents to JSON bytes and back, and the check that nothing changed on the way."""

from __future__ import annotations

from typing import Any

import orjson

from pyramid_sessionkit.exceptions import SessionNotSerializable, SessionTooLarge

Contents = dict[str, Any]

EMPTY = b"{}"


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
    if back != contents and back != _with_lists(contents):
        raise _not_serializable(contents)
    return back


def _with_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_lists(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_lists(item) for item in value]
    return value


def _survives(value: Any) -> bool:
    try:
        back = orjson.loads(orjson.dumps(value))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return False
    return bool(back == _with_lists(value))


def _not_serializable(contents: Contents) -> SessionNotSerializable:
    path, problem = _culprit(contents, "")
    return SessionNotSerializable(
        f"The session cannot be saved, since JSON would not give this value back: {path}: {problem}. "
        "Store text, numbers, booleans, None, lists and dicts with text keys."
    )


def _culprit(value: Any, path: str, depth: int = 0) -> tuple[str, str]:
    """The path of the innermost value that does not survive, and what is wrong with it."""
    if depth > 250:
        return path[:80] + "...", "nested too deeply, or containing itself"
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                return path or "the session", f"a key of type {type(name).__name__}"
            if not _survives(item):
                return _culprit(item, _below(path, name), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if not _survives(item):
                return _culprit(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, float):
        return path, f"float {value}"
    elif isinstance(value, int):
        return path, f"{type(value).__name__} of more than 64 bits"
    elif isinstance(value, str):
        return path, f"{type(value).__name__} with a lone surrogate"
    return path or "the session", type(value).__name__


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
