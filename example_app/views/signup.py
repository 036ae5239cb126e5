"""Becoming a user."""

from typing import Any

from pyramid.exceptions import BadCSRFToken
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import exception_view_config, view_config, view_defaults

from example_app import forms
from example_app.email_addresses import is_taken, write_address
from example_app.error_layout import PLAIN
from example_app.models.user import User, hasher
from example_app.security import log_in
from example_app.views import NO_STORE
from example_app.views.expired_form import without_form
from pyramid_sessionkit import Request, safe_next
from pyramid_sessionkit.owned import unowned


@view_defaults(route_name="signup", http_cache=NO_STORE, renderer="example_app:templates/signup.jinja2")
class SignupViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"values": {}, "errors": {}}

    @view_config(request_method="POST")
    def sign_up(self) -> Any:
        request = self.request
        values, errors = forms.signup(request.POST)
        if not errors and is_taken(request, values["email"]):
            errors = {"email": "There is an account with this e-mail address already."}
        if errors:
            request.response.status_int = 400
            return {"values": values, "errors": errors}
        user = self._add_user(**values)
        log_in(request, user)
        request.session.flash(f"Welcome, {user.name}.")
        return HTTPSeeOther(safe_next(request, default=request.route_path("dashboard")))

    # There was a login in another tab. The form is shown again with what was typed, except the password.
    @exception_view_config(BadCSRFToken, request_method="POST")
    def expired(self) -> dict[str, Any]:
        self.request.response.status_int = 400
        if self.request.error_layout == PLAIN:
            return without_form(self.request)
        self.request.session.flash("Nothing was changed, since this page was out of date. Send it again.", "error")
        return {"values": forms.signup(self.request.POST)[0], "errors": {}}

    def _add_user(self, name: str, email: str, password: str) -> User:
        user = User(name=name, email=email, password_hash=hasher.hash(password))
        with unowned(self.request.dbsession, reason="sign-up"):
            self.request.dbsession.add(user)
            write_address(self.request)
        return user
