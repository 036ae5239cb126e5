"""Merged contents, put into the lists and dicts that a view still has in its hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson


def graft(target: Any, value: Any, grafted: set[int] | None = None, same: bool = False) -> Any:
    """``value``, put into the containers of ``target`` where those are its own, so that references to them stay good.

    An item of a list is known by being the same, for its place may have changed. What stands in two places of
    ``target`` is used for the first alone. ``same`` says that both are known to be the same: then each item is in its
    place, and is not searched for again at every level.
    """
    grafted = set() if grafted is None else grafted
    if type(target) is not type(value) or type(value) not in (dict, list) or id(target) in grafted:
        return value
    grafted.add(id(target))
    if isinstance(target, dict):
        merged = {
            name: graft(target.get(name), item, grafted, same) if isinstance(item, (dict, list)) else item
            for name, item in value.items()
        }
        target.clear()
        target.update(merged)
    else:
        own = target if same else _own_items(target, value)
        target[:] = [graft(mine, item, grafted, True) for mine, item in zip(own, value, strict=True)]
    return target


def _own_items(target: list[Any], value: list[Any]) -> Sequence[Any]:
    """For each item of ``value`` the item of ``target`` that is the same, each used once; None where there is none."""
    own: dict[bytes, list[Any]] = {}
    for item in reversed(target):  # so that pop() takes the first of several
        if isinstance(item, (dict, list)):
            own.setdefault(orjson.dumps(item), []).append(item)
    return [_taken(own, item) if own and isinstance(item, (dict, list)) else None for item in value]


def _taken(own: dict[bytes, list[Any]], value: Any) -> Any:
    items = own.get(orjson.dumps(value))
    return items.pop() if items else None
