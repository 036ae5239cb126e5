"""One user in several browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import log_in, place, press

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewBrowser = Callable[..., "Page"]

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1"


def logged_in(page: Page) -> Page:
    page.goto("/login?next=/messages")
    log_in(page)
    assert place(page) == "/messages"
    return page


def test_one_browser_logs_the_other_out(page: Page, new_browser: NewBrowser) -> None:
    phone = logged_in(new_browser(user_agent=PHONE))
    logged_in(page).goto("/dashboard")
    page.click("main >> text=Devices")
    rows = page.locator("#devices tbody tr")
    assert rows.locator("th").all_inner_texts() == ["Chrome on Linux", "Safari on iPhone"]
    assert "this one" in rows.nth(0).inner_text()
    with page.expect_navigation():
        rows.nth(1).get_by_role("button").click()

    assert page.inner_text("[role=status]") == "That device is logged out."
    assert rows.count() == 1
    phone.reload()
    assert place(phone) == "/login?next=%2Fmessages&why=revoked"
    assert phone.locator(".who >> text=Ada").count() == 0
    page.reload()
    assert place(page) == "/account/devices"


def test_one_browser_logs_all_others_out(page: Page, new_browser: NewBrowser) -> None:
    others = [logged_in(new_browser()) for _ in range(2)]
    logged_in(page).goto("/account/devices")
    page.click("main >> text=Log out all others")
    press(page, "Log out all others")

    assert page.inner_text("[role=status]") == "2 other devices are logged out."
    assert page.locator("#devices tbody tr").count() == 1
    assert page.locator("main >> text=Log out all others").count() == 0
    for other in others:
        other.click("nav >> text=Dashboard")
        assert place(other) == "/login?next=%2Fdashboard&why=revoked"
    page.click("nav >> text=Dashboard")
    assert page.inner_text("h1") == "Hello, Ada"
