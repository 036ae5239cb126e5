"""A site that takes sessions in a header beside cookies, and clients that keep what the header says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember

from pyramid_sessionkit import SessionEvent
from tests.conftest import SECRET

NAME = "X-Session"


def look(request: Request) -> dict[str, Any]:
    return {"contents": dict(request.session), "userid": request.authenticated_userid}


def put(request: Request) -> dict[str, Any]:
    request.session.apply("n", lambda n: n + 1, 0)
    return look(request)


def login(request: Request) -> dict[str, Any]:
    remember(request, request.params.get("user", "ada"))
    return {}


def logout(request: Request) -> dict[str, Any]:
    forget(request)
    return {}


def token(request: Request) -> dict[str, Any]:
    return {"token": request.session.get_csrf_token()}


def regenerate(request: Request) -> dict[str, Any]:
    request.session.regenerate_id()
    return {}


def idle(request: Request) -> dict[str, Any]:
    return {}


VIEWS = (look, put, login, logout, token, regenerate, idle)


class Site:
    """The application, and what it told its subscribers. ``setup(config)`` adds to it."""

    def __init__(
        self, store: Any, setup: Callable[[Configurator], None] = lambda config: None, **settings: Any
    ) -> None:
        self.store = store
        self.told: list[SessionEvent] = []
        given = {"secret": SECRET, "store": lambda _: store, "header_name": NAME, **settings}
        named = {name if "." in name else f"sessionkit.{name}": value for name, value in given.items()}
        config = Configurator(settings=named)
        config.include("pyramid_sessionkit")
        config.add_subscriber(self.told.append, SessionEvent)
        for view in VIEWS:
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__, renderer="json")
        setup(config)
        self.application = config.make_wsgi_app()

    def ask(self, path: str, method: str = "GET", base: str = "http://localhost", **headers: str) -> Response:
        """One request; the names of the headers with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request.blank(path, method=method, base_url=base, headers=sent).get_response(self.application)


class Client:
    """An app without cookies: it keeps what the header says, and an empty one means that there is nothing to keep."""

    def __init__(self, site: Site, session: str = "", base: str = "http://localhost") -> None:
        self.site, self.session, self.base = site, session, base

    def get(self, path: str, method: str = "GET", **headers: str) -> Response:
        response = self.site.ask(path, method, self.base, X_Session=self.session, **headers)
        assert "Set-Cookie" not in response.headers
        self.session = response.headers.get(NAME, self.session)
        return response

    def post(self, path: str, **headers: str) -> Response:
        return self.get(path, "POST", **headers)

    def sees(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.get("/look").json_body
        return seen


def cookie_in(response: Response) -> str:
    """The value of the cookie that a response sets."""
    value: str = response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    return value
