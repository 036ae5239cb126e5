"""What a user sees first after a login."""

from typing import Any

from pyramid.view import view_config

from example_app.views import NO_STORE, utc
from pyramid_sessionkit import Request


@view_config(
    route_name="dashboard",
    request_method="GET",
    logged_in=True,
    http_cache=NO_STORE,
    renderer="example_app:templates/dashboard.jinja2",
)
def dashboard(request: Request) -> dict[str, Any]:
    session = request.session
    return {
        "views": session.get("views", 0),
        "persistent": session.persistent,
        "key": session.key[:8],
        "logged_in_at": utc(session.authenticated),
        "expires": utc(session.expires),
    }
