"""Logging in and out."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.security import forget
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.security import authenticate, log_in
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import safe_next

REFUSED = "This e-mail address and password do not go together."


@view_defaults(route_name="login", http_cache=NO_STORE, renderer="example_app:templates/login.jinja2")
class LoginViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"email": "", "persistent": False, "refused": None}

    @view_config(request_method="POST")
    def login(self) -> Any:
        values = forms.login(self.request.POST)
        refused = self._log_in(values)
        if refused:
            return {"email": values["email"], "persistent": values["persistent"], "refused": refused}
        return HTTPSeeOther(safe_next(self.request, default=self.request.route_path("dashboard")))

    @view_config(request_method="POST", header="Content-Type:application/json", renderer="json")
    def login_with_json(self) -> dict[str, str]:
        refused = self._log_in(forms.login(json_of(self.request)))
        if refused:
            return {"message": refused}
        # The login changed the token: the script needs the new one.
        return {"userid": self.request.authenticated_userid, "csrf_token": self.request.session.get_csrf_token()}

    def _log_in(self, values: dict[str, Any]) -> str | None:
        """Why not."""
        result = authenticate(self.request, values["email"], values["password"])
        if result.retry_after is not None:
            return too_many_attempts(self.request, result.retry_after)
        if result.user is None:
            self.request.response.status_int = 403
            return REFUSED
        log_in(self.request, result.user, values["persistent"])
        return None


@view_config(route_name="logout", request_method="POST")
def logout(request: Request) -> HTTPSeeOther:
    forget(request)
    # The session is a new one now, so the message is not lost with the old one.
    request.session.flash("You are logged out.")
    return HTTPSeeOther(request.route_path("home"))


def json_of(request: Request) -> Any:
    """The body of the request, or None where that is no JSON."""
    try:
        return request.json_body
    except (ValueError, LookupError, RecursionError):
        return None
