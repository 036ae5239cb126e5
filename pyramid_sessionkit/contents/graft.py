"""Merged contents, put into the lists and dicts that a view still has in its hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyramid_sessionkit.contents.compare import Write
from pyramid_sessionkit.contents.refused import SCALARS
from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY
from pyramid_sessionkit.exceptions import SessionNotSerializable


def graft(target: Any, value: Any, write: Write = BUILT_IN_ONLY.dumps) -> Any:
    """``value``, put into the containers of ``target`` where those are its own, so that references to them stay good.

    Items of a list are matched by their value, since their places may have changed. What stands in two places of
    ``target`` is used for the first alone. A value of another type than JSON's stays the one in ``target`` if it is the
    same; of those that can be changed in place, only sets are.
    """
    return _Graft(write).graft(target, value, same=False)


class _Graft:
    __slots__ = ("_grafted", "_write")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._grafted: set[int] = set()

    def graft(self, target: Any, value: Any, same: bool) -> Any:
        """``same`` says that both are known to be the same: then each item is in its place, and is not searched for
        again at every level."""
        kind = type(value)
        if kind in SCALARS or type(target) is not kind or id(target) in self._grafted:
            return value
        self._grafted.add(id(target))
        if kind is dict:
            merged = {name: self.graft(target.get(name), item, same) for name, item in value.items()}
            target.clear()
            target.update(merged)
        elif kind is list:
            own = target if same else self._own_items(target, value)
            target[:] = [self.graft(mine, item, True) for mine, item in zip(own, value, strict=True)]
        elif kind is set:
            target.clear()
            target.update(value)
        elif not same and self._written(target) != self._written(value):
            return value
        return target

    def _own_items(self, target: list[Any], value: list[Any]) -> Sequence[Any]:
        """For each item of ``value`` the item of ``target`` that is the same, each used once; None where there is
        none."""
        own: dict[bytes | None, list[Any]] = {}
        for item in reversed(target):  # so that pop() takes the first of several
            if type(item) not in SCALARS:
                own.setdefault(self._written(item), []).append(item)
        return [self._taken(own, item) if own and type(item) not in SCALARS else None for item in value]

    def _taken(self, own: dict[bytes | None, list[Any]], value: Any) -> Any:
        items = own.get(self._written(value))
        return items.pop() if items else None

    def _written(self, value: Any) -> bytes | None:
        try:
            return self._write(value)
        except SessionNotSerializable:  # a view has put it there since
            return None
