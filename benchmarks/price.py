"""What a session adds to a bare Pyramid view, beside a session of twenty lines on the same store."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pyramid.request import Request

from benchmarks.compare.contents import SECRET
from benchmarks.compare.pyramid_apps import VIEWS, application, plain
from benchmarks.naive import NaiveMemcached, NaiveMemory, NaivePostgreSQL, NaiveRedis, NaiveSession, NaiveSQLite

App = Any


def bare_app() -> App:
    """Without a session, at the same paths: the routes before the one that matches take time too."""
    return application(lambda config: None, views=dict.fromkeys(VIEWS, plain))


def naive_app(store: Any) -> App:
    return application(lambda config: config.set_session_factory(lambda request: NaiveSession(store, request)))


def our_app(**settings: Any) -> App:
    named = {f"sessionkit.{name}": value for name, value in settings.items()}
    return application(lambda config: config.include("pyramid_sessionkit"), {"sessionkit.secret": SECRET, **named})


def peer_app(url: str) -> App:
    from pyramid_session_redis import RedisSessionFactory

    factory = RedisSessionFactory(secret=SECRET, redis_url=url)
    return application(lambda config: config.set_session_factory(factory))


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


def microseconds(rounds: int, count: int, **requests: tuple[App, str, str]) -> dict[str, list[float]]:
    """What each request takes, in many short rounds that alternate: ``name=(application, path, cookie)``."""
    times: dict[str, list[float]] = {name: [] for name in requests}
    for _ in range(rounds):
        for name, (app, path, cookie) in requests.items():
            times[name].append(seconds_per_request(app, path, cookie, count) * 1e6)
    return times


def report(name: str, path: str, times: dict[str, list[float]], allowed: float, floor: str = "the same") -> None:
    """``times`` of ``bare`` and ``ours``, and of ``floor_bare`` and ``floor``, with which ours are compared."""
    bare_, our, floor_bare, floor_ = (min(times[who]) for who in ("bare", "ours", "floor_bare", "floor"))
    ratio = (our - bare_) / (floor_ - floor_bare)
    print(
        f"{name:<10} {path:<10} bare {bare_:6.1f} us   twenty lines, {floor}: +{floor_ - floor_bare:6.1f} us   "
        f"ours +{our - bare_:6.1f} us (spread {statistics.pstdev(times['ours']):4.1f})   "
        f"ratio {ratio:5.2f} of {allowed}"
    )


def compare(name: str, ours: App, theirs: App, allowed: tuple[float, float], rounds: int, count: int) -> None:
    """A read and a write, beside the same of the session of twenty lines."""
    our_cookie, their_cookie = filled(ours), filled(theirs)
    without = bare_app()
    for path, most in zip(("/read", "/change"), allowed, strict=True):
        times = microseconds(
            rounds,
            count,
            bare=(without, path, our_cookie),
            ours=(ours, path, our_cookie),
            floor_bare=(without, path, their_cookie),
            floor=(theirs, path, their_cookie),
        )
        report(name, path, times, most)


def compare_unused(ours: App, theirs: App, rounds: int, count: int) -> None:
    """A cookie that nobody looks at, and a look by a visitor without one, beside a read of twenty lines."""
    our_cookie, their_cookie = filled(ours), filled(theirs)
    without = bare_app()
    for name, path, cookie, allowed in (("untouched", "/plain", our_cookie, 0.1), ("anonymous", "/read", "", 0.45)):
        times = microseconds(
            rounds,
            count,
            bare=(without, path, cookie),
            ours=(ours, path, cookie),
            floor_bare=(without, "/read", their_cookie),
            floor=(theirs, "/read", their_cookie),
        )
        report(name, path, times, allowed, "read")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--count", type=int, default=500, help="requests in a round")
    parser.add_argument("--servers", action="store_true", help="also memcached, Redis and PostgreSQL, which it starts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        compare_unused(our_app(), naive_app(NaiveMemory()), options.rounds, options.count)
        compare("memory", our_app(), naive_app(NaiveMemory()), (1.3, 1.5), options.rounds, options.count)
        sql = our_app(store="sql", **{"sql.url": f"sqlite:///{path}/ours.sqlite", "sql.create_table": True})
        naive = naive_app(NaiveSQLite(str(path / "naive.sqlite")))
        compare("sqlite", sql, naive, (1.6, 1.25), options.rounds, options.count // 4)
        if options.servers:
            with_servers(path, options.rounds, options.count // 4)


def with_servers(folder: Path, rounds: int, count: int) -> None:
    from tests.servers.memcached import Memcached
    from tests.servers.postgresql import PostgreSQL
    from tests.servers.redis import Redis

    with Memcached(folder) as memcached:
        ours = our_app(store="memcached", **{"memcached.servers": memcached.address})
        compare("memcached", ours, naive_app(NaiveMemcached(memcached.address)), (1.0, 1.0), rounds, count)
    with Redis(folder) as redis:
        naive = naive_app(NaiveRedis(redis.url))
        compare("redis", our_app(store="redis", **{"redis.url": redis.url}), naive, (1.15, 1.15), rounds, count)
        if find_spec("pyramid_session_redis"):
            compare("its peer", peer_app(redis.url), naive, (1.15, 1.15), rounds, count)
    with PostgreSQL(folder) as postgresql:
        ours = our_app(store="sql", **{"sql.url": postgresql.url, "sql.create_table": True})
        compare("postgresql", ours, naive_app(NaivePostgreSQL(postgresql.port)), (1.1, 1.1), rounds, count)


if __name__ == "__main__":
    main()
