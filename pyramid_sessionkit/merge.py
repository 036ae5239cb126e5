"""What changed, and how two changes become one: pure functions on JSON values.

The three sides are ``start`` (what a request began with), ``mine`` (what it made of that) and ``stored``
(what another request has stored meanwhile). :data:`MISSING` stands for a key that one side does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

import orjson

MISSING: Final = type("MISSING", (), {"__repr__": lambda self: "MISSING"})()

Function = Callable[[Any], Any]


class Applied(NamedTuple):
    """One ``session.apply``: the function, and the value of its key before and after it ran."""

    name: str
    function: Function
    default: Any
    before: Any
    after: Any


def merge(
    start: dict[str, Any], mine: dict[str, Any], stored: dict[str, Any], applied: Sequence[Applied] = ()
) -> dict[str, Any]:
    """The contents that keep the changes of both sides.

    An applied function runs again on what is stored, in its place among this request's other changes to that key.
    """
    start, stored = dict(start), dict(stored)
    for step in applied:
        value = merge_values(start.get(step.name, MISSING), step.before, stored.get(step.name, MISSING))
        # Functions may change what they are given.
        result = step.function(deepcopy(step.default if value is MISSING else value))
        stored[step.name] = as_read_back(result)
        start[step.name] = step.after
    merged: dict[str, Any] = merge_values(start, mine, stored)
    return merged


def merge_values(start: Any, mine: Any, stored: Any) -> Any:
    """One value out of three; where both sides replaced it, ``mine`` stays, being the later."""
    if same(mine, start):
        return stored
    if same(stored, start):
        return mine
    sides = (start, mine, stored)
    if _all_are(dict, sides):
        merged = _merge_dicts(*({} if side is MISSING else side for side in sides))
        return MISSING if not merged and MISSING in (mine, stored) else merged
    if _all_are(list, sides):
        merged_list = _merge_lists(*([] if side is MISSING else side for side in sides))
        return mine if merged_list is None else merged_list
    return mine


def as_read_back(value: Any) -> Any:
    """A copy with lists for tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {name: as_read_back(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_read_back(item) for item in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are written the same: unlike ``==`` this tells 1 from 1.0 and from True."""
    if one is other:
        return True
    if one is MISSING or other is MISSING:
        return False
    return orjson.dumps(one) == orjson.dumps(other)


def _all_are(kind: type, sides: tuple[Any, Any, Any]) -> bool:
    """Whether all sides that have the value agree on its kind, so that a missing one can count as empty."""
    return all(side is MISSING or type(side) is kind for side in sides)


def _merge_dicts(start: dict[str, Any], mine: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    merged = {}
    for name in [*stored, *(name for name in mine if name not in stored)]:
        value = merge_values(start.get(name, MISSING), mine.get(name, MISSING), stored.get(name, MISSING))
        if value is not MISSING:
            merged[name] = value
    return merged


def _merge_lists(start: list[Any], mine: list[Any], stored: list[Any]) -> list[Any] | None:
    """The list of one side with what the other appended; None if neither did nothing but append.

    So what one side popped does not come back, and what it never saw is not popped.
    """
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


def graft(target: Any, value: Any, grafted: set[int] | None = None) -> Any:
    """``value``, put into the containers of ``target`` where those are its own, so that references to them stay good.

    An item of a list is known by being the same, for its place may have changed. What stands in two places of
    ``target`` is used for the first alone.
    """
    grafted = set() if grafted is None else grafted
    if type(target) is not type(value) or type(value) not in (dict, list) or id(target) in grafted:
        return value
    grafted.add(id(target))
    if isinstance(target, dict):
        merged = {name: graft(target.get(name), item, grafted) for name, item in value.items()}
        target.clear()
        target.update(merged)
    else:
        own = [item for item in target if isinstance(item, (dict, list))]
        target[:] = [_own_item(own, item, grafted) for item in value]
    return target


def _own_item(own: list[Any], value: Any, grafted: set[int]) -> Any:
    """The item of ``own`` that is the same as ``value``, taken out of there; else ``value``."""
    for index, item in enumerate(own):
        if same(item, value):
            return graft(own.pop(index), value, grafted)
    return value
