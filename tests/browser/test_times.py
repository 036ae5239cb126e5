"""Times are those of the visitor's clock, where there is JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.browser.browsing import log_in

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOKYO = "Asia/Tokyo"


def first_time(page: Page) -> tuple[datetime, str]:
    """The first time on the devices page: what it is, and what is shown."""
    page.goto("/login?next=/account/devices")
    log_in(page)
    time = page.locator("main time").first
    return datetime.fromisoformat(time.get_attribute("datetime") or ""), time.inner_text()


def test_they_are_shown_in_the_zone_of_the_visitor(new_browser: Callable[..., Page]) -> None:
    page = new_browser(timezone_id=TOKYO, locale="en-GB")
    moment, shown = first_time(page)
    there = moment.astimezone(ZoneInfo(TOKYO))

    assert shown.endswith(f"{there:%Y, %H:%M}")
    assert page.locator("main time").first.get_attribute("title") == f"{moment:%d %b %Y, %H:%M} UTC"


def test_without_javascript_they_are_in_utc_and_say_so(new_browser: Callable[..., Page]) -> None:
    moment, shown = first_time(new_browser(timezone_id=TOKYO, java_script_enabled=False))

    assert shown == f"{moment.astimezone(timezone.utc):%d %b %Y, %H:%M} UTC"
