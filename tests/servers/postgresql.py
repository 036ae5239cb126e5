from __future__ import annotations

import atexit
import glob
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.servers.process import Server, family, free_port, program

FOLDERS = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)


class PostgreSQL(Server):
    """PostgreSQL in a data folder of its own, on a loopback port, with the given settings.

    With a ``primary`` it is a standby of that server, until somebody promotes it.
    """

    def __init__(self, _: Path, primary: PostgreSQL | None = None, **settings: object) -> None:
        # pytest's own folders are closed to other users, of whom PostgreSQL must be one.
        folder = self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.port = free_port()
        self._primary = primary
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres?connect_timeout=2"
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
            **settings,
        }
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [*as_postgres(folder), program("postgres", "postgresql", *FOLDERS), "-D", str(folder / "data")]
        super().__init__([*command, *arguments], self._answer, folder / "postgresql.log")

    def initialise(self) -> None:
        command = self._copy() if self._primary else self._new()
        subprocess.run([*as_postgres(self.folder), *command], check=True, capture_output=True)

    def _new(self) -> list[str]:
        command = [program("initdb", "postgresql", *FOLDERS), "-D", str(self.folder / "data"), "-U", "postgres"]
        # Small segments: the tests that fill a disk need not write much.
        return [*command, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "--wal-segsize=1"]

    def _copy(self) -> list[str]:
        assert self._primary is not None
        command = [program("pg_basebackup", "postgresql", *FOLDERS), "-D", str(self.folder / "data"), "-R", "-N"]
        return [*command, "-c", "fast", "-U", "postgres", "-h", "127.0.0.1", "-p", str(self._primary.port)]

    def limit_files(self, size: str) -> None:
        """No file may grow beyond so many bytes; ``unlimited`` ends it. It stands for a disk that is full."""
        assert self._process is not None
        for pid in family(self._process.pid):
            command = [*as_postgres(self.folder), program("prlimit", "util-linux"), f"--pid={pid}"]
            subprocess.run([*command, f"--fsize={size}:unlimited"], check=False, capture_output=True)

    def stop(self, signum: int = signal.SIGINT) -> None:
        # SIGINT is PostgreSQL's fast shutdown, which does not wait for clients to leave.
        super().stop(signal.SIGQUIT if signum == signal.SIGKILL else signum)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _answer(self) -> None:
        self.execute("SELECT 1")


def as_postgres(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    subprocess.run(["chown", "postgres", str(folder)], check=True)
    return [program("setpriv", "util-linux"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
