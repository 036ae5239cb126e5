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

from tests.servers.process import Server, free_port, program

FOLDERS = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)


class PostgreSQL(Server):
    """PostgreSQL in a data folder of its own, on a loopback port."""

    def __init__(self, _: Path) -> None:
        # pytest's own folders are closed to other users, of whom PostgreSQL must be one.
        folder = self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres?connect_timeout=2"
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [*_as_postgres(folder), program("postgres", "postgresql", *FOLDERS), "-D", str(folder / "data")]
        super().__init__([*command, *settings], self._answer, folder / "postgresql.log")

    def initialise(self) -> None:
        initdb = program("initdb", "postgresql", *FOLDERS)
        command = [*_as_postgres(self.folder), initdb, "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust"]
        subprocess.run([*command, "-E", "UTF8", "--locale=C.UTF-8", "-N"], check=True, capture_output=True)

    def stop(self, signum: int = signal.SIGINT) -> None:
        # SIGINT is PostgreSQL's fast shutdown, which does not wait for clients to leave.
        super().stop(signal.SIGQUIT if signum == signal.SIGKILL else signum)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _answer(self) -> None:
        self.execute("SELECT 1")


def _as_postgres(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    subprocess.run(["chown", "postgres", str(folder)], check=True)
    return [program("setpriv", "util-linux"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
