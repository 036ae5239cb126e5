"""``psessions --session basket``: the sessions that ``config.add_session`` has added."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator

pytest.importorskip("rich")

from pyramid_sessionkit.scripts.psessions import main
from pyramid_sessionkit.testing import new_session
from pyramid_sessionkit.user_sessions import get_sessions
from tests.conftest import SECRET

Run = Callable[..., tuple[int, str, str]]


def app(global_config: dict[str, str], **settings: str) -> Any:
    with Configurator(settings=settings) as config:
        config.include("pyramid_sessionkit")
        config.add_session("basket")
        config.commit()
        session = new_session(get_sessions(config.registry, "basket")._persistence)
        session["item"] = "pears"
        session.save()
    return config.make_wsgi_app()


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    ini = tmp_path / "app.ini"
    ini.write_text(f"[app:main]\nuse = call:{__name__}:app\nsessionkit.secret = {SECRET}\n", encoding="utf-8")

    def run_(*arguments: str) -> tuple[int, str, str]:
        code = main([str(ini), *arguments])
        return code, *capsys.readouterr()

    return run_


def test_it_lists_the_sessions_of_that_name(run: Run) -> None:
    assert json.loads(run("--session", "basket", "--json", "count")[1])["alive"] == 1
    assert json.loads(run("--json", "count")[1])["alive"] == 0


def test_a_name_that_is_none_is_refused_with_those_there_are(run: Run) -> None:
    code, _, error = run("--session", "cart", "count")
    assert code == 2
    assert "no session 'cart'; it has basket, session. config.add_session(\"cart\") would add it" in error


def test_there_is_nothing_to_import_into_a_basket(run: Run) -> None:
    assert run("--session", "basket", "import")[0] == 1
