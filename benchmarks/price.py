"""What a session adds to a bare Pyramid view, beside a session of twenty lines on the same store."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from naive import NaiveMemcached, NaiveMemory, NaivePostgreSQL, NaiveSession, NaiveSQLite
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

App = Any
SECRET = "only-for-the-benchmark-" + "x" * 32
CONTENTS = {"user": "ada", "cart": {"apples": 3, "pears": 5}, "seen": [1, 2, 3], "_csrft_": "x" * 40}


def bare(request: Request) -> Response:
    return Response("ok")


def read(request: Request) -> Response:
    return Response(request.session.get("user") or "nobody")


def change(request: Request) -> Response:
    session = request.session
    session["n"] = session.get("n", 0) + 1
    return Response("ok")


def fill(request: Request) -> Response:
    for name, value in CONTENTS.items():
        request.session[name] = value
    return Response("ok")


VIEWS = {"/bare": bare, "/read": read, "/change": change, "/fill": fill}


def make_app(configure: Callable[[Configurator], None], settings: dict[str, Any] | None = None) -> App:
    config = Configurator(settings=settings or {})
    for path, view in VIEWS.items():
        config.add_route(path, path)
        config.add_view(view, route_name=path)
    configure(config)
    return config.make_wsgi_app()


def naive_app(store: Any) -> App:
    return make_app(lambda config: config.set_session_factory(lambda request: NaiveSession(store, request)))


def our_app(**settings: Any) -> App:
    named = {f"sessionkit.{name}": value for name, value in settings.items()}
    return make_app(lambda config: config.include("pyramid_sessionkit"), {"sessionkit.secret": SECRET, **named})


def call(app: App, path: str, cookie: str = "") -> list[tuple[str, str]]:
    environ = Request.blank(path).environ
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    sent: list[Any] = []
    b"".join(app(environ, lambda status, headers: sent.extend(headers)))
    return sent


def filled(app: App) -> str:
    headers = dict(call(app, "/fill"))
    return headers["Set-Cookie"].partition(";")[0]


def seconds_per_request(app: App, path: str, cookie: str, count: int) -> float:
    environ = Request.blank(path).environ
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    start = time.perf_counter()
    for _ in range(count):
        app(dict(environ), lambda status, headers: None)
    return (time.perf_counter() - start) / count


def compare(name: str, ours: App, theirs: App, allowed: float, rounds: int, count: int) -> None:
    cookies = {"ours": filled(ours), "theirs": filled(theirs)}
    for path in ("/read", "/change"):
        times: dict[str, list[float]] = {"bare": [], "ours": [], "theirs": []}
        for _ in range(rounds):
            times["bare"].append(seconds_per_request(theirs, "/bare", "", count))
            times["ours"].append(seconds_per_request(ours, path, cookies["ours"], count))
            times["theirs"].append(seconds_per_request(theirs, path, cookies["theirs"], count))
        base, our, their = (min(times[who]) * 1e6 for who in ("bare", "ours", "theirs"))
        spread = statistics.pstdev(times["ours"]) * 1e6
        ratio = (our - base) / (their - base)
        print(
            f"{name:<10} {path:<8} bare {base:6.1f} us   twenty lines +{their - base:6.1f} us   "
            f"ours +{our - base:6.1f} us (spread {spread:4.1f})   ratio {ratio:4.2f} of {allowed}"
        )


def untouched(ours: App, theirs: App, rounds: int, count: int) -> None:
    """A cookie that nobody looks at."""
    cookie = filled(ours)
    pairs = [
        (seconds_per_request(ours, "/bare", cookie, count), seconds_per_request(theirs, "/bare", "", count))
        for _ in range(rounds)
    ]
    our, base = min(pair[0] for pair in pairs) * 1e6, min(pair[1] for pair in pairs) * 1e6
    print(f"untouched           bare {base:6.1f} us   ours +{our - base:6.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=2000, help="requests in a round")
    parser.add_argument("--servers", action="store_true", help="also memcached and PostgreSQL, which it starts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        untouched(our_app(), naive_app(NaiveMemory()), options.rounds, options.count)
        compare("memory", our_app(), naive_app(NaiveMemory()), 1.5, options.rounds, options.count)
        sql = our_app(store="sql", **{"sql.url": f"sqlite:///{path}/ours.sqlite", "sql.create_table": True})
        naive = naive_app(NaiveSQLite(str(path / "naive.sqlite")))
        compare("sqlite", sql, naive, 2.0, options.rounds, options.count // 4)
        if options.servers:
            with_servers(path, options.rounds, options.count // 4)


def with_servers(folder: Path, rounds: int, count: int) -> None:
    from tests.servers.memcached import Memcached
    from tests.servers.postgresql import PostgreSQL

    with Memcached(folder) as memcached:
        ours = our_app(store="memcached", **{"memcached.servers": memcached.address})
        compare("memcached", ours, naive_app(NaiveMemcached(memcached.address)), 1.15, rounds, count)
    with PostgreSQL(folder) as postgresql:
        ours = our_app(store="sql", **{"sql.url": postgresql.url, "sql.create_table": True})
        compare("postgresql", ours, naive_app(NaivePostgreSQL(postgresql.port)), 1.3, rounds, count)


if __name__ == "__main__":
    main()
