"""Ten users who count at the same time, and what they were told."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from threading import Lock
from typing import Any

from tests.servers.wsgi import WSGIServer

USERS = [f"user-{number}" for number in range(10)]
REQUESTS = 20
"""For each of ten clients. A client sends the requests of all users, so that those of one user meet."""
TOGETHER = 4
"""How many of them go over one connection, where the server keeps it. The next may reach another process."""
SECONDS = 10
ENOUGH = 20
"""Requests that failed, after which no more are sent."""


class Client:
    """A connection to the server, which the server may close after each answer."""

    def __init__(self, server: WSGIServer, cookies: dict[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        self._keeps_connections = server.keeps_connections
        self._cookies = cookies

    def get(self, user: str, path: str) -> tuple[int, dict[str, Any]]:
        """The status and the answer; a status of 0 where there was none."""
        cookie = {"Cookie": self._cookies[user]} if user in self._cookies else {}
        try:
            self._connection.request("GET", path, headers=cookie)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            self.close()
            return 0, {"error": repr(error)}
        if not self._keeps_connections:
            self.close()
        if sent := response.getheader("Set-Cookie"):
            self._cookies[user] = sent.partition(";")[0]
        return response.status, json.loads(text) if response.status == 200 else {"error": text[-500:].decode()}

    def close(self) -> None:
        self._connection.close()


class Load:
    """Sends the requests, and keeps what was wrong with the answers."""

    def __init__(self, server: WSGIServer, store: str) -> None:
        self._server = server
        self._store = store
        self._cookies: dict[str, str] = {}
        self._lock = Lock()
        self.counted: Counter[str] = Counter()
        self.failed: list[str] = []
        self.of_others: list[str] = []
        self.lost: dict[str, int] = {}
        self.processes: set[int] = set()

    def run(self) -> None:
        self._with_a_client(self._log_in)
        with ThreadPoolExecutor(len(USERS)) as pool:
            list(pool.map(lambda number: self._with_a_client(self._count, number), range(len(USERS))))
        self._with_a_client(self._compare)

    def _with_a_client(self, work: Any, *args: Any) -> None:
        client = Client(self._server, self._cookies)
        try:
            work(client, *args)
        finally:
            client.close()

    def _log_in(self, client: Client) -> None:
        for user in USERS:
            self._ask(client, user, f"/login?name={user}")

    def _count(self, client: Client, number: int) -> None:
        for index, user in enumerate(random.Random(number).choices(USERS, k=REQUESTS)):
            if len(self.failed) >= ENOUGH:
                return
            if self._ask(client, user, "/count") is not None:
                with self._lock:
                    self.counted[user] += 1
            if index % TOGETHER == TOGETHER - 1:
                client.close()

    def _compare(self, client: Client) -> None:
        for user in USERS:
            answer = self._ask(client, user, "/together")
            missed = self.counted[user] - (answer["count"] if answer else 0)
            if missed:
                self.lost[user] = missed

    def _ask(self, client: Client, user: str, path: str) -> dict[str, Any] | None:
        """The user's own answer, or None."""
        status, answer = client.get(user, f"/{self._store}{path}")
        if status != 200:
            self.failed.append(f"{status}: {answer['error']}")
            return None
        if (answer["name"], answer["userid"]) != (user, user):
            self.of_others.append(f"{path} told {user}: {answer}")
            return None
        if "process" in answer:
            self.processes.add(answer["process"])
        return answer

    def report(self) -> str:
        return "\n".join(
            [
                f"{sum(self.counted.values())} right, {len(self.of_others)} of others, {len(self.failed)} failed, "
                f"{sum(self.lost.values())} lost",
                *self.of_others[:3],
                *self.failed[:3],
            ]
        )
