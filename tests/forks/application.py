"""Applications in which users count, one for each store, below its name. They are made when this is imported."""

from __future__ import annotations

import json
import os
import threading
from typing import Any
from wsgiref.util import shift_path_info

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember

NAME = "tests.forks.application:application"
SETTINGS = "FORKS_SETTINGS"
USED = "FORKS_USED"


def login(request: Any) -> dict[str, Any]:
    name = request.params["name"]
    remember(request, name)
    request.session["name"] = name
    return {"name": name, "userid": name}


def count(request: Any) -> dict[str, Any]:
    request.session.apply("count", lambda number: number + 1, 0)
    return who(request)


def who(request: Any) -> dict[str, Any]:
    session = request.session
    name, number = session.get("name"), session.get("count", 0)
    return {"name": name, "userid": request.authenticated_userid, "count": number, "process": os.getpid()}


def together(request: Any) -> dict[str, Any]:
    """Two threads, which may be greenlets, ask at once for the session of one request."""
    threads = [threading.Thread(target=request.session.get, args=("name",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return who(request)


def make(settings: dict[str, str]) -> Any:
    config = Configurator(settings=settings)
    config.include("pyramid_sessionkit")
    for view in (login, count, who, together):
        config.add_route(view.__name__, f"/{view.__name__}")
        config.add_view(view, route_name=view.__name__, renderer="json")
    return config.make_wsgi_app()


def use(application: Any) -> None:
    """Use the store in the process that imports the application, and leave its connection open."""
    response = Request.blank("/login?name=master").get_response(application)
    assert response.status_code == 200, response.text


by_store = {store: make(settings) for store, settings in json.loads(os.environ.get(SETTINGS, "{}")).items()}
if USED in os.environ:
    for made in by_store.values():
        use(made)


def application(environ: Any, start_response: Any) -> Any:
    return by_store.get(shift_path_info(environ), Response(str(os.getpid())))(environ, start_response)
