"""Every page of the documentation, in a browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations
from tests.browser.looking import DESKTOP, IS_TOO_WIDE, PHONE

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOCS = Path(__file__).parent.parent.parent / "docs"
SPILLS = """() => [...document.querySelectorAll("article *")].filter(element =>
  element.getBoundingClientRect().right > innerWidth && !element.closest("pre, .table-wrapper, .chart-box"))
  .map(element => element.outerHTML.slice(0, 100))"""
KINDS = """() => [...new Set([...document.querySelectorAll("body *")].flatMap(element =>
  [...element.classList].map(name => `${element.localName}.${CSS.escape(name)}`)))]"""
CONTRAST = "color-contrast"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation of this tree, built without a warning."""
    html = tmp_path_factory.mktemp("docs") / "html"
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", DOCS, html]
    subprocess.run(build, check=True, timeout=300)
    return html


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context() as context:
        context.set_default_timeout(30_000)
        yield context.new_page()


def paths(html: Path) -> list[str]:
    found = [path.relative_to(html).as_posix() for path in sorted(html.rglob("*.html"))]
    assert {"index.html", "tutorial.html", "reference/api.html", "search.html"} <= set(found)
    return found


def test_pages_fit_phones_and_have_contrast(page: Page, html: Path) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(f"not there: {request.url}"))
    page.on("request", lambda request: request.url.startswith("http") and problems.append(f"elsewhere: {request.url}"))
    seen: set[str] = set()
    for path in paths(html):
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)
        page.goto((html / path).as_uri())
        found = [f"on a phone: {spilling}" for spilling in page.evaluate(SPILLS)]
        # What is around the article is the same on every page.
        found += violations(page, skipped=[CONTRAST], within=["article"] if seen else [])
        # Colours go by the kind of an element: to look at all of every page takes most of the time, for nothing.
        new_kinds = sorted(set(page.evaluate(KINDS)) - seen)
        seen.update(new_kinds)
        if new_kinds:
            found += violations(page, CONTRAST, within=new_kinds)
        page.set_viewport_size(DESKTOP)
        if page.evaluate(IS_TOO_WIDE):
            found.append("on a desktop: too wide")
        page.emulate_media(color_scheme="dark")
        if new_kinds:
            found += [f"in the dark: {problem}" for problem in violations(page, CONTRAST, within=new_kinds)]
        problems += [f"{path} {problem}" for problem in found]
    assert problems == []


def test_the_button_copies_what_was_typed_alone(page: Page, html: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto((html / "howto/psessions.html").as_uri())
    block = page.locator(".highlight-console", has_text="revoke a31F")
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert [line for line in copied if line] == [
        f"psessions development.ini revoke {what}" for what in ("a31F", "--user 2", "--all")
    ]
