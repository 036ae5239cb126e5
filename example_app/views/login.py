"""Logging in and out."""

from typing import Any

from pyramid.csrf import check_csrf_token
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.security import forget
from pyramid.view import view_config, view_defaults

from example_app import forms, kept_form
from example_app.authentication import authenticate
from example_app.security import log_in
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import safe_next

REFUSED = "This e-mail address and password do not go together."
NO_COOKIE = "Your browser sent no cookie. Allow cookies for this site, and try again."

# What the gates say in ``why``; see pyramid_sessionkit.why_logged_out().
WHY = {
    "timeout": "You were logged out after {} without activity.",
    "lifetime": "You were logged out, since your login was too long ago.",
    "credentials_changed": "You were logged out, since your password was changed.",
    "user_gone": "You were logged out, since your account was deleted.",
}

# Where a visitor was going, by route.
NEXT = {
    "dashboard": "Log in to go on to your dashboard.",
    "messages": "Log in to go on to your messages.",
    "profile": "Log in to go on to your profile.",
    "password": "Log in to change your password.",
    "email": "Log in to change your e-mail address.",
    "devices": "Log in to go on to your devices.",
    "tokens": "Log in to go on to your API tokens.",
}


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


def reasons(request: Request) -> list[str]:
    """Why there is a login page, in sentences."""
    found = []
    why = WHY.get(request.GET.get("why", ""))
    # A session of a visitor who is not logged in has the idle timeout of the settings.
    if why is not None and request.identity is None:
        found.append(why.format(in_words(request.session.timeout or 0)))
    if "next" in request.GET:
        found.append(_where_to(request))
    return found


def _where_to(request: Request) -> str:
    path = safe_next(request).partition("?")[0]
    found = (sentence for route, sentence in NEXT.items() if path == request.route_path(route))
    return next(found, "Log in to see this page.")


def in_words(seconds: int) -> str:
    """``20 minutes``."""
    count, unit = (seconds, "second") if seconds < 60 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
