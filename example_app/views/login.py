"""Logging in and out."""

from typing import Any

from pyramid.csrf import check_csrf_token
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.security import forget
from pyramid.view import view_config, view_defaults

from example_app import forms, kept_form
from example_app.authentication import authenticate
from example_app.login_reasons import reasons
from example_app.security import log_in
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import Request, safe_next

REFUSED = "This e-mail address and password do not go together."
NO_COOKIE = "Your browser sent no cookie. Allow cookies for this site, and try again."


@view_defaults(route_name="login", http_cache=NO_STORE, renderer="example_app:templates/login.jinja2")
class LoginViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return self._page("", False, None)

    @view_config(request_method="POST")
    def login(self) -> Any:
        values = forms.login(self.request.POST)
        refused = self._log_in(values) if "Cookie" in self.request.headers else self._without_cookies()
        if refused is not None:
            return self._page(values["email"], values["persistent"], refused)
        return HTTPSeeOther(safe_next(self.request, default=self.request.route_path("dashboard")))

    def _log_in(self, values: dict[str, Any]) -> str | None:
        """What to say if the login is refused; None if it is done."""
        request = self.request
        result = authenticate(request, values["email"], values["password"])
        if result.retry_after is not None:
            return too_many_attempts(request, result.retry_after)
        if result.user is None:
            request.response.status_int = 403
            return REFUSED
        log_in(request, result.user, values["persistent"])
        return None

    def _without_cookies(self) -> str:
        """Nobody can log in without a cookie. The page that is sent now sets one again, if the browser lets it."""
        self.request.response.status_int = 400
        return NO_COOKIE

    def _page(self, email: str, persistent: bool, refused: str | None) -> dict[str, Any]:
        request = self.request
        return {
            "email": email,
            "persistent": persistent,
            "refused": refused,
            "reasons": [] if refused else reasons(request),
            "is_kept": kept_form.is_kept(request),
        }


@view_config(route_name="logout", request_method="POST", logged_in=True)
def logout(request: Request) -> HTTPSeeOther:
    forget(request)
    # The session is a new one now, so the message is not lost with the old one.
    request.session.flash("You are logged out.")
    return HTTPSeeOther(request.route_path("home"))


# Their session has ended, or they logged out in another tab: they have what they want. Another site gains nothing here,
# so that no token is needed.
@view_config(route_name="logout", request_method="POST", logged_in=False, require_csrf=False)
def logout_again(request: Request) -> HTTPSeeOther:
    # What is left of a login that ended a moment ago. A cart that was filled since then stays.
    if request.session.new and check_csrf_token(request, raises=False):
        forget(request)
    request.session.flash("You are logged out already.")
    return HTTPSeeOther(request.route_path("home"))
