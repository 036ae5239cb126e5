"""When two values are the same: if JSON writes them the same, and they are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

MISSING: Final = type("MISSING", (), {"__repr__": lambda self: "MISSING"})()
"""Stands for a key that one side of a merge does not have."""

Compare = Callable[[Any, Any], bool]

_PLAIN: Final = frozenset((str, int, bool))


def same(one: Any, other: Any) -> bool:
    """Whether two values are written the same: unlike ``==`` this tells 1 from 1.0 and from True.

    The keys of a dict are written in their order, so that it counts.
    """
    if one is other:
        return True
    kind = type(one)
    if kind is type(other) and kind in _PLAIN:
        equal: bool = one == other
        return equal
    if one is MISSING or other is MISSING:
        return False
    try:
        if orjson.dumps(one) != orjson.dumps(other):
            return False
    except orjson.JSONEncodeError:
        return _same_parts(one, other)
    # Infinity is written as None is, and a date as a text.
    equal = one == other or as_read_back(one) == as_read_back(other)
    return equal


class RememberingCompare:
    """As :func:`same`, for the dicts of one merge: what it finds out about a dict is known of those inside it too.

    :func:`same` is quicker, but looks at everything inside a dict again for each dict around it that is compared.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bool] = {}

    def same(self, one: Any, other: Any) -> bool:
        if type(one) is not dict or type(other) is not dict:
            return same(one, other)
        pair = id(one), id(other)  # both live as long as the merge
        known = self._known.get(pair)
        if known is None:
            known = list(one) == list(other) and all(map(self.same, one.values(), other.values()))
            self._known[pair] = known
        return known


def as_read_back(value: Any) -> Any:
    """A copy with lists for tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {name: as_read_back(item) for name, item in value.items()}
    # JSON refuses a namedtuple, so that it must not become a list here.
    if isinstance(value, list) or type(value) is tuple:
        return [as_read_back(item) for item in value]
    return value


def _same_parts(one: Any, other: Any) -> bool:
    """Of what JSON refuses, such as a Decimal that one applied function leaves for the next."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(_same_parts, one.values(), other.values()))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same_parts, one, other))
    return bool(one == other)
