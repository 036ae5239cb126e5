from __future__ import annotations

import getpass
import resource
import subprocess
from pathlib import Path

import pymysql

from tests.servers.process import Server, free_port, program


class MariaDB(Server):
    """MariaDB in a data folder of its own, on a loopback port, with the given options."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.folder = folder
        # Without TLS, which nobody asks for here: PyMySQL would read all certificates for each connection.
        self.url = f"mariadb+pymysql://test:test@127.0.0.1:{self.port}/test?connect_timeout=2&ssl_disabled=true"
        self.socket = str(folder / "mariadb.sock")
        # That a file cannot grow is to be an error for it, and not the end.
        command = ["env", "--ignore-signal=XFSZ", program("mariadbd", "mariadb-server", "/usr/sbin")]
        command += ["--no-defaults", f"--datadir={folder / 'data'}"]
        command += [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.socket}"]
        command += [
            f"--pid-file={folder / 'mariadb.pid'}",
            f"--user={getpass.getuser()}",
            "--innodb-flush-log-at-trx-commit=2",
        ]
        command += ["--max-allowed-packet=64M", "--skip-name-resolve", *options]
        super().__init__(command, self._answer, folder / "mariadb.log")

    def initialise(self) -> None:
        install = program("mariadb-install-db", "mariadb-server")
        command = [install, "--no-defaults", f"--datadir={self.folder / 'data'}", f"--user={getpass.getuser()}"]
        subprocess.run([*command, "--auth-root-authentication-method=normal"], check=True, capture_output=True)

    def limit_files(self, size: int = resource.RLIM_INFINITY) -> None:
        """No file may grow beyond so many bytes: it stands for a disk that is full."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def start(self) -> None:
        super().start()
        self.execute("CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4")
        self.execute("CREATE USER IF NOT EXISTS test@'%' IDENTIFIED BY 'test'")
        self.execute("GRANT ALL ON test.* TO test@'%'")

    def execute(self, statement: str) -> tuple[tuple[object, ...], ...]:
        connection = pymysql.connect(unix_socket=self.socket, user="root", autocommit=True, ssl_disabled=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def _answer(self) -> None:
        # PyMySQL leaves a socket behind when it cannot connect.
        if not Path(self.socket).exists():
            raise FileNotFoundError(self.socket)
        self.execute("SELECT 1")
