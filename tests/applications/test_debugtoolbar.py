"""The panel, in the pyramid_debugtoolbar of today."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import StoreUnavailable, get_sessions
from pyramid_sessionkit.in_use import FACTORIES
from tests.conftest import SECRET, SpyStore
from tests.transactions.application import Site, sqlite_urls

TOOLBAR = {"pyramid.includes": "pyramid_debugtoolbar", "debugtoolbar.includes": "pyramid_sessionkit.debugtoolbar"}
"""As an ini file has it."""

View = Callable[[Request], Response]


class Browser:
    """A browser of a developer, and the application that they work on."""

    def __init__(self, wsgi: Any, views: dict[str, View]) -> None:
        self._views = views
        self.app = TestApp(wsgi, extra_environ={"REMOTE_ADDR": "127.0.0.1"})

    def do(self, view: View, **options: Any) -> str:
        """What the panel says of a request for this view."""
        self._views["now"] = view
        self.app.get("/act?view=now", expect_errors=True, **options)
        return words(self.page())

    def page(self) -> str:
        """The panel of the last request."""
        page = self.app.get("/_debug_toolbar/").text
        _, opening, rest = page.partition('<div id="pDebugPanel-sessionkit-content"')
        return opening + rest.partition('<div id="pDebugPanel-')[0]


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture(params=["independent", "joined"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(*sqlite_urls(tmp_path, request.param), request.param, None, **TOOLBAR)
    yield site
    site.close()


@pytest.fixture
def site_browser(site: Site) -> Browser:
    return Browser(site.wsgi, site.views)


def start(**settings: Any) -> Browser:
    """An application in memory."""
    named = {f"sessionkit.{name}": value for name, value in settings.items()}
    basket = {"basket.store": "memory"}
    config = Configurator(settings={"sessionkit.secret": SECRET, **TOOLBAR, **basket, **named})
    config.include("pyramid_sessionkit")
    config.add_session("basket")
    views: dict[str, View] = {}
    for name in ("act", "other"):
        config.add_route(name, f"/{name}")
        config.add_view(lambda request: views[request.params["view"]](request), route_name=name)
    return Browser(config.make_wsgi_app(), views)


@pytest.fixture
def browser() -> Browser:
    return start()


def put(**values: Any) -> View:
    def view(request: Request) -> Response:
        request.session.update(values)
        return Response("")

    return view


def read(request: Request) -> Response:
    return Response(str(request.session.get("cart")))


def log_in(request: Request) -> Response:
    return Response("", headers=remember(request, "7"))


def show(browser: Browser, name: str, view: View, **options: Any) -> None:
    print(f"== {name}\n   {browser.do(view, **options)}")


def test_explore(site_browser, site) -> None:
    b = site_browser
    show(b, "put", put(cart=[1], name="x"))
    def fail(request):
        request.session["cart"] = 3
        raise ValueError("a bug")
    show(b, "fail", fail)
    def gone(request):
        request.session["cart"] = 4
        get_sessions(request.registry).end(request.session.key) if site.mode == "independent" else None
        return Response("")
    def saved_twice(request):
        request.session["cart"] = 4
        request.session.save()
        request.session["cart2"] = 4
        return Response("")
    show(b, "twice", saved_twice)
    def doomed(request):
        request.session["cart"] = 5
        request.tm.doom()
        return Response("")
    show(b, "doomed", doomed)
    def unsafe(request):
        request.session["lock"] = []
        request.session["lock"].append(object())
        return Response("")
    show(b, "unserializable", unsafe)
    def savepoint(request):
        request.session["before"] = 1
        sp = request.dbsession.begin_nested()
        request.session["in"] = 1
        request.session.save()
        sp.rollback()
        return Response("")
    show(b, "savepoint", savepoint)
    def s500(request):
        request.session["x"] = 5
        return Response("", status=500)
    show(b, "500", s500)
    def logout500(request):
        return Response("", status=500, headers=forget(request))
    show(b, "login", log_in)
    show(b, "logout500", logout500)
    show(b, "gone", gone)


def test_explore2() -> None:
    b = start()
    show(b, "token", lambda request: Response(get_csrf_token(request)))
    def other(request):
        request.session["a"] = 1
        request.basket["b"] = 1
        return Response("")
    show(b, "two", other)
    show(b, "login", log_in)
    def regen(request):
        request.session.regenerate_id()
        request.session.set_expiry(timeout=50)
        request.session.touch()
        return Response("")
    show(b, "regenerate", regen)
    show(b, "new token", lambda request: Response(request.session.new_csrf_token()))
    def stream(request):
        session = request.session
        def parts():
            yield str(session.get("a")).encode()
        return Response(app_iter=parts())
    show(b, "stream", stream)
    def stream2(request):
        def parts():
            yield str(request.session.get("a")).encode()
        return Response(app_iter=parts())
    show(b, "stream late", stream2)
    show(b, "invalidate", lambda request: (request.session.invalidate(), request.session.update(n=1), Response(""))[2])
    spy = SpyStore
    store = b.app.app.registry[FACTORIES]["session"].persistence
    real, store.store = store.store, SpyStore(store.store)
    store.store.failing["update"] = StoreUnavailable("the store is gone")
    show(b, "unavailable", put(x=1))
    store.store.failing["load"] = StoreUnavailable("the store is gone")
    show(b, "unavailable load", put(x=1))
    store.store = real
    def ended_by_other(request):
        request.session["x"] = 3
        get_sessions(request.registry).end(request.session.key)
        return Response("")
    show(b, "ended by other", ended_by_other)
    show(b, "dead", read)
    show(b, "html", put(evil="<script>alert(1)</script>" * 100))
    b = start(cookie_secure="true")
    show(b, "http", put(x=1))
    show(b, "http token", lambda request: Response(get_csrf_token(request)))
    b = start(header_name="X-Session")
    show(b, "header", put(x=1), headers={"X-Session": ""})
    b = start(save_uninitialized="true", rolling="true")
    show(b, "uninit", read)
    show(b, "rolling", read)
