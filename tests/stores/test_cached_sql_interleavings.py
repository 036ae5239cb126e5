"""Every order in which the commands of two and of three operations of ``cached_sql`` can reach memcached and database.

In each state that can be reached, what a load would return that started there is checked, and what each load returned:

- after a delete, or an update, has returned, no load that starts later returns what was there before;
- if it was a delete, or an update that changes who can open the session, this holds from its commit on;
- nothing is returned that the database did not have;
- where memcached gave no answer, it holds once memcached has been told.

Then each rule is taken out, to see that these tests would notice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import combinations, combinations_with_replacement
from typing import Any

import pytest

from pyramid_sessionkit.stores import copies
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.copies import Cache
from pyramid_sessionkit.stores.resting_nodes import RestingNodes
from tests.stores.cached_sql_world import (
    EVENTS,
    OPERATIONS,
    Explorer,
    Violation,
    create,
    delete,
    delete_version,
    load,
    reverify,
    starts,
    stopped_time,
    update,
)

__all__ = ["stopped_time"]

pytestmark = [pytest.mark.usefixtures("stopped_time"), pytest.mark.exhaustive]

RESTART = EVENTS[0]

PAIRS = list(combinations_with_replacement(OPERATIONS, 2))
TRIPLES = [things for things in combinations_with_replacement(OPERATIONS, 3) if len(set(things)) > 1]
if "SESSIONKIT_TRIPLES" not in os.environ:
    # ``make fuzz`` runs them all.
    TRIPLES = TRIPLES[::3]


def named(things: Any) -> str:
    return "-".join(getattr(thing, "__name__", str(thing)) for thing in things)


def explore(things: Any, start: str | None = None, at_commit: bool = False, **faults: int) -> int:
    """How many states there are; raises a :class:`Violation`."""
    worlds = starts()
    chosen = worlds.values() if start is None else [worlds[start]]
    return sum(Explorer(things, at_commit).explore(world._replace(**faults)) for world in chosen)


@pytest.mark.parametrize("things", PAIRS, ids=named)
class TestTwo:
    def test_in_any_order(self, things: Any) -> None:
        assert explore(things, at_commit=True) > 10

    @pytest.mark.parametrize("event", EVENTS, ids=["restart", "10 seconds", "an hour"])
    def test_while_memcached_forgets(self, things: Any, event: Any) -> None:
        explore((*things, event))

    def test_while_memcached_restarts_twice(self, things: Any) -> None:
        explore((*things, RESTART, RESTART), "copy")

    def test_with_a_command_to_memcached_that_gets_no_answer(self, things: Any) -> None:
        explore(things, faults=1)

    def test_with_a_write_to_the_database_that_gets_no_answer(self, things: Any) -> None:
        explore(things, at_commit=True, row_faults=1)


@pytest.mark.parametrize("things", TRIPLES, ids=named)
def test_three_in_any_order(things: Any) -> None:
    explore(things, "copy", at_commit=True)


@pytest.mark.parametrize("things", list(combinations([load, create, update, reverify, delete], 3)), ids=named)
def test_three_while_memcached_restarts(things: Any) -> None:
    explore((*things, RESTART), "row")


# With a rule taken out ------------------------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def fill_without_a_lease(patch: Patch) -> None:
    patch.setattr(Cache, "lease", lambda self, key: b"none")
    patch.setattr(
        Cache,
        "fill",
        lambda self, key, lease, record, at=None: self._resting.call(
            key, lambda client: client.add(key, self._pack_copy(key, record), 60)
        ),
    )


def trust_a_token_of_before_a_restart(patch: Patch) -> None:
    """As if the reader kept memcached's token for the lease, instead of looking at the lease again."""
    tokens: dict[bytes, bytes] = {}

    def lease(self: Cache, key: str) -> bytes | None:
        found = Cache_lease(self, key)
        if found is not None:
            answer: Any = self._resting.call(key, lambda client: client.gets(key))
            tokens[found] = answer[1]
        return found

    def fill(self: Cache, key: str, lease: bytes, record: Any, at: float) -> None:
        copy, token = self._pack_copy(key, record), tokens[lease]
        self._resting.call(key, lambda client: client.cas(key, copy, token, 60))

    Cache_lease = Cache.lease
    patch.setattr(Cache, "lease", lease)
    patch.setattr(Cache, "fill", fill)


def settle_by(replace: Callable[..., Any]) -> Callable[[Patch], None]:
    def take_out(patch: Patch) -> None:
        patch.setattr(copies, "_settle", replace)

    return take_out


def leave_a_mark_that_its_writer_may_fill(client: Any, name: str, mine: Any, copy: Any, expire: int) -> bool:
    found, _ = client.gets(name)
    if found is None or (found.startswith(b"change ") and found != mine):
        return True
    return SETTLE(client, name=name, mine=mine, copy=copy, expire=expire)


def put_the_copy_over_anything(client: Any, name: str, mine: Any, copy: Any, expire: int) -> bool:
    return bool(client.set(name, copy, expire=expire))


def put_the_copy_where_nothing_is(client: Any, name: str, mine: Any, copy: Any, expire: int) -> bool:
    if copy is not None and client.add(name, copy, expire):
        return True
    return SETTLE(client, name=name, mine=mine, copy=copy, expire=expire)


def look_away(client: Any, name: str, mine: Any, copy: Any, expire: int) -> bool:
    return True


SETTLE = copies._settle


def put_a_change_mark_over_an_end_mark(patch: Patch) -> None:
    def mark_change(client: Any, name: str, mark: bytes) -> bytes:
        client.set(name, mark, 10)
        return mark

    patch.setattr(copies, "_mark_change", mark_change)


def without(name: str, owner: Any = Cache) -> Callable[[Patch], None]:
    def take_out(patch: Patch) -> None:
        patch.setattr(owner, name, lambda *args: None)

    return take_out


def remove_a_mark_that_another_counts_on(patch: Patch) -> None:
    """As if a writer whose update was refused took their mark away."""
    settle = Cache.settle
    marks: dict[int, bytes] = {}

    def mark_change(self: Cache, key: str) -> bytes | None:
        mark = MARK_CHANGE(self, key)
        marks[id(self)] = mark or b""
        return mark

    def drop(self: Cache, key: str, word: int) -> None:
        if id(self) in marks:
            self._exchange(key, marks[id(self)], b"", -1)

    MARK_CHANGE = Cache.mark_change
    patch.setattr(Cache, "mark_change", mark_change)
    patch.setattr(Cache, "drop", drop)
    patch.setattr(Cache, "settle", settle)


def create_without_settling(patch: Patch) -> None:
    def store_and_fill(self: CachedSQLStore, key: str, record: Any) -> Any:
        lease = self.cache.lease(key)
        created = self.sql.create(key, record)
        if created is not None and lease is not None:
            self.cache.fill(key, lease, copies.versioned(created))
        return created and copies.versioned(created)

    patch.setattr(CachedSQLStore, "create", store_and_fill)


HEALTHY = {"at_commit": True}
RULES: dict[str, tuple[Callable[[Patch], None], tuple[Any, ...], dict[str, Any]]] = {
    "a reader fills a lease only": (fill_without_a_lease, (load, update), {}),
    "a lease is looked at again before it is filled": (
        trust_a_token_of_before_a_restart,
        (load, load, update, RESTART),
        {},
    ),
    "a mark of another is taken from its writer": (
        settle_by(leave_a_mark_that_its_writer_may_fill),
        (update, reverify),
        {},
    ),
    "a copy replaces only the copy before": (settle_by(put_the_copy_over_anything), (update, update), {}),
    "a writer puts nothing where nothing is": (settle_by(put_the_copy_where_nothing_is), (update, update), {}),
    "a writer settles": (settle_by(look_away), (update,), {}),
    "a creation settles": (create_without_settling, (load, create, delete, RESTART), {}),
    "an end mark stays": (put_a_change_mark_over_an_end_mark, (reverify, delete), HEALTHY),
    "an end is marked before": (without("mark_end"), (delete,), HEALTHY),
    "an end is marked again after": (without("end"), (load, delete, RESTART), {}),
    "a change of the secret is marked before": (without("mark_change"), (reverify,), HEALTHY),
    "a conditional end is marked before": (without("mark_change"), (delete_version,), HEALTHY),
    "a mark stays after a refusal": (
        remove_a_mark_that_another_counts_on,
        (load, reverify, reverify, update),
        {"at_commit": True, "start": "copy"},
    ),
    "an unknown outcome is marked": (without("doubt"), (load, update), {"row_faults": 1}),
    "what could not be told is told later": (without("owe", RestingNodes), (update,), {"faults": 1}),
}


@pytest.mark.parametrize("rule", RULES)
def test_without_the_rule_it_goes_wrong(rule: str, monkeypatch: Patch) -> None:
    take_out, things, how = RULES[rule]
    take_out(monkeypatch)
    with pytest.raises(Violation):
        explore(things, **how)
