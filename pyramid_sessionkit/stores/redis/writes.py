"""How a record and the set of its user are written: together on one server, one after the other on a Cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.stores.packed import pack
from pyramid_sessionkit.stores.redis.client import Client
from pyramid_sessionkit.stores.redis.index import UserIndex, score, under_way
from pyramid_sessionkit.stores.redis.scripts import CREATE, DELETE, UPDATE, UPDATE_AND_INDEX
from pyramid_sessionkit.stores.redis.version import Version, expiry


class Writes(Protocol):
    """Each says whether it was done; ``name``: of the value in Redis."""

    def create(self, name: str, key: str, record: Record) -> bool: ...

    def update(self, name: str, key: str, record: Record, before: Version) -> bool: ...

    def delete(self, name: str, key: str, before: Version) -> bool: ...


class WritesTogether:
    """One script writes both, so that each is true when the other is."""

    def __init__(self, client: Client, index: UserIndex) -> None:
        self._client = client
        self._index = index

    def create(self, name: str, key: str, record: Record) -> bool:
        names, arguments = [name], _written(record)
        if record.userid is not None:
            names.append(self._index.name(record.userid))
            arguments += [key, score(record.version.kept_until)]
        return self._done(self._client.run(CREATE, names, arguments, again=True), record)

    def update(self, name: str, key: str, record: Record, before: Version) -> bool:
        after: Version = record.version
        if after.userid == before.userid and after.kept_until == before.kept_until:
            return _update(self._client, name, record, before)
        names, entry, out_of = [name], "", ""
        if after.userid is not None:
            names.append(self._index.name(after.userid))
            entry = score(after.kept_until)
        if before.userid is not None and before.userid != after.userid:
            names.append(self._index.name(before.userid))
            out_of = str(len(names))
        arguments = [before.stored, pack(record), expiry(record), key, entry, out_of]
        return self._done(self._client.run(UPDATE_AND_INDEX, names, arguments, again=False), record)

    def delete(self, name: str, key: str, before: Version) -> bool:
        names = [name] if before.userid is None else [name, self._index.name(before.userid)]
        return bool(self._client.run(DELETE, names, [before.stored, key], again=True))

    def _done(self, answer: int, record: Record) -> bool:
        if answer > 1:
            self._index.grown(str(record.userid), answer - 1)
        return answer > 0


class WritesApart:
    """The set first: see ``index``. What has to come out of a set is left to whoever reads it next."""

    def __init__(self, client: Client, index: UserIndex) -> None:
        self._client = client
        self._index = index

    def create(self, name: str, key: str, record: Record) -> bool:
        self._announce(key, record)
        done = bool(self._client.run(CREATE, [name], _written(record), again=True))
        if done:
            self._confirm(key, record)
        return done

    def update(self, name: str, key: str, record: Record, before: Version) -> bool:
        after: Version = record.version
        is_login = after.userid != before.userid
        if is_login:
            self._announce(key, record)
        elif after.userid is not None and after.kept_until > before.kept_until:
            self._index.add(after.userid, key, score(after.kept_until))
        done = _update(self._client, name, record, before)
        if done and is_login:
            self._confirm(key, record)
        return done

    def delete(self, name: str, key: str, before: Version) -> bool:
        return bool(self._client.run(DELETE, [name], [before.stored], again=True))

    def _announce(self, key: str, record: Record) -> None:
        if record.userid is not None:
            self._index.add(record.userid, key, under_way())

    def _confirm(self, key: str, record: Record) -> None:
        if record.userid is not None:
            # The record is written, and its entry is there. If this fails, whoever reads the set does it.
            with suppress(StoreError):
                self._index.add(record.userid, key, score(record.version.kept_until))


def _written(record: Record) -> list[Any]:
    return [record.version.word, pack(record), expiry(record)]


def _update(client: Client, name: str, record: Record, before: Version) -> bool:
    return bool(client.run(UPDATE, [name], [before.stored, pack(record), expiry(record)], again=False))
