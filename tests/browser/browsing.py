"""What a visitor does with keyboard and mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page


def fill_in(page: Page, button: str, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"main [name={name}]", value)
    press(page, button)


def press(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.click(f"button:text-is('{button}')")


def log_in(page: Page, email: str = "ada@example.com", password: str = "demo") -> None:
    fill_in(page, "Log in", email=email, password=password)


def log_out(page: Page) -> None:
    page.click(".menu summary")
    with page.expect_navigation():
        page.click("#logout button")


def sign_up(page: Page, name: str = "Eve", email: str = "eve@example.com") -> None:
    page.goto("/signup")
    fill_in(page, "Sign up", name=name, email=email, password="a long one")


def place(page: Page) -> str:
    """The address without the host."""
    parts = urlsplit(page.url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
