"""WSGI servers of several processes, each with an application of ``tests/forks``."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from tests.servers.process import Server, free_port, missing

ROOT = Path(__file__).parents[2]
PROCESSES = 2
AT_ONCE = 4
"""Connections that ask at once whether the server is ready: what one process leaves, another takes."""


class WSGIServer(Server):
    """A WSGI server on a loopback port, with two processes that were forked from the first.

    Its application answers ``/ready`` with the number of its process. The server has started when both have answered.
    """

    keeps_connections = True

    def __init__(self, command: list[str], port: int, environment: Mapping[str, str], folder: Path) -> None:
        self.port = port
        self._answered: set[bytes] = set()
        super().__init__(command, self._all_answer, folder / "server.log", environment)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        self._answered.clear()
        super().start()

    def stop(self, signum: int = signal.SIGKILL) -> None:
        # All of its processes at once: a master would take its time, and nothing of theirs is needed any more.
        self._signal(signum)
        super().stop(signum)

    def _all_answer(self) -> None:
        with ExitStack() as stack:
            connections = [HTTPConnection("127.0.0.1", self.port, timeout=5) for _ in range(AT_ONCE)]
            for connection in connections:
                stack.callback(connection.close)
                connection.request("GET", "/ready")
            for connection in connections:
                response = connection.getresponse()
                assert response.status == 200
                self._answered.add(response.read())
        assert len(self._answered) == PROCESSES


class UWSGI(WSGIServer):
    """uWSGI, which makes the application in its master and forks without a word to Python."""

    keeps_connections = False

    def __init__(self, application: str, environment: Mapping[str, str], folder: Path) -> None:
        require("pyuwsgi")
        port = free_port()
        command = [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", f"--http-socket=127.0.0.1:{port}"]
        command += ["--master", f"--processes={PROCESSES}", "--threads=2", "--need-app", f"--pythonpath={ROOT}"]
        super().__init__([*command, f"--module={application}"], port, environment, folder)


class Gunicorn(WSGIServer):
    """gunicorn; with ``preload`` it makes the application before it forks."""

    def __init__(
        self, application: str, environment: Mapping[str, str], folder: Path, worker: str, preload: bool
    ) -> None:
        for package in ("gunicorn", *(["gevent"] if worker == "gevent" else [])):
            require(package)
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", f"--workers={PROCESSES}"]
        command += [f"--worker-class={worker}", f"--chdir={ROOT}", "--graceful-timeout=1", "--no-control-socket"]
        command += ["--threads=4"] if worker == "gthread" else []
        command += ["--preload"] if preload else []
        super().__init__([*command, application], port, environment, folder)


def require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        missing(f"{package} is not installed (the extra forks)")
