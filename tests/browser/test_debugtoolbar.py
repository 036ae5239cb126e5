"""The panel of the debug toolbar, and its picture in the documentation, taken again:
``cp tests/browser/screenshots/debugtoolbar.png docs/howto/debugtoolbar.png``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember

from tests.browser.conftest import served
from tests.browser.looking import PHONE, SCREENSHOTS
from tests.conftest import SECRET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.servers

ATTACK = "<img src=x onerror='document.title = 1'>"


def log_in(request: Request) -> Response:
    request.session["cart"] = {"apples": 1, "pears": 2}
    return Response("<body></body>", headers=remember(request, "ada"))


def buy(request: Request) -> Response:
    request.session["cart"]["apples"] += 1
    request.session["note"] = ATTACK
    return Response("<body></body>")


@pytest.fixture
def address() -> Iterator[str]:
    settings = {"sessionkit.secret": SECRET, "debugtoolbar.includes": "pyramid_sessionkit.debugtoolbar"}
    with Configurator(settings=settings) as config:
        config.include("pyramid_debugtoolbar")
        config.include("pyramid_sessionkit")
        for view in (log_in, buy):
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__)
    with served(config.make_wsgi_app()) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    with chromium.new_context(base_url=address, viewport={"width": 1280, "height": 940}) as context:
        context.set_default_timeout(30_000)
        yield context.new_page()


def test_a_developer_sees_what_a_request_changed(page: Page) -> None:
    page.goto("/log_in")
    page.goto("/buy")
    with page.expect_popup() as opened:
        page.click("#pShowToolBarButton")
    toolbar = opened.value
    toolbar.wait_for_load_state()  # a click that comes before its scripts does nothing
    toolbar.click("#pDebugPanel-session a")
    panel = toolbar.locator("#pDebugPanel-session-content")
    assert "changed: cart, note" in panel.inner_text()
    value = panel.locator("code", has_text="{'apples': 2, 'pears': 2}")
    assert not value.is_visible()
    for summary in panel.locator("summary").all():
        summary.click()
    assert value.is_visible()
    assert ATTACK in panel.inner_text().replace("\\'", "'")
    assert toolbar.title() == "Pyramid Debug Toolbar"
    SCREENSHOTS.mkdir(exist_ok=True)
    toolbar.screenshot(path=SCREENSHOTS / "debugtoolbar.png")
    toolbar.set_viewport_size(PHONE)
    toolbar.screenshot(path=SCREENSHOTS / "debugtoolbar-phone.png", full_page=True)
