"""A connection belongs to the process that opened it, and to the kind of threads that it was opened for.

Servers fork after an application was made, and some of them run no hook when they do (uWSGI). So it is looked at
whenever a connection is taken, which costs a fraction of a microsecond.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from os import getpid

_inherited: list[object] = []
"""What a parent opened. Closing it could end the parent's connection at the server: so it is kept, and not used."""


class Home:
    """Calls ``move_in`` once in each process, and once gevent has replaced the threads, before a connection is taken.

    ``threading.local`` is another class once gevent has patched it, which it does after ``gunicorn --preload``: one
    that was made before is shared by all greenlets of a thread.
    """

    def __init__(self, move_in: Callable[[], None]) -> None:
        self._move_in = move_in
        self._pid = getpid()
        self._local = threading.local
        self._locks: dict[int, threading.Lock] = {}

    def check(self) -> None:
        if self._pid != getpid() or self._local is not threading.local:
            self._move()

    def _move(self) -> None:
        pid, local = getpid(), threading.local
        # Each process has a lock of its own: one that was inherited may be held by a thread that is not here.
        with self._locks.setdefault(pid, threading.Lock()):
            if self._pid == pid and self._local is local:
                return
            self._move_in()
            self._pid, self._local = pid, local


def keep_inherited(*opened: object) -> None:
    """Keep what another process opened for as long as this one runs."""
    _inherited.append(opened)
