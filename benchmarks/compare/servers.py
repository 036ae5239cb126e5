"""The databases and caches, started for one run on free loopback ports."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

MEMCACHED_MEGABYTES = 4096

SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin"]


def find_program(name: str) -> str | None:
    from tests.servers.postgresql import FOLDERS

    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS, *FOLDERS]))


def _memcached(folder: Path) -> tuple[Any, Callable[[Any], str]]:
    from tests.servers.memcached import Memcached

    server = Memcached(folder)
    # Without it a million sessions would push each other out.
    server._command += ["-m", str(MEMCACHED_MEGABYTES), "-c", "4096"]
    return server, lambda started: started.address


def _postgresql(folder: Path) -> tuple[Any, Callable[[Any], str]]:
    from tests.servers.postgresql import PostgreSQL

    server = PostgreSQL(folder)
    server._command += ["-c", "max_connections=500"]
    return server, lambda started: started.url


def _mariadb(folder: Path) -> tuple[Any, Callable[[Any], str]]:
    from tests.servers.mariadb import MariaDB

    server = MariaDB(folder)
    server._command += ["--max-connections=500"]
    return server, lambda started: started.url


def _redis(folder: Path) -> tuple[Any, Callable[[Any], str]]:
    from tests.servers.redis import Redis

    return Redis(folder), lambda started: started.url


SERVERS = {
    "memcached": ("memcached", "memcached", _memcached),
    "postgresql": ("initdb", "postgresql", _postgresql),
    "mariadb": ("mariadbd", "mariadb-server", _mariadb),
    "redis": ("redis-server", "redis-server", _redis),
}
"""The program of each, Debian's package, and what makes it."""


def installed(names: Iterable[str], say: Callable[[str], None]) -> list[str]:
    """Those whose program is here; a line for each that is not."""
    found = []
    for name in names:
        program, package, _ = SERVERS[name]
        if find_program(program):
            found.append(name)
        else:
            say(f"{program} is not installed (Debian's package {package}): rows that need {name} are left out")
    return found


@contextmanager
def running(names: Iterable[str], folder: Path) -> Iterator[dict[str, str]]:
    """Their addresses by name, with SQLite's and the folder for files."""
    addresses = {
        "folder": str(folder),
        "sqlite": f"sqlite:///{folder}/ours.sqlite",
        "sql": "sqlite postgresql mariadb",
    }
    with ExitStack() as stack:
        for name in names:
            made = folder / name
            made.mkdir()
            server, address = SERVERS[name][2](made)
            addresses[name] = address(stack.enter_context(server))
        yield addresses


def version(name: str) -> str:
    """The first line of what the server's program says of itself."""
    program = "postgres" if name == "postgresql" else SERVERS[name][0]
    path = find_program(program) or program
    asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return (asked.stdout or asked.stderr).strip().splitlines()[0].replace(path, program)
