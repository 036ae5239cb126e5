"""What the tests of the application share. The database is that of testing.ini; whatever a test does is rolled back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webtest
from alembic import command
from argon2 import PasswordHasher, profiles
from pyramid.config import Configurator
from pyramid.paster import get_appsettings
from pyramid.request import Request
from pyramid.router import Router
from pyramid.scripting import prepare
from pyramid.testing import DummyRequest, testConfig
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from transaction import TransactionManager

from example_app import main, models
from example_app.migrations import alembic_config
from example_app.models.user import hasher
from pyramid_sessionkit import get_sessions
from pyramid_sessionkit.testing import make_session

PASSWORD = "correct horse"


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Passwords are hashed a hundred times faster than is safe."""
    cheap = PasswordHasher.from_parameters(profiles.CHEAPEST)
    make_hash = PasswordHasher.hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PasswordHasher, "hash", lambda hasher, password: make_hash(cheap, password))
        yield


@pytest.fixture(scope="session")
def app_settings() -> dict[str, Any]:
    return get_appsettings(str(Path(__file__).parent.with_name("testing.ini")))


@pytest.fixture(scope="session")
def dbengine(app_settings: dict[str, Any]) -> Iterator[Engine]:
    """The database, with its tables as Alembic makes them."""
    engine = models.get_engine(app_settings)
    with engine.begin() as connection:
        config = alembic_config(connection)
        # A database on a server still has what the last run left.
        models.Base.metadata.drop_all(connection)
        command.stamp(config, "base", purge=True)
        command.upgrade(config, "head")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def app(app_settings: dict[str, Any], dbengine: Engine) -> Router:
    return main({}, dbengine=dbengine, **app_settings)


@pytest.fixture
def tm() -> Iterator[TransactionManager]:
    """The transaction of a test. It is doomed: nothing can commit it."""
    tm = TransactionManager(explicit=True)
    tm.begin()
    tm.doom()
    yield tm
    tm.abort()


@pytest.fixture
def dbsession(app: Router, tm: TransactionManager) -> Session:
    return models.get_tm_session(app.registry["dbsession_factory"], tm)


@pytest.fixture
def environ(app: Router, tm: TransactionManager, dbsession: Session) -> Iterator[dict[str, Any]]:
    """With it, a request uses the test's transaction."""
    yield {"HTTP_HOST": "example.com", "tm.active": True, "tm.manager": tm, "app.dbsession": dbsession}
    # The users of the test are rolled back. Their sessions would be those of the next test's users.
    sessions = get_sessions(app.registry)
    for session in sessions.all(limit=1000):
        sessions.revoke(session.key)


@pytest.fixture
def testapp(app: Router, environ: dict[str, Any]) -> webtest.TestApp:
    """A new browser. It talks to the whole application."""
    return webtest.TestApp(app, extra_environ=environ)


@pytest.fixture
def app_request(app: Router, environ: dict[str, Any]) -> Iterator[Request]:
    """A real request, with all that the application adds to it: for a view that is called by itself."""
    with prepare(Request.blank("/", environ), app.registry) as env:
        yield env["request"]


@pytest.fixture
def dummy_request(tm: TransactionManager, dbsession: Session) -> DummyRequest:
    """A light request, with a session of its own and nothing else of the application's."""
    return DummyRequest(host="example.com", tm=tm, dbsession=dbsession, session=make_session())


@pytest.fixture
def dummy_config(dummy_request: DummyRequest) -> Iterator[Configurator]:
    """For what asks for the current registry or request."""
    with testConfig(request=dummy_request) as config:
        yield config


@pytest.fixture
def user(dbsession: Session) -> models.User:
    """Grace, who can log in with the password above."""
    user = models.User(name="Grace", email="grace@example.com", password_hash=hasher.hash(PASSWORD))
    dbsession.add(user)
    dbsession.flush()
    return user
