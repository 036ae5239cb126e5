"""A program that a test starts, stops, freezes and kills."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from typing_extensions import Self

SECONDS_TO_START = 60


def program(name: str, package: str, *folders: str) -> str:
    """Where a server's program is; without it the tests that need it are skipped, and in CI they fail."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *folders])
    found = shutil.which(name, path=path)
    return found or missing(f"{name} is not installed (Debian's package {package})")


def missing(what: str) -> NoReturn:
    """Skip the test; in CI it fails."""
    message = f"{what}: the tests that need it cannot run"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Server:
    """A server process. ``ready`` is tried until it does not raise. In a ``with`` it runs from its first start."""

    def __init__(
        self,
        command: Sequence[str],
        ready: Callable[[], object],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._ready = ready
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.initialise()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def initialise(self) -> None:
        """Make what it needs before its first start."""

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                self._ready()
                return
            except Exception:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.kill()
                    raise AssertionError(
                        f"{self._command[0]} did not start:\n{self._log.read_text()[-2000:]}"
                    ) from None
                time.sleep(0.05)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            for pid in family(self._process.pid):
                while _state(pid) not in ("T", ""):
                    time.sleep(0.001)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restore(self) -> None:
        """Make it run and answer, if it does not."""
        self.thaw()
        if self._process is None or self._process.poll() is not None:
            self.start()

    def stop(self, signum: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signum)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def _signal(self, signum: int) -> None:
        if self._process is not None and self._process.poll() is None:
            for pid in family(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signum)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def family(pid: int) -> list[int]:
    """A process and its children: PostgreSQL answers from those."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended just now
        return []
    return [pid, *(child for word in children for child in family(int(word)))]
