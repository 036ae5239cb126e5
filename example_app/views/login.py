"""Logging in and out."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.security import forget
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.security import authenticate, log_in
from example_app.views import NO_STORE
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
        if not self._log_in(values):
            return {"email": values["email"], "persistent": values["persistent"], "refused": REFUSED}
        return HTTPSeeOther(safe_next(self.request, default=self.request.route_path("dashboard")))

    def _log_in(self, values: dict[str, Any]) -> bool:
        user = authenticate(self.request, values["email"], values["password"]).user
        if user is None:
            self.request.response.status_int = 403
            return False
        log_in(self.request, user, values["persistent"])
        return True


@view_config(route_name="logout", request_method="POST")
def logout(request: Request) -> HTTPSeeOther:
    forget(request)
    # The session is a new one now, so the message is not lost with the old one.
    request.session.flash("You are logged out.")
    return HTTPSeeOther(request.route_path("home"))
