from __future__ import annotations

import socket
from pathlib import Path

from tests.servers.process import Server, free_port, program

CONFIGURATION = """
global
    stats socket {control} level admin

defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s

listen database
    bind 127.0.0.1:{port}
{servers}
"""


class HAProxy(Server):
    """haproxy in front of several servers, of which it passes connections on to one.

    Those that are open stay with the server they have, as they do with most ways to switch over.
    """

    def __init__(self, folder: Path, *servers: int) -> None:
        self.port = free_port()
        # The path of a socket is short: that of a test's folder may be too long.
        self._control = Path("/tmp") / f"haproxy-{self.port}.sock"
        lines = (f"    server server{port} 127.0.0.1:{port}" for port in servers)
        self._text = CONFIGURATION.format(control=self._control, port=self.port, servers="\n".join(lines))
        self._servers = servers
        self._configuration = folder / "haproxy.cfg"
        command = [program("haproxy", "haproxy", "/usr/sbin"), "-db", "-f", str(self._configuration)]
        super().__init__(command, self._begin, folder / "haproxy.log")

    def initialise(self) -> None:
        self._configuration.write_text(self._text)

    def use(self, server: int) -> None:
        """New connections go to that server."""
        for port in self._servers:
            self._tell(f"set server database/server{port} state {'ready' if port == server else 'maint'}")

    def stop(self, signum: int = 15) -> None:
        super().stop(signum)
        self._control.unlink(missing_ok=True)

    def _tell(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._control))
            control.sendall(command.encode() + b"\n")
            answer = control.recv(4096).strip()
            assert not answer, answer

    def _begin(self) -> None:
        # It opens the socket for commands after the port.
        self.use(self._servers[0])
        socket.create_connection(("127.0.0.1", self.port), 1).close()
