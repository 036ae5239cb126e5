"""For administrators: the route's context says who that is."""

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config
from sqlalchemy import select

from example_app.models import User
from example_app.views import NO_STORE


@view_config(
    route_name="admin",
    logged_in=True,
    permission="admin",
    http_cache=NO_STORE,
    renderer="example_app:templates/admin.jinja2",
)
def users(request: Request) -> dict[str, Any]:
    return {"users": request.dbsession.scalars(select(User).order_by(User.id)).all()}
