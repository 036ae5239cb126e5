"""Through the application with the keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import place

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

HAS_FOCUS = "selector => document.activeElement.matches(selector)"
SHOWS_FOCUS = """() => {
  const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
  return outlineStyle !== "none" && outlineWidth !== "0px";
}"""
MENU = ".menu summary"


def tab_to(page: Page, selector: str) -> None:
    """Go on with the Tab key, as far as needed. Whatever is on the way shows that it has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(SHOWS_FOCUS), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(HAS_FOCUS, selector):
            return
    pytest.fail(f"The Tab key does not lead to {selector}")


def press(page: Page, key: str) -> None:
    with page.expect_navigation():
        page.keyboard.press(key)


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    page.goto("/login")
    page.wait_for_function(HAS_FOCUS, arg="[name=email]")
    page.keyboard.type("ada@example.com")
    tab_to(page, "[name=password]")
    page.keyboard.type("demo")
    press(page, "Enter")
    assert place(page) == "/dashboard"

    tab_to(page, MENU)
    page.keyboard.press("Space")
    tab_to(page, ".sheet a[href='/profile']")
    press(page, "Enter")
    assert place(page) == "/profile"
    assert page.evaluate(HAS_FOCUS, "[name=name]")

    tab_to(page, "[name=location]")
    page.keyboard.type("Turin")
    press(page, "Enter")
    assert page.inner_text("[role=status]") == "Your profile is saved."

    page.goto("/")
    tab_to(page, MENU)
    page.keyboard.press("Enter")
    tab_to(page, "#logout button")
    press(page, "Enter")
    assert page.inner_text("[role=status]") == "You are logged out."


def test_the_first_thing_leads_past_the_header(page: Page) -> None:
    page.goto("/")
    tab_to(page, ".skip")
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    tab_to(page, "a")

    assert page.evaluate(HAS_FOCUS, "main a")


def test_the_menu_closes_with_escape_and_a_click_elsewhere(page: Page) -> None:
    page.goto("/login")
    page.fill("[name=email]", "ada@example.com")
    page.fill("[name=password]", "demo")
    press(page, "Enter")
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.click("h1")):
        page.click(MENU)
        assert page.is_visible("#logout")
        close()
        assert not page.is_visible("#logout")


def test_the_focus_is_where_one_goes_on_writing(page: Page) -> None:
    page.goto("/signup")
    assert page.evaluate(HAS_FOCUS, "[name=name]")
    page.fill("[name=name]", "Eve")
    page.fill("[name=email]", "ada@example.com")
    page.fill("[name=password]", "a long one")
    press(page, "Enter")

    assert page.evaluate(HAS_FOCUS, "[name=email]")
