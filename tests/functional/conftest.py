"""example_app as development.ini makes it, on SQLite files of the test's own."""

import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyramid_openapi3
import pytest
from argon2 import PasswordHasher, profiles
from pyramid.interfaces import ISessionFactory
from pyramid.paster import get_appsettings
from pyramid.router import Router
from sqlalchemy import Engine, event, select
from webtest import TestApp

import example_app
from example_app import authentication, demo, mail
from example_app.api import DESCRIPTION
from example_app.models import Message, User, get_engine, get_session_factory
from pyramid_sessionkit.persistence import Persistence
from tests.conftest import SpyStore
from tests.functional.browsing import log_in

INI = Path(example_app.__file__).with_name("development.ini")

AppStarter = Callable[..., Router]


class Mail(NamedTuple):
    to: str
    subject: str
    text: str

    def link(self) -> str:
        """The path of the one link in it."""
        (url,) = re.findall(r"https?://\S+", self.text)
        return urlsplit(url).path


def persistence_of(app: Router) -> Persistence:
    return app.registry.getUtility(ISessionFactory).persistence


def database_of(app: Router) -> Engine:
    return app.registry["dbsession_factory"].kw["bind"]


@pytest.fixture(scope="package", autouse=True)
def quick_commits() -> Iterator[None]:
    """SQLite does not wait for the disk."""

    def hurry(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", hurry)
    yield
    event.remove(Engine, "connect", hurry)


@pytest.fixture(scope="session")
def cheap_hashes() -> Iterator[None]:
    """Passwords are hashed a hundred times faster than is safe."""
    cheap = PasswordHasher.from_parameters(profiles.CHEAPEST)
    make_hash, needs_rehash = PasswordHasher.hash, PasswordHasher.check_needs_rehash

    def is_outdated(hasher: PasswordHasher, password_hash: str) -> bool:
        return needs_rehash(cheap, password_hash) and needs_rehash(hasher, password_hash)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PasswordHasher, "hash", lambda hasher, password: make_hash(cheap, password))
        patch.setattr(PasswordHasher, "check_needs_rehash", is_outdated)
        patch.setattr(authentication, "NOBODYS_HASH", make_hash(cheap, "nobody"))
        yield


@pytest.fixture(scope="session")
def described_once() -> Iterator[None]:
    """api.yaml is read and checked once, and not each time that the application starts."""
    description = pyramid_openapi3.read_from_filename(str(DESCRIPTION))
    pyramid_openapi3.validate(description[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid_openapi3, "read_from_filename", lambda path: description)
        patch.setattr(pyramid_openapi3, "validate", lambda description: None)
        yield


@pytest.fixture(scope="session")
def ini_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Those of ``development.ini``; each template is compiled once for all tests."""
    compiled = {
        "jinja2.bytecode_caching": "true",
        "jinja2.bytecode_caching_directory": str(tmp_path_factory.mktemp("templates")),
    }
    return {**get_appsettings(str(INI)), **compiled}


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory, cheap_hashes: None) -> Path:
    """The application's database with the demo users: to be copied."""
    path = tmp_path_factory.mktemp("demo") / "example.sqlite"
    engine = get_engine({"sqlalchemy.url": f"sqlite:///{path}"})
    demo.prepare(get_session_factory(engine))
    engine.dispose()
    return path


def files_in(folder: Path) -> dict[str, str]:
    """The settings that name files."""
    return {
        "sqlalchemy.url": f"sqlite:///{folder}/example.sqlite",
        "sessionkit.sql.url": f"sqlite:///{folder}/sessions.sqlite",
        "mail.top_level_directory": f"{folder}/sent_mail",
    }


def disconnect(app: Router) -> None:
    database_of(app).dispose()
    persistence_of(app).store.close()


@pytest.fixture
def start_app(
    tmp_path: Path, demo_database: Path, ini_settings: dict[str, str], described_once: None
) -> Iterator[AppStarter]:
    """Starts the application, each time on the same files: as a restart does. It takes other settings too."""
    if not (tmp_path / demo_database.name).exists():
        shutil.copy(demo_database, tmp_path)
    apps: list[Router] = []

    def start(**others: str) -> Router:
        apps.append(example_app.main({}, **ini_settings | files_in(tmp_path) | others))
        return apps[-1]

    yield start
    for app in apps:
        disconnect(app)


class SharedApp(NamedTuple):
    """An application that is started once, since that takes longer than most tests."""

    app: Router
    link: Path
    """The folder of its files: a link to that of the test which is running."""
    first: Path
    """Where they are as they were at the start."""


@pytest.fixture(scope="session")
def shared_app(
    tmp_path_factory: pytest.TempPathFactory, demo_database: Path, ini_settings: dict[str, str], described_once: None
) -> SharedApp:
    folder = tmp_path_factory.mktemp("shared")
    link, first = folder / "link", folder / "first"
    first.mkdir()
    shutil.copy(demo_database, first)
    link.symlink_to(first)
    app = example_app.main({}, **ini_settings | files_in(link))
    disconnect(app)
    return SharedApp(app, link, first)


@pytest.fixture
def app(shared_app: SharedApp, tmp_path: Path) -> Iterator[Router]:
    shutil.copytree(shared_app.first, tmp_path, dirs_exist_ok=True)
    shared_app.link.unlink()
    shared_app.link.symlink_to(tmp_path)
    yield shared_app.app
    disconnect(shared_app.app)


@pytest.fixture
def browser(app: Router) -> TestApp:
    return TestApp(app)


@pytest.fixture
def ada(browser: TestApp) -> TestApp:
    """The browser, where Ada has logged in."""
    log_in(browser)
    return browser


@pytest.fixture(autouse=True)
def mails(monkeypatch: pytest.MonkeyPatch) -> list[Mail]:
    """What the application sends, which goes nowhere."""
    sent: list[Mail] = []
    monkeypatch.setattr(mail, "send", lambda request, *mail: sent.append(Mail(*mail)))
    return sent


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many seconds pass for what the application itself counts."""

    def advance(seconds: int) -> None:
        at = time.time() + seconds
        for module in ("example_app.throttle", "example_app.mailed_links", "pyramid_sessionkit.gates.predicates"):
            monkeypatch.setattr(f"{module}.time", lambda: at)

    return advance


@pytest.fixture
def users(app: Router) -> Callable[[], dict[str, tuple[str, str]]]:
    """Reads the name and location of all users by their e-mail address."""

    def read() -> dict[str, tuple[str, str]]:
        with app.registry["dbsession_factory"]() as dbsession:
            return {user.email: (user.name, user.location) for user in dbsession.scalars(select(User))}

    return read


@pytest.fixture
def messages(app: Router) -> Callable[[], list[str]]:
    """Reads the texts of everyone's messages."""

    def read() -> list[str]:
        with app.registry["dbsession_factory"]() as dbsession:
            return list(dbsession.scalars(select(Message.text).order_by(Message.id)))

    return read


@pytest.fixture
def expire_sessions(tmp_path: Path) -> Callable[[], None]:
    """Lets every session come to its end."""

    def expire() -> None:
        connection = sqlite3.connect(tmp_path / "sessions.sqlite")
        with connection:
            connection.execute("UPDATE sessions SET deadline = 1, expires = 1")
        connection.close()

    return expire


@pytest.fixture
def leave_idle(tmp_path: Path) -> Callable[[], None]:
    """Lets every session be unused for longer than its idle timeout."""

    def leave() -> None:
        connection = sqlite3.connect(tmp_path / "sessions.sqlite")
        with connection:
            connection.execute("UPDATE sessions SET renewed = renewed - timeout - 1, expires = 1")
        connection.close()

    return leave


@pytest.fixture
def spy(app: Router, monkeypatch: pytest.MonkeyPatch) -> SpyStore:
    """The store of the application's sessions: notes its calls, and fails where it is told to."""
    persistence = persistence_of(app)
    monkeypatch.setattr(persistence, "store", SpyStore(persistence.store))
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
