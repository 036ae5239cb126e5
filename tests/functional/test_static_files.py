from pathlib import Path

import pytest
from webtest import TestApp

from example_app.static_files import version


def stylesheet(browser: TestApp) -> str:
    return str(browser.get("/").html.select_one("link[rel=stylesheet]")["href"])


def test_a_browser_keeps_them_for_a_year(browser: TestApp) -> None:
    answer = browser.get(stylesheet(browser))

    assert answer.content_type == "text/css"
    assert answer.cache_control.max_age == 365 * 86400


def test_a_changed_file_has_another_url(browser: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stylesheet(browser)
    assert stylesheet(browser) == before
    monkeypatch.setattr("example_app.static_files.version", lambda path, changed: "another")

    assert stylesheet(browser) != before


def test_the_version_is_what_the_file_contains(tmp_path: Path) -> None:
    path = tmp_path / "site.css"
    path.write_text("old")
    old = version(path, 1)
    path.write_text("new")
    new = version(path, 2)
    path.write_text("old")

    assert version(path, 3) == old != new
