"""Logging in and out."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.security import forget, remember
from pyramid.view import view_config, view_defaults

from example_app.security import authenticate

REMEMBERED = 30 * 86400  # seconds


@view_defaults(route_name="login", renderer="example_app:templates/login.jinja2")
class LoginViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"email": "", "persistent": False, "refused": False}

    @view_config(request_method="POST")
    def login(self) -> Any:
        request = self.request
        email = request.POST.get("email", "").strip()
        persistent = "persistent" in request.POST
        user = authenticate(request.dbsession, email, request.POST.get("password", ""))
        if user is None:
            request.response.status_int = 403
            return {"email": email, "persistent": persistent, "refused": True}
        remember(request, str(user.id), persistent=persistent)
        if persistent:
            # A cookie that outlives the browser is worth little if the session behind it ends after 20 idle minutes.
            request.session.set_expiry(timeout=REMEMBERED, lifetime=REMEMBERED)
        return HTTPSeeOther(request.route_url("dashboard"))


@view_config(route_name="logout", request_method="POST")
def logout(request: Request) -> HTTPSeeOther:
    forget(request)
    # The session is a new one now, so the message is not lost with the old one.
    request.session.flash("You are logged out.")
    return HTTPSeeOther(request.route_url("home"))
