"""A picture of each page in screenshots/, and what no picture shows: errors, and pages wider than a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import fill_in, log_in, press
from tests.browser.conftest import SCREENSHOTS

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"width": 360, "height": 720}
DEVICES = [
    ("ada@example.com", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1"),
    ("ada@example.com", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"),
    ("bob@example.com", "Mozilla/5.0 (Linux; Android 14) Chrome/126.0.0.0 Mobile Safari/537.36"),
]
DESKTOP = {"width": 1100, "height": 760}
IS_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def take(page: Page, name: str, path: str | None = None) -> None:
    if path is not None:
        page.goto(path)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.set_viewport_size(PHONE)
    assert not page.evaluate(IS_TOO_WIDE), f"{name} is wider than a phone"
    page.set_viewport_size(DESKTOP)


def test_pages_for_everyone(page: Page) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    take(page, "home", "/")
    take(page, "login", "/login")
    fill_in(page, "Log in", email="ada@example.com", password="wrong")
    take(page, "login-refused")
    take(page, "signup", "/signup")
    fill_in(page, "Sign up", name="Eve", email="ada@example.com", password="a long one")
    take(page, "signup-taken")
    take(page, "cart-empty", "/cart")
    take(page, "not-found", "/nowhere")

    assert problems == []


def test_pages_for_users(page: Page) -> None:
    page.goto("/login")
    log_in(page)
    take(page, "dashboard")
    take(page, "profile", "/profile")
    take(page, "password", "/account/password")
    fill_in(page, "Change password", current="wrong", new="a new password")
    take(page, "password-wrong")
    page.goto("/messages")
    fill_in(page, "Save", text="Order ink before the pencils run out")
    fill_in(page, "Save", text="Ask Bob about the notebooks:\nlined, dotted or plain?")
    take(page, "messages")


def test_several_devices(page: Page, new_browser: Callable[..., Page]) -> None:
    for email, user_agent in DEVICES:
        other = new_browser(user_agent=user_agent)
        other.goto("/login")
        log_in(other, email)
    new_browser().goto("/")
    page.goto("/login")
    log_in(page)
    take(page, "devices", "/account/devices")
    take(page, "admin", "/admin")
    for name, path in (("devices-phone", "/account/devices"), ("admin-phone", "/admin")):
        page.goto(path)
        page.set_viewport_size(PHONE)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.set_viewport_size(DESKTOP)
    page.goto("/account/devices")
    page.click("main >> text=Log out all others")
    press(page, "Log out all others")
    take(page, "devices-others-out")


def test_a_full_cart(page: Page) -> None:
    page.goto("/cart")
    for item, quantity in (("notebook", 3), ("pencil", 12), ("ink", 1)):
        page.fill(f"#add-{item} [name=quantity]", str(quantity))
        page.click(f"#add-{item} button")
        page.wait_for_selector(f"#in-cart-{item}")
    take(page, "cart")


def test_a_page_that_is_not_for_this_user(page: Page) -> None:
    page.goto("/login?next=/admin")
    log_in(page, "bob@example.com")
    take(page, "forbidden")


def test_at_night_and_on_a_phone(page: Page) -> None:
    page.goto("/login")
    log_in(page)
    page.emulate_media(color_scheme="dark")
    take(page, "dashboard-dark")
    page.set_viewport_size(PHONE)
    page.screenshot(path=SCREENSHOTS / "dashboard-phone.png", full_page=True)
    page.goto("/cart")
    page.fill("#add-notebook [name=quantity]", "12")
    page.click("#add-notebook button")
    page.wait_for_selector("#in-cart-notebook")
    page.screenshot(path=SCREENSHOTS / "cart-phone.png", full_page=True)
