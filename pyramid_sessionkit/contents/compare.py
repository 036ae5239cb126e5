"""When two values are the same: if they are written the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

MISSING: Final = type("MISSING", (), {"__repr__": lambda self: "MISSING"})()
"""Stands for a key that one side of a merge does not have."""

Compare = Callable[[Any, Any], bool]
Write = Callable[[Any], bytes]

_PLAIN: Final = frozenset((str, int, bool))


def comparison(write: Write) -> Compare:
    """A function that says whether two values are written the same: unlike ``==`` it tells 1 from 1.0 and from True.

    The keys of a dict are written in their order, so that it counts.
    """

    def same(one: Any, other: Any) -> bool:
        if one is other:
            return True
        kind = type(one)
        if kind is not type(other):
            return False
        if kind in _PLAIN:
            equal: bool = one == other
            return equal
        return write(one) == write(other)

    return same


class RememberingCompare:
    """As ``same``, for the dicts of one merge: what it finds out about a dict is known of those inside it too.

    ``same`` alone is quicker, but looks at everything inside a dict again for each dict around it that is compared.
    """

    __slots__ = ("_known", "_same")

    def __init__(self, same: Compare) -> None:
        self._same = same
        self._known: dict[tuple[int, int], bool] = {}

    def same(self, one: Any, other: Any) -> bool:
        if type(one) is not dict or type(other) is not dict:
            return self._same(one, other)
        pair = id(one), id(other)  # both live as long as the merge
        known = self._known.get(pair)
        if known is None:
            known = list(one) == list(other) and all(map(self.same, one.values(), other.values()))
            self._known[pair] = known
        return known
