"""The profile. Only the session or the token says whose row it is."""

from pyramid.response import Response
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.problems import problem
from example_app.views import NO_STORE
from example_app.views.profile import update_own_row
from pyramid_sessionkit import Request


@view_defaults(route_name="api_me", logged_in=True, http_cache=NO_STORE, renderer="json", openapi=True)
class MeViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def me(self) -> dict[str, str]:
        user = self.request.identity
        return {"email": user.email, "name": user.name, "location": user.location}

    @view_config(request_method="PUT")
    def update(self) -> dict[str, str] | Response:
        values, errors = forms.profile(self.request.openapi_validated.body)
        if errors:
            return problem(422, "Nothing was changed.", errors)
        update_own_row(self.request, values)
        return self.me() | values
