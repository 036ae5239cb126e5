"""Stores that fit, and stores that do not. mypy and pyright check them, and nobody runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pyramid_sessionkit import ContentsUpdate, Listable, Purgeable, Record, SessionStore, UserIndex
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.memcached import MemcachedStore
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.stores.sql import SQLStore


class Writes:
    def create(self, key: str, record: Record) -> Record | None:
        return record

    def update(self, key: str, record: Record) -> Record | None:
        return record

    def delete(self, key: str, record: Record | None = None) -> bool:
        return True


class Fits(Writes):
    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        return None

    def sessions_of(self, userid: str) -> Iterator[tuple[str, Record]]:
        return iter(())

    def purge(self, limit: int | None = None, tell: Callable[[str, Record], None] | None = None) -> int:
        return 0


class HasNoLoad(Writes):
    pass


class CannotBeAskedForATime(Writes):
    def load(self, key: str, fresh: bool = False) -> Record | None:
        return None


class AnswersWithContents(Writes):
    def load(self, key: str, fresh: bool = False, at: float | None = None) -> bytes | None:
        return None


class ListsKeysAlone:
    def sessions_of(self, userid: str) -> Iterable[str]:
        return []


def create_store(settings: dict[str, Any]) -> SessionStore:
    return Fits()


def those_that_fit(sql: SQLStore, cached: CachedSQLStore, memcached: MemcachedStore, redis: RedisStore) -> None:
    stores: list[SessionStore] = [Fits(), MemoryStore(), sql, cached, memcached, redis]
    by_user: list[UserIndex] = [Fits(), MemoryStore(), sql, cached, redis]
    listable: list[Listable] = [MemoryStore(), sql, cached, redis]
    purgeable: list[Purgeable] = [Fits(), MemoryStore(), sql, cached]
    contents: list[ContentsUpdate] = [sql]
    print(stores, by_user, listable, purgeable, contents)


def those_that_do_not() -> list[SessionStore]:
    by_user: UserIndex = ListsKeysAlone()  # type: ignore[assignment]
    listable: Listable = Fits()  # type: ignore[assignment]
    one: SessionStore = HasNoLoad()  # type: ignore[assignment]
    another: SessionStore = CannotBeAskedForATime()  # type: ignore[assignment]
    third: SessionStore = AnswersWithContents()  # type: ignore[assignment]
    return [one, another, third] if by_user and listable else []
