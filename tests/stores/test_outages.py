"""Servers that are killed, frozen, restarted or silent: never a logout, never a login, never a false success."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from sqlalchemy import make_url
from webtest import TestApp

from pyramid_sessionkit.stores import breaker
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.copies import Cache
from pyramid_sessionkit.stores.memcached import MemcachedStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from tests.conftest import SECRET
from tests.servers.mariadb import MariaDB
from tests.servers.memcached import Memcached
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import Server
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis
from tests.stores.emptying import make_empty

# PyMySQL leaves its socket to the garbage collector when it cannot connect.
pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TIMEOUT = 1
BOUND = 10
"""Seconds: connecting and answering may each take the time-out, and a busy machine some more; a hang takes for ever."""


PAUSE = 0.1
"""For so long, and not for a second, nobody asks a database that let two requests wait in vain."""


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "PAUSE", PAUSE)


@dataclass
class Setup:
    server: Server
    open_store: Callable[[int | None], Any]
    """With a port: as reached through a proxy there."""
    durable: bool


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Servers of this module alone, started when first asked for."""
    started: dict[str, Any] = {}
    yield started
    for server in started.values():
        server.stop()


def victim(kind: Any, victims: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    if kind.__name__ not in victims:
        victims[kind.__name__] = kind(tmp_path_factory.mktemp(kind.__name__)).__enter__()
    return victims[kind.__name__]


@pytest.fixture(params=["memcached", "postgresql", "mariadb", "cached_sql", "redis"])
def setup(
    request: pytest.FixtureRequest,
    victims: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    memcached: Memcached,
) -> Iterator[Setup]:
    if request.param == "memcached":
        server = victim(Memcached, victims, tmp_path_factory)

        def open_store(port: int | None = None) -> Any:
            return MemcachedStore(Nodes([f"127.0.0.1:{port or server.port}"], TIMEOUT))
    elif request.param == "redis":
        server = victim(Redis, victims, tmp_path_factory)

        def open_store(port: int | None = None) -> Any:
            return RedisStore(f"redis://127.0.0.1:{port or server.port}/0", TIMEOUT)
    else:
        server = victim(MariaDB if request.param == "mariadb" else PostgreSQL, victims, tmp_path_factory)

        def open_store(port: int | None = None) -> Any:
            url = make_url(server.url).set(port=port or server.port).difference_update_query(["connect_timeout"])
            store = SQLStore(create_session_engine(url.render_as_string(hide_password=False), TIMEOUT))
            if request.param == "cached_sql":
                memcached.flush()
                return CachedSQLStore(store, Cache(Nodes([memcached.address], TIMEOUT), "outage:", 60))
            return store

        store = open_store()
        make_empty(store)
        store.close()
    yield Setup(server, open_store, durable=request.param not in ("memcached", "redis"))
    server.restore()


class Site:
    """An application on a store, and what a test does in the middle of a view."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.meanwhile: Callable[[], object] = lambda: None
        config = Configurator(settings={"sessionkit.secret": SECRET, "sessionkit.store": lambda _: store})
        config.include("pyramid_sessionkit")
        for name in ("login", "logout", "count", "who", "untouched"):
            config.add_route(name, f"/{name}")
            config.add_view(getattr(self, name), route_name=name)
        self.browser = TestApp(config.make_wsgi_app())

    def login(self, request: Request) -> Response:
        remember(request, "ada")
        request.session["n"] = 0
        return Response("in")

    def logout(self, request: Request) -> Response:
        assert request.authenticated_userid == "ada"
        self.meanwhile()
        forget(request)
        return Response("out")

    def count(self, request: Request) -> Response:
        request.session.apply("n", lambda n: n + 1, 0)
        self.meanwhile()
        return Response("counted")

    def who(self, request: Request) -> Response:
        return Response(f"{request.authenticated_userid} {request.session.get('n')}")

    def untouched(self, request: Request) -> Response:
        return Response("fine")

    def answers(self, path: str, status: int) -> str:
        """Ask for a page, which must not take longer than the time-outs allow nor touch the cookie."""
        cookie = self.browser.cookies.get("session")
        started = time.monotonic()
        response = self.browser.post(path, status=status)
        assert time.monotonic() - started < BOUND
        if status == 503:
            assert self.browser.cookies.get("session") == cookie
        return str(response.text)


@pytest.fixture
def site(setup: Setup) -> Iterator[Site]:
    store = setup.open_store(None)
    site = Site(store)
    site.answers("/login", 200)
    site.answers("/who", 200)
    yield site
    store.close()


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_before_the_request(setup: Setup, site: Site, memcached: Memcached, fault: str) -> None:
    if isinstance(site.store, CachedSQLStore):
        memcached.flush()
    getattr(setup.server, fault)()
    assert site.answers("/untouched", 200) == "fine"
    for path in ("/who", "/count", "/logout"):
        assert "still logged in" in site.answers(path, 503)
    recover(setup, fault)
    kept = setup.durable or fault == "freeze"
    assert site.answers("/who", 200) == ("ada 0" if kept else "None None")


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("path", ["/count", "/logout"])
def test_between_load_and_save(setup: Setup, site: Site, fault: str, path: str) -> None:
    site.meanwhile = getattr(setup.server, fault)
    assert "still logged in" in site.answers(path, 503)
    site.meanwhile = lambda: None
    recover(setup, fault)
    if fault == "freeze":
        time.sleep(0.3)  # what was on its way to the server may be carried out now
        state = site.answers("/who", 200)
        if path == "/count":
            assert state in ("ada 0", "ada 1")
    elif setup.durable:
        assert site.answers("/who", 200) == "ada 0"
        site.answers("/logout", 200)
        assert site.answers("/who", 200) == "None None"


def test_after_a_restart_nothing_needs_one(setup: Setup, site: Site) -> None:
    setup.server.stop()
    setup.server.start()
    assert site.answers("/who", 200) == ("ada 0" if setup.durable else "None None")
    if not setup.durable:
        site.answers("/login", 200)
    if isinstance(site.store, CachedSQLStore):
        # The cache answered the reads, so that the write is the first to meet the dead connection.
        site.answers("/count", 503)
    site.answers("/count", 200)
    assert site.answers("/who", 200) == "ada 1"


def test_a_restart_between_load_and_save_is_no_success_that_was_none(
    setup: Setup, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    def restart() -> None:
        setup.server.stop()
        setup.server.start()

    site.meanwhile = restart
    if setup.durable:
        site.answers("/count", 503)
        site.meanwhile = lambda: None
        assert site.answers("/who", 200) == "ada 0"
        site.answers("/count", 200)
        assert site.answers("/who", 200) == "ada 1"
    elif isinstance(site.store, RedisStore):
        # It sees that the connection is dead before it sends, and finds an empty Redis: the session has ended.
        site.answers("/count", 200)
        assert "changes were dropped" in caplog.text
    else:
        site.answers("/count", 503)


@pytest.mark.parametrize(("path", "states"), [("/count", {"ada 0", "ada 1"}), ("/logout", {"ada 0", "None None"})])
def test_a_write_whose_answer_was_lost_is_not_applied_twice(setup: Setup, path: str, states: set[str]) -> None:
    proxy = Proxy(setup.server.port)  # type: ignore[attr-defined]
    store = setup.open_store(proxy.port)
    site = Site(store)
    site.answers("/login", 200)
    site.answers("/who", 200)

    def lose() -> None:
        proxy.lose_answers = True

    site.meanwhile = lose
    site.answers(path, 503)
    proxy.lose_answers = False
    site.meanwhile = lambda: None
    assert site.answers("/who", 200) in states
    store.close()
    proxy.close()


def recover(setup: Setup, fault: str) -> None:
    if fault == "freeze":
        setup.server.thaw()
        time.sleep(PAUSE)
    else:
        setup.server.start()
