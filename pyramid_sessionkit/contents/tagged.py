"""Tags: a value of a type that JSON does not have is written as a dict with one key, ``{"~date": "2026-11-22"}``.

A dict of the application's that looks like that gets another ``~`` before its key. Types of the application's own have
a colon before their name, so that no later type of ours can have the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from pyramid_sessionkit.contents.refused import SCALARS, NotKept, problem_of, problem_of_key, survives
from pyramid_sessionkit.contents.session_types import SessionType

TAG: Final = "~"

CUSTOM: Final = ":"
"""What the names of the application's own types begin with."""

DEEPEST: Final = 254
"""Lists and dicts inside one another, the contents and tags included, that orjson writes."""

_SETS: Final = frozenset((set, frozenset))


class UnknownType(ValueError):
    """A tag names a type that this application does not add."""


class Tagger:
    """Makes JSON of one value. Raises :exc:`NotKept`, with the path, for the first part of it that cannot be kept."""

    __slots__ = ("_checks", "_types", "used")

    def __init__(self, types: Mapping[type, SessionType], checks: bool = True) -> None:
        self._types = types
        self._checks = checks
        """Whether to find out if values of the application's own types come back as they are."""
        self.used = False
        """Whether there is a tag. Without one, JSON has all of its types."""

    def tagged(self, value: Any, depth: int = 1) -> Any:
        kind = type(value)
        if kind in SCALARS:
            if not survives(value):
                raise NotKept(problem_of(value))
            return value
        if depth > DEEPEST:
            raise NotKept("nested too deeply, or containing itself")
        if kind in self._types:
            return self._value(value, self._types[kind], depth)
        if isinstance(value, dict):
            return self._dict(value, depth)
        if isinstance(value, list) or kind is tuple:
            return self._list(value, depth)
        raise NotKept(problem_of(value))

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        made = {}
        for name, item in value.items():
            if type(name) is not str or not survives(name):
                raise NotKept(problem_of_key(name))
            try:
                made[name] = self.tagged(item, depth + 1)
            except NotKept as refused:
                refused.steps.append(name)
                raise
        return {TAG + name: item for name, item in made.items()} if _looks_like_tag(made) else made

    def _list(self, value: Any, depth: int) -> list[Any]:
        made = []
        for index, item in enumerate(value):
            try:
                made.append(self.tagged(item, depth + 1))
            except NotKept as refused:
                refused.steps.append(index)
                raise
        return made

    def _value(self, value: Any, session_type: SessionType, depth: int) -> dict[str, Any]:
        self.used = True
        dumped = self._dumped(value, session_type, depth + 1)
        if self._checks and session_type.name.startswith(CUSTOM):
            self._check(value, session_type, dumped, depth + 1)
        return {TAG + session_type.name: dumped}

    def _dumped(self, value: Any, session_type: SessionType, depth: int) -> Any:
        parts = session_type.dump(value)
        try:
            dumped = self.tagged(parts, depth)
        except NotKept as refused:
            refused.part_of = type(value).__name__
            refused.steps.clear()  # nobody knows the path to it in what ``dump`` returned
            raise
        # The order of a set is another one after each start.
        return sorted(dumped, key=orjson.dumps) if type(value) in _SETS else dumped

    def _check(self, value: Any, session_type: SessionType, dumped: Any, depth: int) -> None:
        kind = type(value)
        loaded = session_type.load(untagged(dumped, self._by_name))
        if type(loaded) is not kind:
            raise NotKept(f"{kind.__name__}, which would come back as {type(loaded).__name__}")
        again = Tagger(self._types, checks=False)._dumped(loaded, session_type, depth)
        # What dump forgets shows only where the class says when two are equal.
        forgets = any("__eq__" in vars(cls) for cls in kind.__mro__[:-1]) and loaded != value
        if forgets or orjson.dumps(again) != orjson.dumps(dumped):
            raise NotKept(f"{kind.__name__}, which would come back with other contents")

    @property
    def _by_name(self) -> dict[str, SessionType]:
        return {session_type.name: session_type for session_type in self._types.values()}


def untagged(value: Any, types: Mapping[str, SessionType]) -> Any:
    """The value of which JSON was made. ``types`` by their names. Raises whatever a ``load`` raises."""
    if type(value) is list:
        return [untagged(item, types) for item in value]
    if type(value) is not dict:
        return value
    if not _looks_like_tag(value):
        return {name: untagged(item, types) for name, item in value.items()}
    ((name, item),) = value.items()
    name = name.removeprefix(TAG)
    if name.startswith(TAG):
        return {name: untagged(item, types)}
    if name not in types:
        raise UnknownType(f"it has a value of the session type {name[:64]}, which this application does not add")
    return types[name].load(untagged(item, types))


def _looks_like_tag(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(TAG)
