"""What survives a restart, and what several starts at once do."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select, text
from webtest import TestApp

from example_app import demo
from example_app.models import User, get_engine, get_session_factory
from tests.functional.browsing import log_in, user_shown, views_shown
from tests.functional.conftest import AppStarter


def test_login_and_count_survive(start_app: AppStarter) -> None:
    browser = TestApp(start_app())
    browser.get("/")
    log_in(browser)

    browser.app = start_app()
    page = browser.get("/")
    assert user_shown(page) == "Ada"
    assert views_shown(page) == 2


def test_what_became_of_a_demo_user_survives(start_app: AppStarter) -> None:
    app = start_app()
    with app.registry["dbsession_factory"].begin() as dbsession:
        dbsession.scalar(select(User).where(User.email == "ada@example.com")).name = "Ada Lovelace"

    browser = TestApp(start_app())
    log_in(browser)
    assert user_shown(browser.get("/")) == "Ada Lovelace"


def test_the_terminal_is_told_whom_to_log_in_as(start_app: AppStarter, capsys: pytest.CaptureFixture[str]) -> None:
    start_app()

    assert capsys.readouterr().out == "Demo users: ada@example.com and bob@example.com with the password: demo\n"


def test_a_database_of_an_earlier_version_is_named_with_the_cure(tmp_path: Path) -> None:
    engine = get_engine({"sqlalchemy.url": f"sqlite:///{tmp_path}/example.sqlite"})
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT, password_hash TEXT)")
        )
    with pytest.raises(
        RuntimeError, match=r"example\.sqlite.* lacks location, password_id, role: delete that database"
    ):
        demo.prepare(get_session_factory(engine))
    engine.dispose()


def test_processes_that_start_at_once_make_each_user_once(tmp_path: Path) -> None:
    settings = {"sqlalchemy.url": f"sqlite:///{tmp_path}/example.sqlite"}
    engines = [get_engine(settings) for _ in range(4)]
    together = Barrier(len(engines))

    def start(session_factory: object) -> None:
        together.wait()
        demo.prepare(session_factory)

    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(start, map(get_session_factory, engines)))
    with get_session_factory(engines[0])() as dbsession:
        assert sorted(dbsession.scalars(select(User.email))) == sorted(demo.USERS)
    for engine in engines:
        engine.dispose()
