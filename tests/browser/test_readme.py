"""The picture at the top of README, taken again: ``cp tests/browser/screenshots/readme.png docs/dashboard.png``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import log_in
from tests.browser.looking import SCREENSHOTS

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent.parent
SIZE = slice(16, 24)
"""Where a PNG has its width and height."""


def test_the_picture_of_readme_has_the_size_of_the_page(page: Page) -> None:
    page.goto("/login?next=/dashboard")
    log_in(page)
    SCREENSHOTS.mkdir(exist_ok=True)
    taken = page.screenshot(path=SCREENSHOTS / "readme.png")
    named = re.search(r"\.\. image:: (\S+)", (ROOT / "README.rst").read_text(encoding="utf-8"))
    assert named is not None
    assert (ROOT / named[1]).read_bytes()[SIZE] == taken[SIZE]
