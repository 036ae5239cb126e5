"""Programs that fork, or are patched by gevent, while they use a store; without any server of WSGI."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.memcached import Memcached
from tests.servers.wsgi import ROOT, require

pytestmark = pytest.mark.exhaustive

SECONDS = 30


@pytest.fixture(
    params=[
        "sqlite",
        *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("postgresql", "mariadb", "memcached")),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The kind of a store, and where it is."""
    if request.param == "sqlite":
        return [request.param, f"sqlite:///{tmp_path}/s.sqlite"]
    server = request.getfixturevalue(request.param)
    return [request.param, server.address if request.param == "memcached" else server.url]


def run(program: str, store: list[str]) -> str:
    """What the program prints, and the children that outlive it."""
    command = [sys.executable, "-m", "tests.forks.script", program, *store]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **pipes)
    try:
        printed, errors = process.communicate(timeout=SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children too, where one hangs
        process.wait()
    assert process.returncode == 0, errors
    return printed


@pytest.mark.parametrize("program", ["fork", "c-fork"])
def test_parent_and_children_lose_nothing(program: str, store: list[str]) -> None:
    run(program, store)


@pytest.mark.servers
def test_greenlets_lose_nothing_after_a_late_patch(store: list[str]) -> None:
    require("gevent")
    run("gevent", store)


@pytest.mark.servers
def test_a_greenlet_that_waits_lets_others_run(memcached: Memcached) -> None:
    require("gevent")
    run("gevent-wait", ["memcached", memcached.address])


def test_a_child_that_outlives_its_parent_loses_nothing(tmp_path: Path) -> None:
    """SQLite takes the locks of the connections that a child inherits for its own, which they are not."""
    assert run("outlive", ["sqlite", f"sqlite:///{tmp_path}/s.sqlite"]) == "4\n"
