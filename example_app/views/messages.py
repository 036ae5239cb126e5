"""A user's own messages. Each statement is limited by ``owned``, so that nobody reaches somebody else's."""

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.view import view_config, view_defaults
from sqlalchemy import delete, insert, select

from example_app import forms, kept_form
from example_app.models import Message
from example_app.views import NO_STORE
from pyramid_sessionkit import Request
from pyramid_sessionkit.owned import owned


@view_defaults(
    route_name="messages", logged_in=True, http_cache=NO_STORE, renderer="example_app:templates/messages.jinja2"
)
class MessageViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def page(self) -> dict[str, Any]:
        return self._page(kept_form.take(self.request), {})

    @view_config(request_method="POST")
    def post(self) -> Any:
        request = self.request
        values, errors = forms.message(request.POST)
        if errors:
            request.response.status_int = 400
            return self._page(values, errors)
        request.dbsession.execute(owned(request, insert(Message).values(values)))
        request.session.flash("Your message is saved.")
        return HTTPSeeOther(request.route_path("messages"))

    @view_config(route_name="message_delete", request_method="POST", renderer=None)
    def delete(self) -> HTTPSeeOther:
        request = self.request
        statement = delete(Message).where(Message.id == int(request.matchdict["id"]))
        if not request.dbsession.execute(owned(request, statement)).rowcount:
            raise HTTPNotFound()
        request.session.flash("The message is deleted.")
        return HTTPSeeOther(request.route_path("messages"))

    def _page(self, values: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
        own = owned(self.request, select(Message).order_by(Message.id.desc()))
        return {"messages": self.request.dbsession.scalars(own).all(), "values": values, "errors": errors}
