"""The class for annotations, at run time."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response
from pyramid.security import remember

from pyramid_sessionkit import Request


class OwnRequest(Request):
    """That of an application which has a request class of its own."""

    dbsession: str
    identity: str | None


def view(request: OwnRequest) -> Response:
    assert isinstance(request, OwnRequest)
    remember(request, "ada")
    views: int = request.session.apply("views", lambda n: n + 1, 0)
    return Response(json_body=[views, request.identity, request.authenticated_userid, request.dbsession])


def test_requests_may_be_made_of_the_class(make_app: Any) -> None:
    def configure(config: Any) -> None:
        config.set_request_factory(OwnRequest)
        config.add_request_method(lambda request: "the session", "dbsession", reify=True)

    app = make_app({"/": view}, configure=configure)
    assert app.get("/").json == [1, "ada", "ada", "the session"]
