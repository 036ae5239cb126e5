"""The client of docs/howto/session_header.rst, in a page of another origin than the site that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pyramid.response import Response

from tests.browser.conftest import served
from tests.session_header.documented import PAGE, cors_of_the_page, documented_application
from tests.test_docs import DOCS, blocks_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.servers

LOG_IN = """async () => {
  const form = new URLSearchParams({user: "ada", password: "right"});
  const name = (await (await call("/login", {method: "POST", body: form})).json()).name;
  return [name, await whose()];
}"""
LOG_OUT = "async () => { await call('/logout', {method: 'POST'}); return [localStorage.session, await whose()]; }"
REFUSED = "() => whose().then(() => 'read', error => error.name)"
WHOSE = "async function whose() { const r = await call('/account'); return r.ok ? (await r.json()).userid : r.status; }"


@pytest.fixture
def cors() -> Any:
    return cors_of_the_page()


@pytest.fixture
def site(cors: Any) -> Iterator[str]:
    """The address of the site that the page shows."""
    with served(documented_application(cors)) as address:
        yield address


@pytest.fixture
def new_page(chromium: Browser, site: str) -> Iterator[Callable[[], Page]]:
    """Opens a page with the client, of an origin of its own."""
    (client,) = (block.text for block in blocks_of(DOCS / PAGE) if block.language == "javascript")
    script = client.replace("export ", "").replace("https://api.example.com", site) + WHOSE
    html = f"<!doctype html><title>App</title><script>{script}</script>"
    with served(Response(html)) as origin, chromium.new_context(base_url=origin) as context:
        context.set_default_timeout(30_000)

        def open_page() -> Page:
            page = context.new_page()
            page.goto("/")
            return page

        yield open_page


def test_a_page_of_another_origin_logs_in_and_out(new_page: Callable[[], Page], cors: Any) -> None:
    page = new_page()
    cors.ORIGINS.add(page.evaluate("location.origin"))
    assert page.evaluate("whose()") == 401
    assert page.evaluate(LOG_IN) == ["Ada", "7"]
    assert page.evaluate("localStorage.session").count(".") == 2
    assert new_page().evaluate("whose()") == "7"
    assert page.context.cookies() == []
    assert page.evaluate(LOG_OUT) == ["", 401]


def test_a_page_that_is_not_allowed_cannot_call(new_page: Callable[[], Page]) -> None:
    assert new_page().evaluate(REFUSED) == "TypeError"
