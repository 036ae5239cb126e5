"""A server that takes connections and answers nothing: pages without a session do not wait behind those with one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest
from waitress.server import create_server

from tests.operator.databases import Database
from tests.operator.site import Counting, Site
from tests.servers.proxy import Proxy

pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TIMEOUT = 1
OUTAGE = 5
CLIENTS = 8
"""With sessions, for the four threads of the server."""


class Waitress:
    """The application behind waitress, with as many threads as it has by default."""

    def __init__(self, site: Site) -> None:
        self._server = create_server(site.app, host="127.0.0.1", port=0, threads=4)
        self.port = int(self._server.effective_port)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()

    def close(self) -> None:
        self._server.close()
        self._server.trigger.pull_trigger()
        self._server.asyncore.close_all(self._server._map)
        self._server.task_dispatcher.shutdown()
        self._thread.join()


class Client:
    """Sends the same request again and again, from a thread of its own, and keeps when and for how long it waited."""

    def __init__(self, port: int, path: str, cookie: str = "") -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._path = path
        self._cookie = cookie
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: list[tuple[float, float, int]] = []
        """When each was sent, the seconds it took, its status."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            sent = time.monotonic()
            self._connection.request("POST", self._path, headers={"Cookie": self._cookie})
            response = self._connection.getresponse()
            response.read()
            self.answers.append((sent, time.monotonic() - sent, response.status))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()
