"""A server that takes connections and answers nothing: pages without a session do not wait behind those with one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest
from webtest.http import StopableWSGIServer

from tests.operations.databases import Database
from tests.operations.site import SECONDS, Site
from tests.servers.proxy import Proxy

pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FROZEN, SWALLOWED = "frozen", "what is sent is swallowed"

TIMEOUT = 1
OUTAGE = 5
BREAKER = 3 * TIMEOUT
"""Seconds within which two time-outs in a row have been seen, and what waited then is answered."""

VISITORS = 8
"""More than waitress has threads, which are four."""


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


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    proxy = Proxy(database.port)
    yield proxy
    proxy.close()


@pytest.fixture
def site(database: Database, proxy: Proxy, open_site: Callable[..., Site]) -> Site:
    url = database.url.replace(str(database.port), str(proxy.port))
    return open_site(url, create_table="true", timeout=str(TIMEOUT))


@pytest.fixture
def port(site: Site) -> Iterator[int]:
    server = StopableWSGIServer.create(site.app)
    yield server.effective_port
    server.shutdown()
    server.runner.join()


@pytest.mark.parametrize(("database", "way"), [("postgresql", FROZEN), ("mariadb", SWALLOWED)], indirect=["database"])
def test_pages_without_a_session_are_answered(
    database: Database, proxy: Proxy, site: Site, port: int, way: str
) -> None:
    cookies = [site.visitor() for _ in range(VISITORS)]
    visitors = [Client(port, "/count", cookie) for cookie in cookies]
    plain = Client(port, "/plain")
    try:
        time.sleep(1)
        began = time.monotonic()
        if way == FROZEN:
            database.server.freeze()
        else:
            proxy.swallow = True
        time.sleep(OUTAGE)
        database.server.thaw()
        proxy.swallow = False
        ended = time.monotonic()
        back = [first_success(visitor, ended) for visitor in visitors]
    finally:
        for client in (*visitors, plain):
            client.close()
    early = [took for sent, took, _ in plain.answers if began <= sent < began + BREAKER]
    late = [took for sent, took, _ in plain.answers if began + BREAKER <= sent < ended]
    answers = Counter(status for visitor in visitors for _, _, status in visitor.answers)
    print(
        f"plain: {len(early)} answers at first, the slowest after {max(early):.2f} s; later {len(late)}, "
        f"{max(late, default=OUTAGE):.2f} s; sessions: {dict(answers)}, back after {max(back):.2f} s"
    )
    assert {status for _, _, status in plain.answers} == {200}
    assert len(late) > 10
    assert max(late) < 2 * TIMEOUT
    assert set(answers) == {200, 503}
    for cookie, visitor in zip(cookies, visitors, strict=True):
        counted = 1 + sum(status == 200 for _, _, status in visitor.answers)
        assert int(site.ask("/read", cookie).text) >= counted


def first_success(client: Client, since: float) -> float:
    """The seconds after which a request was answered 200."""
    while time.monotonic() < since + SECONDS:
        for sent, took, status in list(client.answers):
            if status == 200 and sent + took > since:
                return sent + took - since
        time.sleep(0.02)
    raise AssertionError(f"no session after {SECONDS} seconds: {client.answers[-3:]}")
