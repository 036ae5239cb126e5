"""What changed, and how two changes become one: pure functions on JSON values.

The three sides are ``start`` (what a request began with), ``mine`` (what it made of that) and ``stored``
(what another request has stored meanwhile). :data:`MISSING` stands for a key that one side does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

import orjson

from pyramid_sessionkit.graft import graft as graft  # the other half of a merge: imported from here
from pyramid_sessionkit.refused import not_serializable

MISSING: Final = type("MISSING", (), {"__repr__": lambda self: "MISSING"})()

COMPARED_DEPTH: Final = 3
"""How deep dicts are compared as bytes, which is quick; but if each level did that, deep contents would take long."""

Compare = Callable[[Any, Any], bool]
Function = Callable[[Any], Any]


class Applied(NamedTuple):
    """One ``session.apply``: the function, and the value of its key before and after it ran."""

    name: str
    function: Function
    default: Any
    before: Any
    after: Any


def merge(
    start: dict[str, Any],
    mine: dict[str, Any],
    stored: dict[str, Any],
    applied: Sequence[Applied] = (),
    stored_wins: bool = False,
) -> dict[str, Any]:
    """The contents that keep the changes of both sides.

    An applied function runs again on what is stored, in its place among this request's other changes to that key.
    What it makes of that is not checked here. Where both sides replaced a value, ``mine`` stays, being the later; or
    the stored one, if ``stored_wins``.
    """
    start, stored = dict(start), dict(stored)
    for step in applied:
        sides = start.get(step.name, MISSING), step.before, stored.get(step.name, MISSING)
        value = merge_values(*sides, stored_wins)
        # Functions may change what they are given.
        result = step.function(deepcopy(step.default if value is MISSING else value))
        stored[step.name] = _result_read_back(step.name, result)
        start[step.name] = step.after
    merged: dict[str, Any] = merge_values(start, mine, stored, stored_wins)
    return merged


def merge_values(start: Any, mine: Any, stored: Any, stored_wins: bool = False) -> Any:
    """One value out of three."""
    return _merge(start, mine, stored, stored_wins, same, 0)


def as_read_back(value: Any) -> Any:
    """A copy with lists for tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {name: as_read_back(item) for name, item in value.items()}
    # JSON refuses a namedtuple, so that it must not become a list here.
    if isinstance(value, list) or type(value) is tuple:
        return [as_read_back(item) for item in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are written the same: unlike ``==`` this tells 1 from 1.0 and from True.

    The keys of a dict are written in their order, so that it counts.
    """
    if one is other:
        return True
    if one is MISSING or other is MISSING:
        return False
    try:
        if orjson.dumps(one) != orjson.dumps(other):
            return False
    except orjson.JSONEncodeError:
        # Such as a Decimal that one applied function leaves for the next.
        return type(one) is type(other) and bool(one == other)
    # Infinity is written as None is, and a date as a text.
    equal: bool = one == other or as_read_back(one) == as_read_back(other)
    return equal


def _result_read_back(name: str, result: Any) -> Any:
    try:
        return as_read_back(result)
    except RecursionError:
        raise not_serializable({name: result}) from None


def _merge(start: Any, mine: Any, stored: Any, stored_wins: bool, compare: Compare, depth: int) -> Any:
    if compare(mine, start):
        return stored
    if compare(stored, start):
        return mine
    sides = (start, mine, stored)
    if _all_are(dict, sides):
        return _merge_dicts(start, mine, stored, stored_wins, compare, depth + 1)
    merged = _merge_lists(start, mine, stored) if _all_are(list, sides) else None
    if merged is not None:
        return merged
    return stored if stored_wins else mine


def _all_are(kind: type, sides: tuple[Any, Any, Any]) -> bool:
    """Whether all sides that have the value agree on its kind, so that a missing one can count as empty."""
    return all(side is MISSING or type(side) is kind for side in sides)


def _merge_dicts(start: Any, mine: Any, stored: Any, stored_wins: bool, compare: Compare, depth: int) -> Any:
    begun, ours, theirs = [{} if side is MISSING else side for side in (start, mine, stored)]
    if depth == COMPARED_DEPTH:
        compare = _RememberingCompare()
    merged = {}
    for name in {**theirs, **ours}:
        sides = begun.get(name, MISSING), ours.get(name, MISSING), theirs.get(name, MISSING)
        value = _merge(*sides, stored_wins, compare, depth)
        if value is not MISSING:
            merged[name] = value
    # A dict that one side removed is gone, unless the other side put something into it.
    return MISSING if not merged and MISSING in (mine, stored) else merged


class _RememberingCompare:
    """As :func:`same`, for the dicts of one merge: what it found out about a dict holds for those inside it too."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bool] = {}

    def __call__(self, one: Any, other: Any) -> bool:
        if type(one) is not dict or type(other) is not dict:
            return same(one, other)
        pair = id(one), id(other)  # both live as long as the merge
        known = self._known.get(pair)
        if known is None:
            known = list(one) == list(other) and all(map(self, one.values(), other.values()))
            self._known[pair] = known
        return known


def _merge_lists(start: Any, mine: Any, stored: Any) -> list[Any] | None:
    """The list of one side with what the other appended; None if neither did nothing but append.

    So what one side popped does not come back, and what it never saw is not popped.
    """
    start, mine, stored = ([] if side is MISSING else side for side in (start, mine, stored))
    tail = _tail(start, mine)
    if tail is not None:
        return stored + tail
    stored_tail = _tail(start, stored)
    return None if stored_tail is None else mine + stored_tail


def _tail(start: list[Any], longer: list[Any]) -> list[Any] | None:
    """What was appended to ``start`` to make ``longer``; None if something else was done to it."""
    if len(longer) < len(start) or not same(longer[: len(start)], start):
        return None
    return longer[len(start) :]
