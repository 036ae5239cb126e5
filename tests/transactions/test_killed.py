"""A database connection that is lost around the commit: the session and the application's rows are saved together.

Each request writes one token into a row of the application and into the session. Whenever its backend dies, both hold
it afterwards, or neither.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import NullPool, event, select, text

from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY
from tests.servers.postgresql import PostgreSQL
from tests.servers.proxy import Proxy
from tests.transactions.application import TAKEN, Row, Site, status_of
from tests.transactions.test_table import Failing

pytestmark = pytest.mark.servers

RUNS = 200
WAYS = BEFORE, ANSWER_LOST, ABOUT_THEN, AFTER = (
    "before the commit",
    "after it, but its answer is lost",
    "about then",
    "after the commit",
)
SECONDS = 20


class Killer:
    """Ends the backends of the application's connections; nobody else's."""

    def __init__(self, postgresql: PostgreSQL) -> None:
        self._connection = psycopg.connect(host="127.0.0.1", port=postgresql.port, user="postgres", autocommit=True)
        self._thread: threading.Thread | None = None

    def kill(self, backend: int) -> None:
        """Returns once it is gone."""
        deadline = time.monotonic() + SECONDS
        self._ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s", backend)
        while self._ask("SELECT 1 FROM pg_stat_activity WHERE pid = %s", backend):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def kill_beside(self, backend: int, delay: float) -> None:
        self._thread = threading.Timer(delay, self.kill, (backend,))
        self._thread.start()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        self._connection.close()

    def _ask(self, query: str, backend: int) -> list[Any]:
        return self._connection.execute(query, (backend,)).fetchall()


class KillsAfterTheDatabase(Failing):
    """Votes for the transaction when the database has committed it already, and kills the connection that did."""

    def __init__(self, killer: Killer, backend: int) -> None:
        super().__init__("~z")
        self._killer, self._backend = killer, backend

    def tpc_vote(self, _: Any) -> None:
        self._killer.kill(self._backend)


@pytest.fixture
def proxy(postgresql: PostgreSQL) -> Iterator[Proxy]:
    proxy = Proxy(postgresql.port)
    yield proxy
    proxy.close()


@pytest.fixture
def site(postgresql: PostgreSQL) -> Iterator[Site]:
    # A connection for each request, so that none meets one that was killed before.
    site = Site(postgresql.url, postgresql.url, "joined", {"poolclass": NullPool})
    site.clean()
    yield site
    site.close()


@pytest.fixture
def killer(postgresql: PostgreSQL) -> Iterator[Killer]:
    killer = Killer(postgresql)
    yield killer
    killer.close()


def test_both_or_neither(site: Site, killer: Killer, proxy: Proxy) -> None:
    way, backend = "", 0

    @event.listens_for(site.engine, "do_connect")
    def about_to_connect(_: Any, __: Any, ___: Any, parameters: dict[str, Any]) -> None:
        if way == ANSWER_LOST:
            parameters["port"] = proxy.port

    @event.listens_for(site.engine, "commit")
    def about_to_commit(_: Any) -> None:
        if way == ANSWER_LOST:
            proxy.lose_answers = True
        elif way == ABOUT_THEN:
            killer.kill_beside(backend, random.uniform(0, 0.008))
            time.sleep(0.004)

    def view(request: Request) -> Response:
        nonlocal backend
        backend = request.dbsession.scalar(text("SELECT pg_backend_pid()"))
        token = int(request.params["token"])
        request.session["token"] = token
        request.dbsession.scalars(select(Row).where(Row.name == TAKEN)).one().number = token
        if way == BEFORE:
            request.tm.get().addBeforeCommitHook(killer.kill, (backend,))
        elif way == AFTER:
            request.tm.get().join(KillsAfterTheDatabase(killer, backend))
        return Response()

    visitor = site.visitor()
    outcomes: Counter[tuple[str, bool]] = Counter()
    for token in range(1, RUNS + 1):
        way = WAYS[token % len(WAYS)]
        answer = visitor.act(view, token=token)
        killer.wait()
        proxy.lose_answers = False
        number, contents = row_and_contents(site)
        assert number == contents.get("token", 0), way
        saved = number == token
        assert saved or status_of(answer) != "200", way
        outcomes[way, saved] += 1
        way = ""

    assert outcomes[BEFORE, True] == 0
    assert outcomes[ANSWER_LOST, False] == 0
    assert outcomes[AFTER, False] == 0
    assert outcomes[ABOUT_THEN, True] > 0
    assert outcomes[ABOUT_THEN, False] > 0


def row_and_contents(site: Site) -> tuple[int, dict[str, Any]]:
    """The number in the application's row and the contents of the only session, at one time."""
    [(number, data)] = site.execute("SELECT number, data FROM rows, sessions WHERE name = :name", name=TAKEN)
    return number, BUILT_IN_ONLY.loads(bytes(data))
