"""A look at each page, and at those that a visitor makes on the way: full, refused, with long names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pyramid_sessionkit import StoreUnavailable
from tests.browser.browsing import fill_in, log_in, sign_up
from tests.browser.looking import PHONE, Look
from tests.browser.pages import FOR_ADMINISTRATORS, FOR_EVERYONE, FOR_USERS
from tests.conftest import SpyStore

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEVICES = [
    ("ada@example.com", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1"),
    ("ada@example.com", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"),
    ("bob@example.com", "Mozilla/5.0 (Linux; Android 14) Chrome/126.0.0.0 Mobile Safari/537.36"),
]
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftschaferswessen"[:80]
LONG_EMAIL = f"{'long.' * 12}{'l' * 4}@{'a-very-long-label-of-a-domain.' * 5}example"


def ends_of_prices(page: Page) -> list[int]:
    """Where each price in the cart ends, and their total."""
    ends: list[int] = page.locator(".cart td.number:not(:has(form))").evaluate_all(
        "cells => cells.map(cell => Math.round(cell.getBoundingClientRect().right))"
    )
    assert len(ends) == 4
    return ends


def test_pages_for_everyone(look: Look) -> None:
    page = look.page
    for name, path in FOR_EVERYONE:
        look.at(name, path)
    page.goto("/login")
    fill_in(page, "Log in", email="ada@example.com", password="wrong")
    look.at("login-refused")
    page.goto("/signup")
    fill_in(page, "Sign up", name="Eve", email="ada@example.com", password="a long one")
    look.at("signup-taken")
    page.goto("/cart")
    for item, quantity in (("notebook", 12), ("pencil", 3), ("ink", 1)):
        page.fill(f"#add-{item} [name=quantity]", str(quantity))
        with page.expect_navigation():
            page.click(f"#add-{item} button")
    look.at("cart")
    assert len(set(ends_of_prices(page))) == 1
    page.set_viewport_size(PHONE)
    assert len(set(ends_of_prices(page))) == 1

    assert look.problems == []


def test_pages_for_users(look: Look, spy: SpyStore) -> None:
    page = look.page
    page.goto("/login")
    log_in(page, "bob@example.com")
    for name, path in FOR_USERS:
        look.at(name, path)
    page.goto("/account/password")
    fill_in(page, "Change password", current="wrong", new="a new password")
    look.at("password-wrong")
    page.goto("/messages")
    fill_in(page, "Save", text="Order ink before the pencils run out")
    fill_in(page, "Save", text="Ask Ada about the notebooks:\nlined, dotted or plain?")
    look.at("messages")
    page.goto("/account/tokens")
    fill_in(page, "Make a token", name="report.py")
    look.at("token-made")
    page.click(".menu summary")
    look.at("menu")
    spy.failing["load"] = StoreUnavailable("down for this test")
    look.at("outage", "/")

    assert look.problems == []


def test_pages_for_administrators(look: Look, new_browser: Callable[..., Page]) -> None:
    for email, user_agent in DEVICES:
        other = new_browser(user_agent=user_agent)
        other.goto("/login")
        log_in(other, email)
    page = look.page
    page.goto("/login")
    log_in(page)
    for name, path in FOR_ADMINISTRATORS:
        look.at(name, path)

    assert look.problems == []


def test_long_names_fit_on_a_phone(look: Look) -> None:
    page = look.page
    sign_up(page, LONG_NAME, LONG_EMAIL)
    look.at("dashboard-long-names")
    page.goto("/messages")
    fill_in(page, "Save", text=LONG_NAME * 4)
    page.click(".menu summary")
    look.at("messages-long-names")

    assert look.problems == []
