"""Pyramid with no session, with ours, with one of twenty lines, and with other libraries' sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from benchmarks.compare.contents import CONTENTS, SECRET, total


def plain(request: Request) -> Response:
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


def add(request: Request) -> Response:
    name = "n" + request.GET["who"]
    request.session[name] = request.session.get(name, 0) + 1
    return Response("ok")


def count(request: Request) -> Response:
    return Response(str(total(request.session)))


VIEWS = {"/plain": plain, "/read": read, "/change": change, "/fill": fill, "/add": add, "/count": count}


def application(
    configure: Callable[[Configurator], object], settings: dict[str, Any] | None = None, views: dict[str, Any] = VIEWS
) -> Any:
    config = Configurator(settings=settings or {})
    for path, view in views.items():
        config.add_route(path, path)
        config.add_view(view, route_name=path)
    configure(config)
    return config.make_wsgi_app()


def bare(addresses: dict[str, str], store: str) -> Any:
    return application(lambda config: None)


def ours(addresses: dict[str, str], store: str) -> Any:
    named = {f"sessionkit.{name}": value for name, value in our_settings(addresses, store).items()}
    return application(lambda config: config.include("pyramid_sessionkit"), named)


def our_settings(addresses: dict[str, str], store: str) -> dict[str, Any]:
    """The settings of one of our stores, without their prefix. Each has a table of its own."""
    settings: dict[str, Any] = {"secret": SECRET, "store": "sql" if store in addresses["sql"].split() else store}
    if store == "memory":
        settings["memory.max_sessions"] = 2_000_000
    if store in ("memcached", "cached_sql"):
        settings["memcached.servers"] = addresses["memcached"]
        settings["memcached.prefix"] = f"{store}:"
    if store == "redis":
        settings["redis.url"] = addresses["redis"]
    if settings["store"] in ("sql", "cached_sql"):
        database = "postgresql" if store == "cached_sql" else store
        settings.update({"sql.url": addresses[database], "sql.create_table": True, "sql.table": f"ours_{store}"})
    return settings


def floor(addresses: dict[str, str], store: str) -> Any:
    from benchmarks import naive
    from benchmarks.compare import floors

    makers: dict[str, Callable[[], Any]] = {
        "memory": naive.NaiveMemory,
        "memcached": lambda: naive.NaiveMemcached(addresses["memcached"]),
        "sqlite": lambda: floors.sqlite(f"{addresses['folder']}/naive.sqlite"),
        "postgresql": lambda: naive.NaivePostgreSQL(urlsplit(addresses["postgresql"]).port),
        "mariadb": lambda: floors.NaiveMariaDB(addresses["mariadb"]),
        "redis": lambda: naive.NaiveRedis(addresses["redis"]),
    }
    made = makers[store]()
    return application(lambda config: config.set_session_factory(lambda request: naive.NaiveSession(made, request)))


def signed_cookie(addresses: dict[str, str], store: str) -> Any:
    from pyramid.session import SignedCookieSessionFactory

    return application(lambda config: config.set_session_factory(SignedCookieSessionFactory(SECRET)))


def session_redis(addresses: dict[str, str], store: str) -> Any:
    from pyramid_session_redis import RedisSessionFactory

    factory = RedisSessionFactory(secret=SECRET, redis_url=addresses["redis"])
    return application(lambda config: config.set_session_factory(factory))


def beaker(addresses: dict[str, str], store: str) -> Any:
    from pyramid_beaker import session_factory_from_settings

    settings = {
        "session.type": "ext:redis",
        "session.url": addresses["redis"],
        "session.key": "session",
        "session.secret": SECRET,
        "session.lock_dir": f"{addresses['folder']}/beaker",
        "session.data_serializer": "json",
        "session.timeout": 1200,
    }
    factory = session_factory_from_settings(settings)
    return application(lambda config: config.set_session_factory(factory))
