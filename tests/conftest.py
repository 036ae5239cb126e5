from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from plaster import loaders
from pyramid.config import Configurator
from webtest import TestApp

from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.state import Cookie, Opened, Presented, Stored
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine

SECRET = "a-secret-of-thirty-two-characters-at-least"


class SpyStore:
    """Passes everything on to another store, and remembers the names of the calls; any can be made to fail."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.calls: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.before: dict[str, Callable[[], Any]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name.startswith("__") or not callable(method):
            return method

        # Which of the two a store offers makes no difference to what a request does.
        told = "update" if name == "update_contents" else name

        def call(*args: Any) -> Any:
            self.calls.append(told)
            if told in self.before:
                self.before.pop(told)()
            if told in self.failing:
                raise self.failing[told]
            return method(*args)

        return call


@pytest.fixture(scope="session", autouse=True)
def _loaders_found_once() -> Iterator[None]:
    """Each time that an ini file is opened, plaster reads about all packages that are installed: a tenth of a second.
    Within one run they stay the same."""
    found: dict[str, Any] = {}

    def find_loaders(scheme: str, protocols: Any = None) -> Any:
        name = f"{scheme} {protocols}"
        if name not in found:
            found[name] = plaster_finds(scheme, protocols)
        return found[name]

    plaster_finds = loaders.find_loaders
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "find_loaders", find_loaders)
        yield


@pytest.fixture(autouse=True)
def _capture_all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pyramid_sessionkit")


@pytest.fixture
def sql_store(tmp_path: Any) -> Iterator[SQLStore]:
    store = SQLStore(create_session_engine(f"sqlite:///{tmp_path}/sessions.sqlite"))
    store.create_table()
    yield store
    store.close()


@pytest.fixture(params=["memory", "sql"])
def any_store(request: pytest.FixtureRequest) -> Any:
    return MemoryStore() if request.param == "memory" else request.getfixturevalue("sql_store")


@pytest.fixture
def spy() -> SpyStore:
    return SpyStore(MemoryStore())


@pytest.fixture
def make_persistence(spy: SpyStore) -> Callable[..., Persistence]:
    def make(store: Any = None, **settings: Any) -> Persistence:
        named = {f"sessionkit.{name}": value for name, value in settings.items()}
        return Persistence(store or spy, parse_settings({"sessionkit.secret": SECRET, **named}))

    return make


class SentCookies:
    """The cookies of a request that there is not: what a browser sends."""

    begins = True

    def __init__(self, *sent: Presented) -> None:
        self.sent = list(sent)

    def presented(self) -> list[Presented]:
        return self.sent

    def find(self, persistence: Persistence, fresh: bool = False) -> Opened:
        return persistence.find(self.sent, fresh)

    def keep(self, stored: Stored, cookie: Cookie, at: float) -> None:
        pass

    def forget(self) -> None:
        pass

    def prefix(self) -> str:
        return ""


def cookie_of(session: Session) -> Presented:
    """What a browser has after the response of a request with this session."""
    stored = session.work.stored
    assert stored is not None
    assert stored.secret is not None
    return Presented(stored.key, stored.secret)


@pytest.fixture
def open_session(make_persistence: Callable[..., Persistence]) -> Callable[..., Session]:
    """One request's session; with the cookie of another, that of another request to the same session."""
    shared: list[Persistence] = []

    def open_(*sent: Presented, persistence: Persistence | None = None, **settings: Any) -> Session:
        if persistence is None:
            if not shared:
                shared.append(make_persistence(**settings))
            persistence = shared[0]
        return Session(persistence, SentCookies(*sent))

    return open_


def stored(open_session: Callable[..., Session], contents: dict[str, Any], **settings: Any) -> Presented:
    """The cookie of a session with these contents."""
    session = open_session(**settings)
    session.update(contents)
    session.save()
    return cookie_of(session)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time to so many seconds after the test began."""
    start = time.time()

    def advance(seconds: float) -> None:
        for module in ("persistence", "saving", "unit_of_work", "stores.memory"):
            monkeypatch.setattr(f"pyramid_sessionkit.{module}.time", lambda: start + seconds)

    advance(0)
    return advance


@pytest.fixture
def make_app(spy: SpyStore) -> Callable[..., TestApp]:
    """An application with the given views by path, on the ``spy`` store unless the settings name another."""

    def make(
        views: dict[str, Any],
        *,
        includes: tuple[str, ...] = (),
        configure: Any = None,
        debug: bool = True,
        **settings: Any,
    ) -> TestApp:
        named = {name if "." in name else f"sessionkit.{name}": value for name, value in settings.items()}
        store = {} if "sessionkit.store" in named else {"sessionkit.store": lambda _: spy}
        config = Configurator(settings={"sessionkit.secret": SECRET, **store, **named})
        for include in (*includes, "pyramid_sessionkit"):
            config.include(include)
        for path, view in views.items():
            config.add_route(path, path)
            config.add_view(view, route_name=path)
        if configure is not None:
            configure(config)
        return TestApp(config.make_wsgi_app())

    return make
