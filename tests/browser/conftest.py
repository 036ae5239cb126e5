"""example_app on a server of its own, and a browser that visits it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from pyramid.router import Router

from tests.browser.looking import DESKTOP, Look
from tests.functional.conftest import (
    AppStarter,
    cheap_hashes,
    demo_database,
    described_once,
    ini_settings,
    spy,
    start_app,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["cheap_hashes", "demo_database", "described_once", "ini_settings", "spy", "start_app"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEEDED = {
    "pip install playwright": find_spec("playwright"),
    "pip install axe-playwright-python": find_spec("axe_playwright_python"),
    "apt-get install chromium": CHROMIUM,
}


def pytest_runtest_setup() -> None:
    missing = " and ".join(cure for cure, found in NEEDED.items() if not found)
    if missing:
        # Where everything should be there, a test that did not run is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"The tests in a browser need: {missing}")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Playwright turns off what the Back button of a real browser uses.
        back = ["--disable-back-forward-cache"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET, ignore_default_args=back)
        yield browser
        browser.close()


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """waitress cannot be stopped from another thread, and is not what is tested here."""

    daemon_threads = True  # Chromium keeps connections open on which it asks for nothing


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def app(start_app: AppStarter) -> Router:
    return start_app()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of a server with this application."""
    server = make_server("127.0.0.1", 0, app, server_class=ThreadingServer, handler_class=QuietHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def address(app: Router) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.fixture
def new_browser(chromium: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Makes browsers that share nothing, in which addresses are relative to the application's."""
    contexts = []

    def make(**options: Any) -> Page:
        context = chromium.new_context(base_url=address, viewport=DESKTOP, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_browser: Callable[..., Page]) -> Page:
    """A new browser."""
    return new_browser()


@pytest.fixture
def look(page: Page) -> Look:
    """Looks at what is in the new browser."""
    return Look(page)
