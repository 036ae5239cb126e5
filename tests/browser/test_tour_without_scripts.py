"""Through the application in a browser that runs no JavaScript, as somebody who writes from right to left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import fill_in, log_out, place, press, sign_up

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

DIRECTION = "element => getComputedStyle(element).direction"


def direction(page: Page, selector: str) -> str:
    return str(page.locator(selector).first.evaluate(DIRECTION))


def test_everything_works_without_scripts(new_browser: Callable[..., Page]) -> None:
    page = new_browser(java_script_enabled=False)
    page.goto("/cart")
    with page.expect_navigation():
        page.click("#add-ink button")
    sign_up(page, name="עדה")
    assert place(page) == "/dashboard"
    assert direction(page, ".menu .name") == direction(page, "dd") == "rtl"

    page.click(".menu summary")
    page.click(".sheet >> text=Profile")
    assert page.input_value("[name=name]") == "עדה"
    assert direction(page, "[name=name]") == "rtl"
    fill_in(page, "Save", location="Turin")
    assert page.inner_text("[role=status]") == "Your profile is saved."
    assert direction(page, "[name=location]") == "ltr"

    page.click("nav >> text=Messages")
    fill_in(page, "Save", text="שלום")
    assert direction(page, ".rows p") == "rtl"
    press(page, "Delete")
    assert page.inner_text("[role=status]") == "The message is deleted."

    page.click("nav >> text=Cart")
    assert page.inner_text("#in-cart-ink span.quantity") == "1"
    page.goto("/nowhere")
    log_out(page)
    assert page.inner_text("[role=status]") == "You are logged out."
