"""The interfaces of stores as types: mypy and pyright check by them what zope.interface checks at run time.

A store need not inherit from any of them. ``store: SessionStore = MyStore(...)`` is all it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from pyramid_sessionkit.interfaces import Record


class SessionStore(Protocol):
    """What :class:`ISessionStore` says, for type checkers."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None: ...

    def create(self, key: str, record: Record) -> Record | None: ...

    def update(self, key: str, record: Record) -> Record | None: ...

    def delete(self, key: str, record: Record | None = None) -> bool: ...


class ContentsUpdate(Protocol):
    """What :class:`IContentsUpdate` says, for type checkers."""

    def update_contents(self, key: str, record: Record) -> Record | None: ...


class UserIndex(Protocol):
    """What :class:`IUserIndex` says, for type checkers."""

    def sessions_of(self, userid: str) -> Iterable[tuple[str, Record]]: ...


class Listable(Protocol):
    """What :class:`IListable` says, for type checkers."""

    def live_sessions(self, limit: int) -> Iterable[tuple[str, Record]]: ...

    def find_keys(self, prefix: str, limit: int) -> Iterable[str]: ...

    def count(self, expired: bool = False) -> int: ...

    def clear(self) -> int: ...


class Purgeable(Protocol):
    """What :class:`IPurgeable` says, for type checkers."""

    def purge(self, limit: int | None = None, tell: Callable[[str, Record], None] | None = None) -> int: ...
