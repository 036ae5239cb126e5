"""Programs that fork, or are patched by gevent, while they use a store; without any server of WSGI."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.wsgi import ROOT, require

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


def run(program: str, store: list[str]) -> None:
    command = [sys.executable, "-m", "tests.forks.script", program, *store]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children too, where one hangs
        process.wait()
    assert process.returncode == 0, errors


@pytest.mark.parametrize("program", ["fork", "c-fork"])
def test_parent_and_children_lose_nothing(program: str, store: list[str]) -> None:
    run(program, store)


@pytest.mark.servers
def test_greenlets_lose_nothing_after_a_late_patch(store: list[str]) -> None:
    require("gevent")
    run("gevent", store)
