"""API tokens: made and shown once, listed, revoked. Programs log in with them, see ``api_tokens.py``."""

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.view import view_config, view_defaults
from sqlalchemy import delete, insert, select

from example_app import forms
from example_app.api_tokens import new_token
from example_app.models import ApiToken
from example_app.views import NO_STORE, utc
from pyramid_sessionkit import Request
from pyramid_sessionkit.owned import owned


@view_defaults(
    route_name="tokens", fresh_login=300, http_cache=NO_STORE, renderer="example_app:templates/tokens.jinja2"
)
class TokenViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def page(self) -> dict[str, Any]:
        return self._page()

    @view_config(request_method="POST")
    def make(self) -> dict[str, Any]:
        request = self.request
        values, errors = forms.api_token(request.POST)
        if errors:
            request.response.status_int = 400
            return self._page(values, errors)
        token, stored = new_token()
        request.dbsession.execute(owned(request, insert(ApiToken).values(**values, **stored)))
        # No redirect: the token is not stored, so that only this response can show it.
        return self._page(made=token)

    @view_config(route_name="token_revoke", request_method="POST", renderer=None)
    def revoke(self) -> HTTPSeeOther:
        request = self.request
        statement = delete(ApiToken).where(ApiToken.id == int(request.matchdict["id"]))
        if not request.dbsession.execute(owned(request, statement)).rowcount:
            raise HTTPNotFound()
        request.session.flash("The token is revoked.")
        return HTTPSeeOther(request.route_path("tokens"))

    def _page(
        self, values: dict[str, Any] | None = None, errors: dict[str, str] | None = None, made: str | None = None
    ) -> dict[str, Any]:
        own = owned(self.request, select(ApiToken).order_by(ApiToken.id.desc()))
        tokens = self.request.dbsession.scalars(own).all()
        return {"tokens": tokens, "utc": utc, "values": values or {}, "errors": errors or {}, "made": made}
