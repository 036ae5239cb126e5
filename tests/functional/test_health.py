import pytest
from webtest import TestApp

from tests.conftest import SpyStore
from tests.functional.browsing import log_in


def test_it_is_ok(browser: TestApp) -> None:
    assert browser.get("/health").json == {"status": "ok"}


@pytest.mark.parametrize("path", ["/health", "/static/site.css", "/static/icon.svg"])
def test_neither_session_nor_database_is_touched(
    browser: TestApp, spy: SpyStore, queries: list[str], path: str
) -> None:
    log_in(browser)
    spy.calls.clear()
    queries.clear()
    answer = browser.get(path)

    assert spy.calls == []
    assert queries == []
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers


def test_the_spies_see_what_does_touch_them(browser: TestApp, spy: SpyStore, queries: list[str]) -> None:
    log_in(browser)
    spy.calls.clear()
    queries.clear()
    browser.get("/dashboard")

    assert spy.calls == ["load"]
    assert len(queries) == 1
