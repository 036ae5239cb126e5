"""The start page."""

from typing import Any

from pyramid.view import view_config

from example_app.views import NO_STORE
from pyramid_sessionkit import Request


@view_config(route_name="home", request_method="GET", http_cache=NO_STORE, renderer="example_app:templates/home.jinja2")
def home(request: Request) -> dict[str, Any]:
    # Requests that run at the same time all count: the function runs again on what another one has stored.
    return {"views": request.session.apply("views", lambda n: n + 1, 0)}
