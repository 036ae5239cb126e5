"""The cookiecutter's application: as it is made, and with the steps of docs/howto/add.rst in each mode."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from pyramid.paster import get_appsettings
from webtest import TestApp

from pyramid_sessionkit import get_sessions
from tests.applications.steps import MODES, committed, doomed
from tests.conftest import SECRET
from tests.newcomer.newcomer import STEPS, Newcomer
from tests.test_docs import module_of

INI = {"memory": "testing.ini", "independent": "development.ini", "joined": "development.ini"}


class Site:
    """The application that is in this folder."""

    def __init__(self, folder: Path, ini: str, joined: bool) -> None:
        self.settings = get_appsettings(str(folder / ini))
        if joined:
            # As docs/howto/joined.rst says: the sessions are in the database of the application.
            del self.settings["sessionkit.sql.url"]
            self.settings["sessionkit.sql.dbsession"] = "dbsession"
        self.models = importlib.import_module("myapp.models")
        self.engine = self.models.get_engine(self.settings)
        importlib.import_module("myapp.models.meta").Base.metadata.create_all(self.engine)
        self.app = self.restart()

    def restart(self) -> Any:
        return importlib.import_module("myapp").main({}, dbengine=self.engine, **self.settings)


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    newcomer = Newcomer(tmp_path / "work")
    monkeypatch.syspath_prepend(newcomer.folder)
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    monkeypatch.setattr("argon2.PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1))
    with ExitStack() as stack:

        def make(mode: str | None) -> Any:
            if mode is not None:
                for block in STEPS:
                    if block.language != "bash":
                        newcomer.edit(block)
            site = Site(newcomer.folder, INI.get(mode or "", "testing.ini"), joined=mode == "joined")
            stack.callback(site.engine.dispose)
            return site

        yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "myapp"]:
        del sys.modules[name]


def test_the_application_is_what_it_is_without_us(make_site: Any) -> None:
    site = make_site(None)
    with doomed(site.app, site.models.get_tm_session) as (browser, dbsession):
        dbsession.add(site.models.MyModel(name="one", value=55))
        dbsession.flush()
        assert "one is 55" in browser.get("/")
        browser.get("/badurl", status=404)
    TestApp(site.app).get("/", status=500)


def log_in(browser: TestApp) -> Any:
    form = browser.get("/account", status=303).follow().form
    form["name"], form["password"] = "ada", "correct horse"
    return form.submit(status=303).follow()


def add_ada(site: Any, dbsession: Any) -> None:
    ada = site.models.User(name="ada")
    ada.set_password("correct horse")
    dbsession.add(ada)
    dbsession.flush()


@pytest.mark.parametrize("mode", MODES)
def test_its_fixtures_keep_a_login(make_site: Any, mode: str) -> None:
    """Also the test that the page has people write passes; in joined mode nothing is left."""
    site = make_site(mode)
    sessions = get_sessions(site.app.registry)
    with doomed(site.app, site.models.get_tm_session) as (browser, dbsession):
        module_of("howto/add.rst", "add-test").test_login_and_logout(browser, dbsession)
        assert sessions.count() == 0
        log_in(browser)
        assert "You are ada." in browser.get("/account")
        assert sessions.count() == (0 if mode == "joined" else 1)
    browser.extra_environ = {"HTTP_HOST": "example.com"}
    browser.get("/account", status=303)
    assert sessions.count() == 0


@pytest.mark.parametrize("mode", ["independent", "joined"])
def test_its_logins_outlive_a_restart(make_site: Any, mode: str) -> None:
    site = make_site(mode)
    with committed(site.app, site.models.get_tm_session) as dbsession:
        add_ada(site, dbsession)
    browser = TestApp(site.app)
    log_in(browser)
    browser.app = site.restart()
    page = browser.get("/account")
    assert "You are ada." in page
    page.form.submit(status=303)
    browser.get("/account", status=303)
    assert get_sessions(site.app.registry).count() == 0
