"""The profile. Only the session says whose row it is."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults
from sqlalchemy import update

from example_app import forms, kept_form
from example_app.models import User
from example_app.views import NO_STORE
from pyramid_sessionkit import Request
from pyramid_sessionkit.owned import owned


@view_defaults(
    route_name="profile", logged_in=True, http_cache=NO_STORE, renderer="example_app:templates/profile.jinja2"
)
class ProfileViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        user = self.request.identity
        return {"values": {"name": user.name, "location": user.location, **kept_form.take(self.request)}, "errors": {}}

    @view_config(request_method="POST")
    def save(self) -> Any:
        request = self.request
        values, errors = forms.profile(request.POST)
        if errors:
            request.response.status_int = 400
            return {"values": values, "errors": errors}
        update_own_row(request, values)
        request.session.flash("Your profile is saved.")
        return HTTPSeeOther(request.route_path("profile"))


def update_own_row(request: Request, values: dict[str, Any]) -> int:
    """How many rows were changed."""
    return request.dbsession.execute(owned(request, update(User).values(values))).rowcount
