from __future__ import annotations

import atexit
import shutil
import signal
import tempfile
from pathlib import Path

import psycopg

from tests.servers.postgresql import as_postgres
from tests.servers.process import Server, free_port, program

CONFIGURATION = """
[databases]
postgres = host=127.0.0.1 port={database} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 100
ignore_startup_parameters = {ignored}
"""


class PgBouncer(Server):
    """pgbouncer on a loopback port, with few connections to a PostgreSQL server, which all clients share."""

    def __init__(self, database: int, user: str, mode: str, size: int = 2, ignored: str = "extra_float_digits") -> None:
        # Like PostgreSQL, it refuses to run as root, and to read what other users cannot.
        folder = self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.port = free_port()
        self._text = CONFIGURATION.format(
            database=database, user=user, port=self.port, mode=mode, size=size, ignored=ignored
        )
        self.url = f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/postgres"
        self._configuration = folder / "pgbouncer.ini"
        command = [*as_postgres(folder), program("pgbouncer", "pgbouncer", "/usr/sbin"), str(self._configuration)]
        super().__init__(command, self._answer, folder / "pgbouncer.log")

    def initialise(self) -> None:
        self._configuration.write_text(self._text)

    def stop(self, signum: int = signal.SIGTERM) -> None:
        # At once: with SIGINT it would wait for its clients.
        super().stop(signum)

    def client(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            prepare_threshold=None,
        )

    def _answer(self) -> None:
        with self.client() as connection:
            connection.execute("SELECT 1")
