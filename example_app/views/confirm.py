"""Asking users who are logged in for their password again, before they change something that matters.

``fresh_login=`` on a view sends them here, since development.ini names the route: ``sessionkit.confirm_route``.
"""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.authentication import authenticate
from example_app.security import log_in
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import Request, safe_next


@view_defaults(
    route_name="confirm", logged_in=True, http_cache=NO_STORE, renderer="example_app:templates/confirm.jinja2"
)
class ConfirmViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"errors": {}}

    @view_config(request_method="POST")
    def confirm(self) -> Any:
        request = self.request
        # As at a login, so that nobody can guess here what they may not guess there.
        result = authenticate(request, request.identity.email, forms.confirm(request.POST))
        if result.retry_after is not None:
            return {"errors": {"password": too_many_attempts(request, result.retry_after)}}
        if result.user is None:
            request.response.status_int = 403
            return {"errors": {"password": "This is not your password."}}
        log_in(request, result.user, persistent=request.session.persistent)
        return HTTPSeeOther(safe_next(request, default=request.route_path("dashboard")))
