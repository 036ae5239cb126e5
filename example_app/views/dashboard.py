"""A page for those who are logged in."""

from datetime import datetime, timezone
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config


# http_cache: after a logout the browser's Back button must not show this page again.
@view_config(route_name="dashboard", logged_in=True, http_cache=0, renderer="example_app:templates/dashboard.jinja2")
def dashboard(request: Request) -> dict[str, Any]:
    session = request.session
    return {
        "views": session.get("views", 0),
        "persistent": session.persistent,
        "key": session.key[:8],
        "logged_in_at": _utc(session.authenticated),
        "expires": _utc(session.expires),
    }


@view_config(route_name="dashboard", logged_in=False)
def to_login(request: Request) -> HTTPSeeOther:
    return HTTPSeeOther(request.route_url("login"))


def _utc(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
