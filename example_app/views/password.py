"""Changing the password, which ends all other sessions: they were opened with the old one."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.authentication import authenticate
from example_app.security import log_in
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import Request


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
        request.response.status_int = 400  # of what is returned if something is wrong
        errors = errors or self._check(user.email, values["current"])
        if errors:
            return {"errors": errors}
        user.set_password(values["new"])
        # A login with the new password, for this session to go on.
        log_in(request, user, persistent=request.session.persistent)
        request.session.flash("Your password is changed, and your other sessions are over.")
        return HTTPSeeOther(request.route_path("dashboard"))

    def _check(self, email: str, current: str) -> dict[str, str]:
        """What is wrong with the current password. It can be guessed here as well as at the login, so it counts."""
        result = authenticate(self.request, email, current)
        if result.retry_after is not None:
            return {"current": too_many_attempts(self.request, result.retry_after)}
        return {} if result.user else {"current": "This is not your password."}
