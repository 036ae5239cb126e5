"""Programs that tests run as processes of their own: ``python -m tests.forks.script <program> <store> <url>``."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
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


def outlive(store: Any) -> None:
    """A child goes on after its parent has ended, as a program that becomes a daemon; other processes come and go."""
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.01)
    for number in range(10, 14):
        store.create(numbered(number), make_record())
        seen = rows_seen_by_another(store.engine.url.database)
    print(seen - CHILDREN - 1, flush=True)


def rows_seen_by_another(path: str) -> int:
    look = (
        "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM sessions').fetchone())"
    )
    return int(subprocess.run([sys.executable, "-c", look, path], check=True, capture_output=True).stdout)


def patch_late(store: Any) -> None:
    """gevent patches when the store was made already. What connects after that lets other greenlets run."""
    from gevent import monkey

    store.close()
    monkey.patch_all()
    receive = socket.socket.recv

    def let_others_run_first(*args: Any) -> bytes:
        time.sleep(0)
        return receive(*args)

    socket.socket.recv = let_others_run_first  # type: ignore[method-assign]
    threads = [threading.Thread(target=count, args=(store, number)) for number in range(CHILDREN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [counted(store, number) for number in range(CHILDREN)] == [TIMES] * CHILDREN


def answer_in_a_greenlet(store: Any) -> None:
    """A server of memcached that is a greenlet of this process: a client that waits must let it run."""
    from gevent import monkey

    monkey.patch_all()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(1024):
                connection.sendall(b"EN")
                time.sleep(0.01)
                connection.sendall(b"D\r\n")

    threading.Thread(target=serve, daemon=True).start()
    waiting = MemcachedStore(Nodes([f"127.0.0.1:{listening.getsockname()[1]}"], 5))
    assert [waiting.load(numbered(number)) for number in range(3)] == [None] * 3


PROGRAMS: dict[str, Callable[[Any], None]] = {
    "fork": lambda store: fork_children(store, os.fork),
    # As servers written in C do it: Python hears nothing of it.
    "c-fork": lambda store: fork_children(store, ctypes.PyDLL(None).fork),
    "gevent": patch_late,
    "gevent-wait": answer_in_a_greenlet,
    "outlive": outlive,
}

if __name__ == "__main__":
    program, kind, where = sys.argv[1:]
    PROGRAMS[program](open_store(kind, where))
