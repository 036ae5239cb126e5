"""example_app as development.ini makes it, on SQLite files of the test's own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.interfaces import ISessionFactory
from pyramid.paster import get_appsettings
from pyramid.router import Router
from sqlalchemy import Engine, event
from webtest import TestApp

import example_app
from example_app import demo
from example_app.models import get_engine, get_session_factory
from pyramid_sessionkit.persistence import Persistence
from tests.conftest import SpyStore

INI = Path(example_app.__file__).with_name("development.ini")

AppStarter = Callable[[], Router]


def persistence_of(app: Router) -> Persistence:
    return app.registry.getUtility(ISessionFactory).persistence


def database_of(app: Router) -> Engine:
    return app.registry["dbsession_factory"].kw["bind"]


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application's database with the demo users, whose passwords take long to hash: to be copied."""
    path = tmp_path_factory.mktemp("demo") / "example.sqlite"
    engine = get_engine({"sqlalchemy.url": f"sqlite:///{path}"})
    demo.prepare(get_session_factory(engine))
    engine.dispose()
    return path


@pytest.fixture
def start_app(tmp_path: Path, demo_database: Path) -> Iterator[AppStarter]:
    """Starts the application, each time on the same files: as a restart does."""
    shutil.copy(demo_database, tmp_path)
    apps: list[Router] = []

    def start() -> Router:
        settings = get_appsettings(str(INI))
        settings["sqlalchemy.url"] = f"sqlite:///{tmp_path}/example.sqlite"
        settings["sessionkit.sql.url"] = f"sqlite:///{tmp_path}/sessions.sqlite"
        app = example_app.main({}, **settings)
        apps.append(app)
        return app

    yield start
    for app in apps:
        database_of(app).dispose()
        persistence_of(app).store.close()


@pytest.fixture
def app(start_app: AppStarter) -> Router:
    return start_app()


@pytest.fixture
def browser(app: Router) -> TestApp:
    return TestApp(app)


@pytest.fixture
def spy(app: Router) -> SpyStore:
    """The store of the application's sessions: notes its calls, and fails where it is told to."""
    persistence = persistence_of(app)
    persistence.store = SpyStore(persistence.store)
    return persistence.store


@pytest.fixture
def queries(app: Router) -> Iterator[list[str]]:
    """The statements that the application's own database is sent."""
    engine = database_of(app)
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)
