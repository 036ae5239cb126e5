"""Runs a function many times at the same time: in threads, and in processes that are forked with and without hooks."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 60.0
"""How long a process of the suite may take."""

LOOK_THERE = f"Their errors are in the captured stderr. None: it did not end in {SECONDS:.0f} seconds."


def in_threads(function: Callable[[int], Any], count: int = 16) -> list[Any]:
    """What the function returns for each number, run at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, range(count)))


def in_processes(function: Callable[[int], Any], count: int) -> None:
    """Run the function for each number in a process of its own; all must succeed."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=function, args=(number,)) for number in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        for process in processes:
            process.start()
    for process in processes:
        process.join(SECONDS)
    codes = [process.exitcode for process in processes]
    assert codes == [0] * count, f"processes failed: their exit codes are {codes}. {LOOK_THERE}"


def fork_without_hooks(work: Callable[[], object]) -> int:
    """The process that does the work, and ends without cleaning up. As in uWSGI, none of Python's hooks runs."""
    pid = _fork_while_no_thread_waits()
    if pid:
        return pid
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def _fork_while_no_thread_waits() -> int:
    """A thread that waits for the interpreter asks its holder for it after the switch interval. If a process is forked
    just then, the child waits for ever for that thread, which it does not have."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SECONDS)
    try:
        # Those who wait already ask, and get it; on a busy machine that takes them longer.
        time.sleep((20 if threading.active_count() > 1 else 2) * interval)
        return int(ctypes.PyDLL(None).fork())
    finally:
        sys.setswitchinterval(interval)


def wait_for(*pids: int) -> None:
    """Each of these processes must end in time, and without an error."""
    stop = time.monotonic() + SECONDS
    codes = [_exit_code(pid, stop) for pid in pids]
    assert codes == [0] * len(pids), f"forked processes failed: their exit codes are {codes}. {LOOK_THERE}"


def _exit_code(pid: int, stop: float) -> int | None:
    while time.monotonic() < stop:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


NOT_ENDED = "it has not ended"


def outcomes_of(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, Any]:
    """What each call returns or raises, all made at once. What does not end in time goes on in its own thread."""
    outcomes: dict[str, Any] = dict.fromkeys(calls, NOT_ENDED)

    def run(name: str) -> None:
        try:
            outcomes[name] = calls[name]()
        except Exception as error:
            outcomes[name] = error

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in calls]
    for thread in threads:
        thread.start()
    stop = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, stop - time.monotonic()))
    return dict(outcomes)
