"""The panel, in the pyramid_debugtoolbar of today."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.settings import PREFIX
from tests.transactions.application import Site, sqlite_urls

TOOLBAR = {"pyramid.includes": "pyramid_debugtoolbar", "debugtoolbar.includes": "pyramid_sessionkit.debugtoolbar"}
"""As an ini file has it."""
MODES = pytest.mark.parametrize("site", ["independent", "joined"], indirect=True)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    mode, settings = getattr(request, "param", "independent"), {}
    if isinstance(mode, tuple):
        mode, settings = mode
    site = Site(*sqlite_urls(tmp_path, mode), mode, None, **TOOLBAR, **settings)
    yield site
    site.close()


class Browser:
    """One browser; ``panel`` is what the toolbar shows of the last request."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.app = TestApp(site.wsgi, extra_environ={"REMOTE_ADDR": "127.0.0.1"})

    def do(self, view: Callable[[Request], Any], **options: Any) -> str:
        self._site.views["now"] = view
        self.app.get("/act?view=now", expect_errors=True, **options)
        return self.panel()

    def panel(self) -> str:
        page = self.app.get("/_debug_toolbar/").text
        return page.partition('<div id="pDebugPanel-sessionkit-content"')[2].partition('<div id="pDebugPanel-')[0]


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


def words(panel: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", panel)).split())


def put(**values: Any) -> Callable[[Request], Response]:
    def view(request: Request) -> Response:
        request.session.update(values)
        return Response("")

    return view


def look(request: Request) -> Response:
    request.session.get("cart")
    return Response("")


def fail(request: Request) -> Response:
    request.session["cart"] = 3
    raise ValueError("a bug")


@MODES
def test_what_was_changed_is_named(browser: Browser) -> None:
    shown = words(browser.do(put(cart=[1], name="x")))
    print(shown)
    assert "saved changed: cart, name" in shown
    assert "Sent Set-Cookie: the ID of the session" in shown
    shown = words(browser.do(put(cart=[1, 2])))
    print(shown)
    assert "saved changed: cart" in shown
    assert "cart changed Show Before: [1] After: [1, 2]" in shown
    print(words(browser.do(look)))
    print(words(browser.do(lambda request: Response(""))))
    print(words(browser.do(fail)))
    print(words(browser.do(lambda request: Response("", headers=remember(request, "7")))))
    print(words(browser.do(look)))
    print(words(browser.do(lambda request: Response("", headers=forget(request)))))
    assert 0
