"""Programs that tests run as processes of their own: ``python -m tests.forks.script <program> <store> <url>``."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from pyramid_sessionkit.stores.memcached import MemcachedStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import make_record, numbered

CHILDREN = 3
TIMES = 50


def open_store(kind: str, where: str) -> Any:
    """A store with a session for each child, and one for the parent, on which something was read."""
    store: Any = MemcachedStore(Nodes([where], 1)) if kind == "memcached" else SQLStore(create_session_engine(where))
    if kind != "memcached":
        store.create_table()
    for number in range(CHILDREN + 1):
        store.delete(numbered(number))
        store.create(numbered(number), make_record(b"%d 0" % number))
    return store


def count(store: Any, number: int) -> None:
    """Count in one's own session. An update is never repeated, so that a connection that was lost fails it."""
    for _ in range(TIMES):
        record = store.load(numbered(number))
        owner, _, counted = record.data.partition(b" ")
        assert owner == b"%d" % number
        assert store.update(numbered(number), record._replace(data=b"%s %d" % (owner, int(counted) + 1)))


def counted(store: Any, number: int) -> int:
    return int(store.load(numbered(number)).data.partition(b" ")[2])


def fork_children(store: Any, fork: Callable[[], int]) -> None:
    """Twice: children that count, one that does nothing, and a parent that counts too. All end as programs do."""
    for round_ in (1, 2):
        children = []
        for number in range(CHILDREN + 1):
            pid = fork()
            if pid == 0:
                if number < CHILDREN:
                    count(store, number)
                sys.exit()
            children.append(pid)
        count(store, CHILDREN)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * len(children)
        count(store, CHILDREN)
        assert [counted(store, number) for number in range(CHILDREN)] == [round_ * TIMES] * CHILDREN
    assert counted(store, CHILDREN) == 4 * TIMES


def patch_late(store: Any) -> None:
    """gevent patches when the store is in use already."""
    from gevent import monkey

    monkey.patch_all()
    threads = [threading.Thread(target=count, args=(store, number)) for number in range(CHILDREN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [counted(store, number) for number in range(CHILDREN)] == [TIMES] * CHILDREN


PROGRAMS: dict[str, Callable[[Any], None]] = {
    "fork": lambda store: fork_children(store, os.fork),
    # As servers written in C do it: Python hears nothing of it.
    "c-fork": lambda store: fork_children(store, ctypes.PyDLL(None).fork),
    "gevent": patch_late,
}

if __name__ == "__main__":
    program, kind, where = sys.argv[1:]
    PROGRAMS[program](open_store(kind, where))
