"""Which value cannot be saved, and why: the search for it, and the error that names it."""

from __future__ import annotations

from collections.abc import Iterable
from reprlib import Repr
from typing import Any, Final, NamedTuple

import orjson

from pyramid_sessionkit.exceptions import SessionNotSerializable

FLASH_KEY: Final = "_f_"
"""What the keys of flash queues begin with, as in Pyramid's own sessions."""

LONGEST_PATH: Final = 200
"""Characters of a path in a message."""

DEEPEST: Final = 254
"""Lists and dicts inside one another, the contents included, that orjson writes."""

_SHOWN: Final = Repr()
_SHOWN.maxstring = _SHOWN.maxlong = _SHOWN.maxother = 60


class _Refused(NamedTuple):
    problem: str
    steps: list[Any]
    """The keys and indexes that lead to it, the innermost first: they are appended on the way back."""


def not_serializable(contents: Any) -> SessionNotSerializable:
    """The error for contents that JSON cannot hold, or would not give back as they are."""
    refused = _search(contents, 1) or _Refused("nested too deeply", [])
    path = _place(refused.steps[::-1]) or "the session"
    return SessionNotSerializable(
        f"The session cannot be saved, since JSON would not give this value back: {path}: {refused.problem}. "
        "Store text, numbers, booleans, None, lists and dicts with text keys."
    )


def _search(value: Any, depth: int) -> _Refused | None:
    """The innermost value that does not survive, and of several the first. Each value is looked at once."""
    if not isinstance(value, (dict, list, tuple)):
        return None if _survives(value) else _Refused(_problem(value), [])
    if depth > DEEPEST:
        return _Refused("nested too deeply, or containing itself", [])
    for step, item in _items(value):
        if isinstance(value, dict) and not (type(step) is str and _survives(step)):
            return _Refused(_problem_of_key(step), [])
        refused = _search(item, depth + 1)
        if refused is not None:
            refused.steps.append(step)
            return refused
    if isinstance(value, tuple) and type(value) is not tuple:
        return _Refused(type(value).__name__, [])
    return None


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _survives(value: Any) -> bool:
    """Whether JSON gives back a value that is no list or dict, or a key."""
    try:
        return bool(orjson.loads(orjson.dumps(value)) == value)
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return False


def _problem(value: Any) -> str:
    kind = type(value).__name__
    if type(value) is float:
        return f"float {value}"
    if isinstance(value, int):
        return f"{kind} of more than 64 bits"
    if isinstance(value, str):
        return f"{kind} with a lone surrogate"
    return kind


def _problem_of_key(key: Any) -> str:
    """Keys are shown, since paths show them too; values never are."""
    problem = "a key with a lone surrogate" if type(key) is str else f"a key of type {type(key).__name__}"
    try:
        return f"{problem}: {_SHOWN.repr(key)}"
    except Exception:  # of the application's own __repr__, or an int that is too long for one
        return problem


def _place(steps: list[Any]) -> str:
    """The path. For a flash message it names the queue, since no application has written the key ``_f_``."""
    queue = steps[0] if steps else None
    if type(queue) is not str or not queue.startswith(FLASH_KEY):
        return _path(steps)
    named = _SHOWN.repr(queue.removeprefix(FLASH_KEY)) if queue != FLASH_KEY else "without a name"
    return f"{_path(['messages', *steps[1:]])} of the flash queue {named}"


def _path(steps: Iterable[Any]) -> str:
    """Such as ``cart[2].price``; what is too long ends in dots."""
    path = ""
    for step in steps:
        if isinstance(step, str) and step.isidentifier():
            path += f".{step}" if path else step
        else:
            path += f"[{step!r}]"
        if len(path) > LONGEST_PATH:
            return f"{path[:LONGEST_PATH]}..."
    return path
