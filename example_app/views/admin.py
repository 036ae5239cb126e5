"""For administrators: the route's context says who that is."""

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config
from sqlalchemy import select

from example_app.models import User
from example_app.views import NO_STORE, utc
from pyramid_sessionkit import get_sessions

SHOWN = 50


@view_config(
    route_name="admin",
    request_method="GET",
    logged_in=True,
    permission="admin",
    http_cache=NO_STORE,
    renderer="example_app:templates/admin.jinja2",
)
def users_and_sessions(request: Request) -> dict[str, Any]:
    # Not limited by owned(): what administrators see is everyone's.
    users = request.dbsession.scalars(select(User).order_by(User.id)).all()
    return {"users": users, **_sessions(request, {str(user.id): user.name for user in users})}


def _sessions(request: Request, names: dict[str, str]) -> dict[str, Any]:
    """How many there are, and those that were used last, without what they contain."""
    sessions = get_sessions(request.registry)
    latest = [
        {
            "user": names.get(session.userid, f"{session.userid} (gone)") if session.userid else None,
            "key": session.key[:8],
            "created": utc(session.created),
            "last_seen": utc(session.renewed),
        }
        for session in sessions.all(SHOWN)
    ]
    return {"alive": sessions.count(), "latest": latest}
