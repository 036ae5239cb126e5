"""The session of a program that keeps cookies: its CSRF token, logging in and out."""

from typing import Any

from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPTooManyRequests, HTTPUnauthorized
from pyramid.security import forget
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.authentication import authenticate
from example_app.security import log_in
from example_app.views import NO_STORE
from pyramid_sessionkit import Request


@view_defaults(http_cache=NO_STORE, renderer="json", openapi=True)
class SessionViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(route_name="api_session", request_method="GET")
    def session(self) -> dict[str, Any]:
        # Nothing is stored for the token, which is derived from the cookie.
        return {"logged_in": self.request.identity is not None, "csrf_token": get_csrf_token(self.request)}

    @view_config(route_name="api_login", request_method="POST")
    def login(self) -> dict[str, Any]:
        request = self.request
        values = forms.login(request.openapi_validated.body)
        result = authenticate(request, values["email"], values["password"])
        if result.retry_after is not None:
            headers = {"Retry-After": str(result.retry_after)}
            raise HTTPTooManyRequests(explanation="Too many attempts to log in. Try again later.", headers=headers)
        if result.user is None:
            raise HTTPUnauthorized(explanation="This e-mail address and password do not go together.")
        log_in(request, result.user, values["persistent"])
        # The login changed the token: the program needs the new one.
        return self.session()

    @view_config(route_name="api_logout", request_method="POST")
    def logout(self) -> dict[str, Any]:
        forget(self.request)
        return self.session()
