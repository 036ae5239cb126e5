"""Which value cannot be saved, and why: the error that names it."""

from __future__ import annotations

import builtins
import enum
from collections.abc import Iterable
from reprlib import Repr
from typing import Any, Final

import orjson

from pyramid_sessionkit.exceptions import SessionNotSerializable

FLASH_KEY: Final = "_f_"
"""What the keys of flash queues begin with, as in Pyramid's own sessions."""

LONGEST_PATH: Final = 200
"""Characters of a path in a message."""

SCALARS: Final = frozenset((str, int, float, bool, type(None)))
"""The types of JSON that hold no other values."""

_SHOWN: Final = Repr()
_SHOWN.maxstring = _SHOWN.maxlong = _SHOWN.maxother = 60


class NotKept(Exception):
    """A session cannot keep a value. ``steps`` lead to it, the innermost first: they are appended on the way back."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[Any] = []
        self.part_of = ""
        """The type of the value at the path, where the problem is in what its ``dump`` returned."""


def not_serializable(refused: NotKept) -> SessionNotSerializable:
    """The error for contents in which a value cannot be kept."""
    path = _place(refused.steps[::-1]) or "the session"
    problem = refused.problem
    if refused.part_of:
        problem = f"{refused.part_of}, of which this cannot be kept: {problem}"
    return SessionNotSerializable(
        f"The session cannot be saved, since this value would not come back as it is: {path}: {problem}. "
        "Sessions keep text, numbers, booleans, None, dates, times, UUID, Decimal, bytes, Markup, translation strings, "
        "and lists, sets and dicts of these (with text as keys); config.add_session_type adds other types."
    )


def survives(value: Any) -> bool:
    """Whether JSON gives back a value of one of :data:`SCALARS`."""
    try:
        return bool(orjson.loads(orjson.dumps(value)) == value)
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return False


def problem_of(value: Any) -> str:
    """Why a value is refused; never the value itself."""
    kind = type(value).__name__
    if type(value) is float:
        return f"float {value}"
    if type(value) is int:
        return "int of more than 64 bits"
    if type(value) is str:
        return "str with a lone surrogate"
    if isinstance(value, enum.Enum):
        return f"{kind}, an enum: store its value or its name"
    base = next((base.__name__ for base in (str, int, float) if isinstance(value, base)), None)
    if base is not None:
        return f"{kind}, which would come back as {base}"
    # numpy has a bool of its own: without the module nobody would see which one it is.
    is_another = hasattr(builtins, kind) and type(value) is not getattr(builtins, kind)
    return f"{type(value).__module__}.{kind}" if is_another else kind


def problem_of_key(key: Any) -> str:
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
