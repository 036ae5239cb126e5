"""Stores that are broken on purpose, each in one way: whoever writes a store runs their own tests on them.

Each is a class that takes a good store of any kind and breaks what it does::

    broken = VersionsRepeat(MyStore(...))
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pyramid_sessionkit.testing.broken_stores import (
    contents,
    damage,
    expiry,
    listing,
    outages,
    processes,
    users,
    versions,
)
from pyramid_sessionkit.testing.broken_stores.base import BrokenStore
from pyramid_sessionkit.testing.broken_stores.trying import first_failure
from pyramid_sessionkit.testing.conformance.hooks import Hooks

__all__ = ["BROKEN_STORES", "BrokenStore", "broken_stores_for", "first_failure"]


def _in(module: ModuleType) -> Iterator[type[BrokenStore]]:
    """Those that a module makes public."""
    for name, found in vars(module).items():
        here = isinstance(found, type) and found.__module__ == module.__name__
        if here and issubclass(found, BrokenStore) and not name.startswith("_"):
            yield found


BROKEN_STORES: tuple[type[BrokenStore], ...] = tuple(
    broken
    for module in (contents, versions, expiry, damage, users, listing, outages, processes)
    for broken in _in(module)
)
"""All of them."""


def broken_stores_for(store: Any, tests: type | None = None) -> list[type[BrokenStore]]:
    """Those that apply to a store, since it provides the interface that they break.

    With a class of tests they are those alone that its hooks let it find.
    """
    written = None if tests is None else _written_hooks(tests)
    return [broken for broken in BROKEN_STORES if _applies(broken, store, written)]


def _applies(broken: type[BrokenStore], store: Any, written: set[str] | None) -> bool:
    if not broken.needs.providedBy(store):
        return False
    if broken.other_processes and getattr(store, "process_local", False):
        return False
    return written is None or not broken.hook or broken.hook in written


def _written_hooks(tests: type) -> set[str]:
    names = ("at", "address", "unreachable", "damage")
    written = {name for name in names if getattr(tests, name, None) not in (None, getattr(Hooks, name))}
    return written | {"unreachable"} if "at" in written else written
