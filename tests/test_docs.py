"""The samples of the documentation, run as they are shown there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from webtest import TestApp

DOCS = Path(__file__).parent.parent / "docs"


def named_blocks(page: str) -> dict[str, str]:
    """The code blocks of a page that have a name, in the order of the page."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    blocks = {}
    for number, line in enumerate(lines):
        if line.strip().startswith(":name: ") and lines[number - 1].strip() == ".. code-block:: python":
            indented = takewhile(lambda text: not text or text.startswith("   "), lines[number + 1 :])
            blocks[line.split(":name: ")[1]] = dedent("\n".join(indented)).strip() + "\n"
    return blocks


class Tutorial:
    """The file that readers of the tutorial have at its end, or after one of its steps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.blocks = named_blocks("tutorial.rst")
        self.steps = sorted({name.split("-")[1] for name in self.blocks})
        self.modules: list[ModuleType] = []

    def write(self, last_step: str) -> str:
        """``main`` stays at the end, and a later one takes its place; all else is put above it."""
        parts, start, main = [], "", ""
        for name, block in self.blocks.items():
            if name.split("-")[1] > last_step:
                break
            if name.endswith("-main"):
                main, _, ending = block.partition("\n\nif __name__")
                start = start or f"if __name__{ending}"
            else:
                parts.append(block)
        return "\n\n".join([*parts, main, start])

    def start(self, last_step: str | None = None) -> TestApp:
        """Start it, as it is after that step."""
        step = last_step or self.steps[-1]
        name = f"tutorial_app_{step}_{len(self.modules)}"
        (self._folder / f"{name}.py").write_text(self.write(step), encoding="utf-8")
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        self.modules.append(module)
        return TestApp(module.main())


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tutorial]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    tutorial = Tutorial(tmp_path)
    yield tutorial
    for module in tutorial.modules:
        del sys.modules[module.__name__]
        if hasattr(module, "engine"):
            module.engine.dispose()


def send_credentials(browser: TestApp, address: str, email: str, status: int = 303) -> Any:
    form = browser.get(address).forms["credentials"]
    form["email"], form["password"] = email, "correct horse"
    return form.submit(status=status)


def log_out(browser: TestApp) -> None:
    assert browser.get("/cart").forms[0].submit(status=303).location == "http://localhost/"


def test_the_tutorial_works_after_each_step(tutorial: Tutorial) -> None:
    assert tutorial.steps == list("1234567")
    for step in tutorial.steps:
        assert tutorial.start(step).get("/").text == "You were here 1 times."


class TestTutorial:
    @pytest.fixture
    def browser(self, tutorial: Tutorial) -> TestApp:
        return tutorial.start()

    def test_sign_up(self, browser: TestApp) -> None:
        answer = send_credentials(browser, "/signup", "ada@example.com")
        assert answer.location == "http://localhost/dashboard"
        assert "<b>ada@example.com</b>" in answer.follow().text
        assert "There is an account" in send_credentials(browser, "/signup", "ada@example.com", 400).text
        assert "8 characters" in send_credentials(browser, "/signup", "ada", 400).text

    def test_the_gate_leads_to_the_login_and_back(self, browser: TestApp) -> None:
        send_credentials(browser, "/signup", "ada@example.com")
        log_out(browser)
        gate = browser.get("/dashboard?tab=2", status=303)
        assert gate.location == "http://localhost/login?next=%2Fdashboard%3Ftab%3D2"
        send_credentials(browser, gate.location, "bob@example.com", 400)
        answer = send_credentials(browser, gate.location, "ada@example.com")
        assert answer.location == "http://localhost/dashboard?tab=2"
        assert answer.follow().status_int == 200
        elsewhere = send_credentials(browser, "/login?next=//evil.example", "ada@example.com")
        assert elsewhere.location == "http://localhost/dashboard"

    def test_the_way_back_outlives_the_choice_to_sign_up(self, browser: TestApp) -> None:
        page = browser.get("/login?next=/cart&x=1").click("sign up")
        assert page.request.path_qs == "/signup?next=/cart&x=1"

    def test_put_changes_the_own_row_alone(self, tutorial: Tutorial, browser: TestApp) -> None:
        for email in ("bob@example.com", "ada@example.com"):
            send_credentials(browser, "/signup", email)
        form = browser.get("/dashboard").forms["location"]
        token = {"X-CSRF-Token": form["csrf_token"].value}
        assert browser.put_json("/me?id=1", {"location": "<Turin>", "id": 1}, headers=token).json == {"updated": 1}
        assert browser.get("/dashboard").forms["location"]["location"].value == "<Turin>"
        with tutorial.modules[0].engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT email, location FROM users ORDER BY id").all()
        assert rows == [("bob@example.com", ""), ("ada@example.com", "<Turin>")]
        browser.put_json("/me", {"location": "Turin"}, status=400)
        for body in (b"{", b"[]", b'{"location": 1}', b"\xff"):
            browser.put("/me", body, headers=token, content_type="application/json", status=400)

    @pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
    def test_put_of_nobody(self, browser: TestApp, accept: str) -> None:
        browser.put_json("/me", {"location": "Turin"}, headers={"Accept": accept}, status=401)

    def test_the_cart_outlives_the_login_but_not_the_logout(self, browser: TestApp) -> None:
        for _ in range(2):
            page = browser.get("/cart").forms["cart"].submit("item", index=0, status=303)
        assert "<ul><li>2 apples</li></ul>" in page.follow().text
        send_credentials(browser, "/signup", "ada@example.com")
        assert "<li>2 apples" in browser.get("/cart").text
        log_out(browser)
        assert "<li>" not in browser.get("/cart").text
        browser.get("/dashboard", status=303)

    def test_a_restart_logs_nobody_out(self, tutorial: Tutorial, browser: TestApp) -> None:
        browser.get("/")
        send_credentials(browser, "/signup", "ada@example.com")
        browser.app = tutorial.start().app
        assert "ada@example.com" in browser.get("/dashboard").text
        assert browser.get("/").text == "You were here 2 times."
