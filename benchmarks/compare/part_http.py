"""Requests per second over HTTP, as a share of a bare view's, with ``wrk``: 64 connections, 64 sessions."""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.compare.catalogue import FLOOR, OURS, SQL, App
from benchmarks.compare.goals import LEAST_SHARE
from benchmarks.compare.run import Row, Run
from benchmarks.compare.servers import find_program
from benchmarks.compare.worker import workers
from tests.servers.process import Server, free_port

SESSIONS = 64
KINDS = {"read": "/read", "write": "/change"}
SCRIPT = Path(__file__).with_name("cookies.lua")

SERVERS = {
    "waitress": ["-m", "waitress", "--threads=4", "--listen={address}", "benchmarks.compare.serve:app"],
    "gunicorn gthread": [
        *("-m", "gunicorn", "--workers=1", "--worker-class=gthread", "--threads=8", "--bind={address}"),
        *("--no-control-socket", "--log-level=error", "benchmarks.compare.serve:app"),
    ],
    "gunicorn sync": [
        *("-m", "gunicorn", "--workers=2", "--worker-class=sync", "--bind={address}"),
        *("--no-control-socket", "--log-level=error", "benchmarks.compare.serve:app"),
    ],
}
PROCESSES = {"gunicorn sync": 2}
ELSEWHERE = ("memory", "memcached", "postgresql", "cached_sql")
"""What is measured on gunicorn too."""


Samples = dict[tuple[App, str], list[Row]]


class HTTPServer(Server):
    """One application, served by one of the WSGI servers on a loopback port."""

    def __init__(self, name: str, app: App, run: Run) -> None:
        self.app = app
        self.address = f"127.0.0.1:{free_port()}"
        self.cookies = run.folder / f"cookies-{self.address.rpartition(':')[2]}"
        # A bare view is sent a cookie too: reading a header is the server's work.
        self.cookies.write_text(f"session={'x' * 100}\n")
        command = [sys.executable, *(word.format(address=self.address) for word in SERVERS[name])]
        environment = {"BENCHMARK_APP": json.dumps(app[:3]), "BENCHMARK_ADDRESSES": json.dumps(run.addresses)}
        super().__init__(command, self._answer, run.folder / f"http-{self.address.rpartition(':')[2]}.log", environment)

    def fill(self) -> None:
        """Make the sessions, whose cookies ``wrk`` sends."""
        made = [dict(self._get("/fill"))["set-cookie"].partition(";")[0] for _ in range(SESSIONS)]
        self.cookies.write_text("".join(f"{cookie}\n" for cookie in made))

    def stop(self, signum: int = signal.SIGKILL) -> None:
        # All of its processes at once: a master would take its time, and nothing of theirs is needed any more.
        self._signal(signum)
        super().stop(signum)

    def _answer(self) -> None:
        self._get("/plain")

    def _get(self, path: str) -> list[tuple[str, str]]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": "localhost"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise ConnectionError(f"{path} answered {answer.status}")
            return [(name.lower(), value) for name, value in answer.getheaders()]
        finally:
            connection.close()


def measure(run: Run, others: set[int]) -> list[Row]:
    """``others`` are the cores that nothing else has: those of ``wrk``."""
    wrk = find_program("wrk")
    if wrk is None:
        run.say("wrk is not installed (Debian's package wrk): what it measures is left out")
        return []
    rows = []
    for name in SERVERS:
        with ExitStack() as stack:
            started = list(_started(run, name, stack))
            samples = _measured(run, started, wrk, others)
        rows += _rows(samples, name)
        run.say(f"http, {name}: {_told(rows, name)}")
    return rows


def _started(run: Run, name: str, stack: ExitStack) -> Iterator[HTTPServer]:
    apps = [app for app in run.apps if _applies(app, name)]
    if PROCESSES.get(name, 1) > 1:
        # Tables are made here, and not by processes that race.
        with workers([app for app in apps if set(app.needs) & set(SQL)], run.addresses, run.say):
            pass
    for app in apps:
        try:
            server = stack.enter_context(HTTPServer(name, app, run))
            if not app.bare:
                server.fill()
        except (AssertionError, OSError) as error:
            run.say(f"left out: {app.name} on {name}: {str(error).strip().splitlines()[-1]}")
            continue
        yield server


def _applies(app: App, name: str) -> bool:
    """Every library on waitress; on the others ours and its floor, in memory where there is one process."""
    if name == "waitress":
        return True
    if app.bare:
        return app.framework == "Pyramid"
    too_many = app.store == "memory" and PROCESSES.get(name, 1) > 1
    return app.library in (OURS, FLOOR) and app.store in ELSEWHERE and not too_many


def _measured(run: Run, started: list[HTTPServer], wrk: str, others: set[int]) -> Samples:
    """Each rate with its share of the bare view's that was measured just before."""
    samples: Samples = {}
    for _ in range(1 if run.quick else 3):
        bare: dict[str, float] = {}
        for server in _in_turns(started):
            app = server.app
            for kind, path in ({"bare": "/plain"} if app.bare else KINDS).items():
                row = _wrk(wrk, server, path, others)
                if app.bare:
                    bare[app.framework] = row["rate"]
                row["share"] = row["rate"] / bare[app.framework]
                samples.setdefault((app, kind), []).append(row)
    return samples


def _in_turns(started: list[HTTPServer]) -> Iterator[HTTPServer]:
    """By store, with the bare views of their frameworks before each: what disturbs the machine disturbs all alike."""
    stores = dict.fromkeys(server.app.store for server in started if not server.app.bare)
    for store in stores:
        group = [server for server in started if server.app.store == store]
        frameworks = {server.app.framework for server in group}
        yield from (server for server in started if server.app.bare and server.app.framework in frameworks)
        yield from group


def _wrk(wrk: str, server: HTTPServer, path: str, others: set[int]) -> Row:
    command = [wrk, "-t1", f"-c{SESSIONS}", "-d1s", "-s", str(SCRIPT), f"http://{server.address}{path}", "--"]
    done = subprocess.run(
        [*command, str(server.cookies)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, others),
    )
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"rate": told["requests"] / told["microseconds"] * 1e6, "failed": told["failed"], "p99": told["p99"]}


def _rows(samples: Samples, name: str) -> list[Row]:
    middle = {
        (app.library, app.store, app.framework, kind): {
            "rate": statistics.median(row["rate"] for row in taken),
            "share": statistics.median(row["share"] for row in taken),
            "p99": statistics.median(row["p99"] for row in taken),
            "failed": sum(row["failed"] for row in taken),
        }
        for (app, kind), taken in samples.items()
    }
    floor = middle.get((FLOOR, "memcached", "Pyramid", "read"), {}).get("share")
    least = {("memory", "read"): LEAST_SHARE, ("memory", "write"): LEAST_SHARE, ("memcached", "read"): floor}
    rows = []
    for (library, store, framework, kind), row in middle.items():
        held = least.get((store, kind)) if library == OURS and name == "waitress" else None
        told = {"server": name, "library": library, "store": store, "framework": framework, "kind": kind}
        rows.append({**told, **row, "least": held})
    return rows


def _told(rows: list[Row], name: str) -> str:
    ours = [row for row in rows if row["server"] == name and row["library"] == OURS]
    told = ", ".join(f"{row['store']} {row['kind']} {row['share']:.2f} of bare" for row in ours)
    return told or "none of ours"
