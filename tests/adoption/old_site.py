"""A library whose sessions are adopted, and a site with ours: for the tests of the mechanism itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember

from pyramid_sessionkit import user_sessions
from pyramid_sessionkit.adoption import Adopted, OldSessions
from pyramid_sessionkit.events import SessionEvent
from tests.conftest import SECRET


class DictSessions(OldSessions):
    """Old sessions in a dict. What is called before and after the look at a record may stop there, or do something."""

    cookie = "old"

    def __init__(self, records: dict[str, Adopted] | None = None, keep: bool = False) -> None:
        self.records = records or {}
        self.keep = keep
        self.forgotten: list[str] = []
        self.before_reading: Callable[[], object] = lambda: None
        self.while_reading: Callable[[], object] = lambda: None

    def read(self, request: Any, token: str) -> Adopted | None:
        self.before_reading()
        found = self.records.get(token)
        self.while_reading()
        return found

    def forget(self, token: str) -> None:
        self.forgotten.append(token)
        self.records.pop(token, None)

    def all(self) -> Iterator[tuple[str, Adopted]]:
        yield from self.records.items()


def show(request: Any) -> dict[str, Any]:
    return {"contents": dict(request.session), "userid": request.authenticated_userid}


def put(request: Any) -> dict[str, Any]:
    request.session.apply("n", lambda n: n + 1, 0)
    return show(request)


def login(request: Any) -> dict[str, Any]:
    remember(request, request.params["name"])
    return {}


def logout(request: Any) -> dict[str, Any]:
    forget(request)
    return {}


def fail(request: Any) -> Response:
    dict(request.session)
    return Response("failed", status=500)


def devices(request: Any) -> dict[str, Any]:
    return {"keys": [info.key for info in user_sessions(request).list()]}


def look(request: Any) -> dict[str, Any]:
    """A page that asks for nobody."""
    return dict(request.session)


VIEWS = (look, show, put, login, logout, fail, devices)


made: list[NewSite] = []
"""To be closed after each test."""


class NewSite:
    """An application with our sessions, which adopts the old ones."""

    def __init__(self, old: OldSessions, settings: dict[str, Any] | None = None, setup: Any = None) -> None:
        self.events: list[SessionEvent] = []
        named = {f"sessionkit.{name}": value for name, value in {"secret": SECRET, **(settings or {})}.items()}
        config = Configurator(settings=named)
        config.include("pyramid_sessionkit")
        config.set_session_adoption(old)
        config.add_subscriber(self.events.append, SessionEvent)
        if setup is not None:
            setup(config)
        for view in VIEWS:
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__, renderer="json")
        for name, predicates in {"fresh": {"fresh_login": 600}, "members": {"logged_in": True}}.items():
            config.add_route(name, f"/{name}")
            config.add_view(show, route_name=name, renderer="json", **predicates)
        self.app = config.make_wsgi_app()
        made.append(self)
        self.factory = self.app.registry.getUtility(ISessionFactory)

    @property
    def store(self) -> Any:
        return self.factory.persistence.store

    def browser(self, **cookies: str) -> Browser:
        return Browser(self.app, cookies)


class Browser:
    """Keeps cookies as a browser does: those of the old library and ours are sent to the same site."""

    def __init__(self, app: Any, cookies: dict[str, str]) -> None:
        self.app = app
        self.cookies = dict(cookies)

    def get(self, path: str, **environ: Any) -> Response:
        header = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = Request.blank(path, environ=environ, headers={"Cookie": header}).get_response(self.app)
        self.take(response)
        return response

    def take(self, response: Response) -> None:
        """Keep the cookies that it sets."""
        for name, value in response.headerlist:
            if name.lower() == "set-cookie":
                self._take(value)

    def key(self, path: str) -> str:
        """The key of the session that this browser has after it asked for a page."""
        self.get(path)
        return self.cookies["session"].partition(".")[0]

    def _take(self, header: str) -> None:
        pair, *attributes = [part.strip() for part in header.split(";")]
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value
