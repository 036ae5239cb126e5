"""Through the application as a visitor goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import fill_in, log_in, log_out, place, sign_up

pytestmark = pytest.mark.servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

PUT_LOCATION = """location => fetch("/api/me", {
  method: "PUT",
  headers: {
    "Content-Type": "application/json",
    "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content,
  },
  body: JSON.stringify({name: "Ada", location}),
}).then(answer => answer.json())"""


def test_from_the_sign_up_to_the_logout_and_back(page: Page) -> None:
    sign_up(page)
    assert place(page) == "/dashboard"
    assert page.inner_text("[role=status]") == "Welcome, Eve."
    log_out(page)
    assert page.inner_text("[role=status]") == "You are logged out."

    page.click(".who >> text=Log in")
    log_in(page, "eve@example.com", "a long one")
    assert page.inner_text("h1") == "Hello, Eve"

    page.click("main >> text=Profile")
    fill_in(page, "Save", location="Turin")
    assert page.inner_text("[role=status]") == "Your profile is saved."
    assert page.input_value("[name=location]") == "Turin"

    page.click("nav >> text=Messages")
    fill_in(page, "Save", text="My secret plan")
    assert "My secret plan" in page.inner_text("main")
    page.evaluate("localStorage.setItem('draft', 'My secret plan')")
    log_out(page)
    assert page.evaluate("localStorage.length") == 0

    seen = []
    for _ in range(5):
        page.go_back()
        seen.append(place(page))
        shown = page.content()
        assert "Eve" not in shown
        assert "Turin" not in shown
        assert "My secret plan" not in shown
        assert page.locator(".who >> text=Log in").count() == 1
    assert any(path.startswith("/login?next=") for path in seen)


@pytest.mark.parametrize("path", ["/messages?page=2&by=name", "/profile", "/admin"])
def test_a_deep_link_leads_through_the_login_to_where_it_points(page: Page, path: str) -> None:
    page.goto(path)
    assert place(page).startswith("/login?next=")
    log_in(page, password="wrong")
    assert page.inner_text("[role=alert]") == "This e-mail address and password do not go together."
    log_in(page)

    assert place(page) == path


def test_a_login_page_with_a_foreign_destination_stays_here(page: Page, address: str) -> None:
    page.goto("/login?next=//evil.example")
    log_in(page)

    assert page.url == f"{address}/dashboard"


def test_the_cart_survives_the_login(page: Page) -> None:
    page.goto("/cart")
    page.fill("#add-ink [name=quantity]", "2")
    page.click("#add-ink button")
    page.wait_for_selector("#in-cart-ink")
    page.click(".who >> text=Log in")
    log_in(page)
    page.click("nav >> text=Cart")

    assert page.inner_text("#in-cart-ink span.quantity") == "2"


def test_the_session_ends_with_the_browser_unless_remembered(page: Page) -> None:
    page.goto("/login")
    log_in(page)
    assert [cookie["expires"] for cookie in page.context.cookies() if cookie["name"] == "session"] == [-1]

    page.goto("/login")
    page.check("[name=persistent]")
    log_in(page)
    assert page.context.cookies()[0]["expires"] > 0


def test_a_script_of_the_page_changes_the_location(page: Page) -> None:
    page.goto("/login?next=/profile")
    log_in(page)

    assert page.evaluate(PUT_LOCATION, "Turin")["location"] == "Turin"
    page.reload()
    assert page.input_value("[name=location]") == "Turin"


def test_scripts_do_not_see_the_session_cookie(page: Page) -> None:
    page.goto("/login")
    log_in(page)

    assert page.evaluate("document.cookie") == ""
