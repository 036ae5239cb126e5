"""Wrong uses, each of which mypy and pyright report: an ignore that nothing needs is an error of both."""

from __future__ import annotations

import pyramid_sessionkit
from tests.typing.application import Request


def attributes(request: Request) -> None:
    request.session.views = 1  # type: ignore[attr-defined]
    request.session.aply("views", lambda n: n + 1, 0)  # type: ignore[attr-defined]
    request.session.key = "mine"  # type: ignore[misc]
    request.dbsession.no_such_method()  # type: ignore[attr-defined]


def arguments(request: Request) -> None:
    request.session.apply("views", 1)  # type: ignore[arg-type]
    request.session.apply(lambda n: n + 1, "views")  # type: ignore[arg-type]
    request.session.set_expiry(1200)  # type: ignore[call-arg]
    request.session.flash()  # type: ignore[call-arg]
    request.session[1] = "one"  # type: ignore[index]


def results(request: Request) -> str:
    userid: str = request.authenticated_userid  # type: ignore[assignment]
    token: int = request.session.get_csrf_token()  # type: ignore[assignment]
    views: str = request.session.apply("views", int, 0)  # type: ignore[assignment]
    return request.identity.name + userid + views + str(token)  # type: ignore[union-attr]


def of_the_package(request: pyramid_sessionkit.Request) -> None:
    request.session.no_such_method()  # type: ignore[attr-defined]
