"""example_app as waitress serves it, and a browser that visits it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from pyramid.router import Router
from waitress.server import create_server

from tests.functional.conftest import app, cheap_hashes, demo_database, ini_settings, start_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["app", "cheap_hashes", "demo_database", "ini_settings", "start_app"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).with_name("screenshots")


NEEDED = {"pip install playwright": find_spec("playwright"), "apt-get install chromium": CHROMIUM}


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


@pytest.fixture
def address(app: Router) -> Iterator[str]:
    server = create_server(app, host="127.0.0.1", port=0)
    thread = Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join()
    server.task_dispatcher.shutdown()


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """A new browser, in which addresses are relative to the application's."""
    context = chromium.new_context(base_url=address, viewport={"width": 1100, "height": 760})
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()
