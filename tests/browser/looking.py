"""Looking at a page as it is now: a picture of it, and what is wrong on a desk, on a phone, by day and by night."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.axe import violations

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Response, ViewportSize

SCREENSHOTS = Path(__file__).with_name("screenshots")
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

IS_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
# Day and night differ in nothing else that axe looks at.
CONTRAST = "color-contrast"


class Look:
    """Goes on with one visit of a page: to load it again for each size and colour scheme takes most of the time."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("console", self._note_message)
        page.on("response", self._note_response)

    def at(self, name: str, path: str | None = None) -> None:
        """``name`` is that of the pictures. Without a path: at the page where the browser is."""
        page = self.page
        if path is not None:
            page.goto(path)
        page.evaluate("window.scrollTo(0, 0)")
        self._take(name)
        self._check(name)
        page.set_viewport_size(PHONE)
        self._check(f"{name} on a phone")
        if page.evaluate(IS_TOO_WIDE):
            self.problems.append(f"{name} is wider than a phone")
        page.emulate_media(color_scheme="dark")
        self._take(f"{name}-phone-dark")
        self._check(f"{name} on a phone at night", CONTRAST)
        page.set_viewport_size(DESKTOP)
        self._check(f"{name} at night", CONTRAST)
        page.emulate_media(color_scheme="light")

    def _take(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def _check(self, where: str, *rules: str) -> None:
        self.problems += [f"{where}: {violation}" for violation in violations(self.page, *rules)]

    def _note_message(self, message: ConsoleMessage) -> None:
        # What the Content-Security-Policy forbids is one of them. That a page is not found is what some tests are for.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"{self.page.url}: {message.text}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self.problems.append(f"{response.status} for {response.url}")
