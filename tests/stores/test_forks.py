"""A connection belongs to the process that opened it, also where the server forks without Python's hooks, as uWSGI."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pyramid_sessionkit.stores.home import Home
from pyramid_sessionkit.stores.memcached import MemcachedStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import in_threads, make_record, numbered
from pyramid_sessionkit.testing.conformance.at_once import fork_without_hooks, wait_for
from tests.stores.emptying import make_empty


def open_sql(url: str) -> SQLStore:
    store = SQLStore(create_session_engine(url))
    make_empty(store)
    return store


@pytest.fixture(
    params=[
        "sqlite",
        *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("postgresql", "mariadb", "memcached", "redis")),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    if request.param == "sqlite":
        store: Any = open_sql(f"sqlite:///{tmp_path}/sessions.sqlite")
    elif request.param == "memcached":
        server = request.getfixturevalue("memcached")
        server.flush()
        store = MemcachedStore(Nodes([server.address], 1))
    elif request.param == "redis":
        store = RedisStore(request.getfixturevalue("redis").url)
        store.clear()
    else:
        store = open_sql(request.getfixturevalue(request.param).url)
    yield store
    store.close()


def look_up(store: Any, number: int) -> None:
    """Ask for one's own session again and again."""
    for _ in range(200):
        assert store.load(numbered(number)).data == b"%d" % number


def test_greenlets_share_no_connection(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent puts another class in the place of ``threading.local``, which may be after the first connection."""
    store.create(numbered(1), make_record(b"1"))
    first = taken(store)

    class Local(threading.local):
        pass

    monkeypatch.setattr(threading, "local", Local)
    look_up(store, 1)
    assert taken(store) is not first
    assert not isinstance(store, MemcachedStore) or type(store.nodes._kept) is Local
    store.close()
    look_up(store, 1)
    assert not isinstance(store, MemcachedStore) or type(store.nodes._kept) is Local


def taken(store: Any) -> Any:
    """What a command runs on."""
    if isinstance(store, MemcachedStore):
        return store.nodes.call("key", lambda client: client, again=False)
    if isinstance(store, RedisStore):
        return store.client._connected()._idle[-1]
    kept = store._connections.take(time.monotonic())
    try:
        return kept.raw
    finally:
        store._connections.give_back(kept)


class TestHome:
    def test_it_moves_once_for_each_process(self) -> None:
        moves: list[int] = []
        home = Home(lambda: moves.append(os.getpid()))
        home.check()
        assert moves == []

        def check() -> None:
            in_threads(lambda _: home.check())
            assert moves == [os.getpid()]

        wait_for(fork_without_hooks(check), fork_without_hooks(check))
        assert moves == []

    def test_a_lock_that_a_parent_holds_stops_nobody(self) -> None:
        home = Home(lambda: None)
        home._locks[os.getpid()] = threading.Lock()
        with home._locks[os.getpid()]:
            wait_for(fork_without_hooks(home.check))
