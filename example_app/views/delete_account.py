"""Users delete their account."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.security import forget
from pyramid.view import view_config, view_defaults
from sqlalchemy import delete

from example_app.mailed_links import forget_links
from example_app.models import ApiToken, KnownDevice, Message, User
from example_app.views import NO_STORE
from pyramid_sessionkit import Request, user_sessions
from pyramid_sessionkit.owned import owned

# The user last, since the others refer to it. Add a new model whose rows belong to users: SQLite ignores ON DELETE
# CASCADE by default.
OWNED = [Message, KnownDevice, ApiToken, User]


@view_defaults(
    route_name="delete_account",
    fresh_login=300,
    http_cache=NO_STORE,
    renderer="example_app:templates/delete_account.jinja2",
)
class DeleteViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def question(self) -> dict[str, Any]:
        return {}

    @view_config(request_method="POST")
    def delete(self) -> HTTPSeeOther:
        request = self.request
        # A session that is opened meanwhile ends by itself, as soon as identity() finds no user for it.
        user_sessions(request).revoke_others()
        forget_links(request, request.identity)
        for model in OWNED:
            request.dbsession.execute(owned(request, delete(model)))
        forget(request)
        # The session is a new one now, so the message is not lost with the old one.
        request.session.flash("Your account is deleted, with all that was in it.")
        return HTTPSeeOther(request.route_path("home"))
