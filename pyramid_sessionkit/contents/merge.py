"""What changed, and how two changes become one: pure functions on the values of sessions.

The three sides are ``start`` (what a request began with), ``mine`` (what it made of that) and ``stored``
(what another request has stored meanwhile). :data:`MISSING` stands for a key that one side does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

from pyramid_sessionkit.contents.compare import MISSING, Compare, RememberingCompare, comparison
from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY, Serializer

COMPARED_DEPTH: Final = 3
"""How deep dicts are compared as bytes, which is quick; but if each level did that, deep contents would take long."""

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
    serializer: Serializer = BUILT_IN_ONLY,
) -> dict[str, Any]:
    """The contents that keep the changes of both sides.

    An applied function runs again on what is stored, in its place among this request's other changes to that key. What
    it returns may be a value that cannot be kept: that raises :exc:`~pyramid_sessionkit.SessionNotSerializable`. Where
    both sides replaced a value, ``mine`` stays, being the later; or the stored one, if ``stored_wins``.
    """
    same = comparison(serializer.dumps)
    start, stored = dict(start), dict(stored)
    for step in applied:
        sides = start.get(step.name, MISSING), step.before, stored.get(step.name, MISSING)
        value = _merge(*sides, stored_wins, same, 0)
        # Functions may change what they are given.
        result = step.function(deepcopy(step.default if value is MISSING else value))
        stored[step.name] = serializer.read_back(step.name, result)
        start[step.name] = step.after
    merged: dict[str, Any] = _merge(start, mine, stored, stored_wins, same, 0)
    return merged


def _merge(start: Any, mine: Any, stored: Any, stored_wins: bool, compare: Compare, depth: int) -> Any:
    if compare(mine, start):
        return stored
    if compare(stored, start):
        return mine
    if mine is MISSING and stored is MISSING:
        return MISSING
    sides = (start, mine, stored)
    if _all_are(dict, sides):
        return _merge_dicts(start, mine, stored, stored_wins, compare, depth + 1)
    merged = _merge_lists(start, mine, stored, compare) if _all_are(list, sides) else None
    if merged is not None:
        return merged
    return stored if stored_wins else mine


def _all_are(kind: type, sides: tuple[Any, Any, Any]) -> bool:
    """Whether all sides that have the value agree on its kind, so that a missing one can count as empty."""
    return all(side is MISSING or type(side) is kind for side in sides)


def _merge_dicts(start: Any, mine: Any, stored: Any, stored_wins: bool, compare: Compare, depth: int) -> Any:
    begun, ours, theirs = [{} if side is MISSING else side for side in (start, mine, stored)]
    if depth == COMPARED_DEPTH:
        compare = RememberingCompare(compare).same
    merged = {}
    for name in {**theirs, **ours}:
        begun_value, our_value = begun.get(name, MISSING), ours.get(name, MISSING)
        value = _merge(begun_value, our_value, theirs.get(name, MISSING), stored_wins, compare, depth)
        if value is not MISSING:
            merged[name] = value
    # A dict that one side removed is gone, unless the other side put something into it.
    return MISSING if not merged and MISSING in (mine, stored) else merged


def _merge_lists(start: Any, mine: Any, stored: Any, compare: Compare) -> list[Any] | None:
    """The list of one side with what the other appended; None if neither did nothing but append.

    So what one side popped does not come back, and what it never saw is not popped.
    """
    begun, ours, theirs = [[] if side is MISSING else side for side in (start, mine, stored)]
    tail = _tail(begun, ours, compare)
    if tail is not None:
        return [*theirs, *tail]
    stored_tail = _tail(begun, theirs, compare)
    return None if stored_tail is None else [*ours, *stored_tail]


def _tail(start: list[Any], longer: list[Any], compare: Compare) -> list[Any] | None:
    """What was appended to ``start`` to make ``longer``; None if something else was done to it."""
    if len(longer) < len(start) or not compare(longer[: len(start)], start):
        return None
    return longer[len(start) :]
