"""Changing the password, which ends all other sessions: they were opened with the old one."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.models.user import hasher
from example_app.security import is_right_password, log_in
from example_app.views import NO_STORE


@view_defaults(
    route_name="password",
    logged_in=True,
    fresh_login=300,
    http_cache=NO_STORE,
    renderer="example_app:templates/password.jinja2",
)
class PasswordViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"errors": {}}

    @view_config(request_method="POST")
    def change(self) -> Any:
        request, user = self.request, self.request.identity
        values, errors = forms.password(request.POST)
        if "current" not in errors and not is_right_password(user.password_hash, values["current"]):
            errors["current"] = "This is not your password."
        if errors:
            request.response.status_int = 400
            return {"errors": errors}
        user.password_hash = hasher.hash(values["new"])
        # A login with the new password, for this session to go on.
        log_in(request, user, persistent=request.session.persistent)
        request.session.flash("Your password is changed, and your other sessions are over.")
        return HTTPSeeOther(request.route_path("dashboard"))
