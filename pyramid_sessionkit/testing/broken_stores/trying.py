"""Runs tests of stores on a broken one, without pytest's runner: hundreds of runs in a few seconds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from pyramid_sessionkit.testing.broken_stores.base import BrokenStore


def first_failure(
    tests: type,
    broken: type[BrokenStore],
    make_store: Callable[[], Any],
    names: Iterable[str] | None = None,
) -> str | None:
    """The name of the first test that fails on a store broken in this way; None if it passes all.

    ``tests`` is a class of tests with the fixture ``store``, as a subclass of ``StoreConformance``; ``make_store``
    makes an empty one. Without ``names`` those tests come first that are meant to find it, and all others then. Tests
    with other fixtures are left out, and so are those marked ``skip``.
    """
    for name in _names(tests, broken) if names is None else names:
        if any(_fails(tests, broken, make_store, name, given) for given in _parameters(getattr(tests, name))):
            return name
    return None


def _names(tests: type, broken: type[BrokenStore]) -> Iterator[str]:
    there = [name for name in dir(tests) if name.startswith("test") and callable(getattr(tests, name))]
    yield from (name for name in broken.found_by if name in there)
    yield from (name for name in there if name not in broken.found_by and _can_be_run(getattr(tests, name)))


def _can_be_run(test: Any) -> bool:
    given = {name for one in _parameters(test) for name in one}
    marks = {mark.name for mark in getattr(test, "pytestmark", ())}
    return set(inspect.signature(test).parameters) == {"self", "store", *given} and "skip" not in marks


def _parameters(test: Any) -> list[dict[str, Any]]:
    """The arguments of each run of a test that is parametrized."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    return [{name: value for one in run for name, value in one.items()} for run in product(*map(_arguments, marks))]


def _arguments(mark: pytest.Mark) -> list[dict[str, Any]]:
    names, values = mark.args
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    return [dict(zip(names, _given(value, len(names)), strict=True)) for value in values]


def _given(value: Any, count: int) -> Any:
    """The values of one run, which ``pytest.param`` may have made."""
    if hasattr(value, "marks"):
        return value.values
    return [value] if count == 1 else value


def _fails(
    tests: type, broken: type[BrokenStore], make_store: Callable[[], Any], name: str, given: dict[str, Any]
) -> bool:
    good = make_store()
    try:
        getattr(_on_broken(tests, broken)(), name)(store=broken(good), **given)
    except pytest.skip.Exception:
        return False
    except (Exception, pytest.fail.Exception):
        return True
    finally:
        if hasattr(good, "close"):
            good.close()
    return False


def _on_broken(tests: Any, broken: type[BrokenStore]) -> type:
    """These tests, whose hooks make and damage stores that are broken in the same way."""

    class OnBroken(tests):  # type: ignore[misc]
        def at(self, host: str, port: int) -> Any:
            return broken(super().at(host, port))

        def unreachable(self) -> Any:
            store = super().unreachable()
            return store if isinstance(store, broken) else broken(store)

        def damage(self, store: Any, key: str) -> None:
            super().damage(store.good, key)

    return OnBroken
