"""The policy of docs/howto/add.rst for those who keep their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember

from pyramid_sessionkit import user_sessions
from tests.test_docs import module_of

USERS = {"7": SimpleNamespace(id=7, name="ada")}


def find_user(request: Request, userid: str | None) -> Any:
    return USERS.get(userid or "")


def account(request: Request) -> Response:
    mine = user_sessions(request).list()
    return Response(json_body=[request.identity.name, request.authenticated_userid, len(mine)])


def log_in(request: Request) -> Response:
    remember(request, 7)
    return Response(request.session.key)


def log_out(request: Request) -> Response:
    forget(request)
    return Response("")


def test_a_policy_of_ones_own_logs_in_and_out(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    module = module_of("howto/add.rst", "add-own-policy", find_user=find_user)

    def configure(config: Configurator) -> None:
        config.set_security_policy(module.OwnPolicy())
        config.add_route("account", "/account")
        config.add_view(account, route_name="account", logged_in=True)

    app = make_app(
        {"/in": log_in, "/out": log_out},
        configure=configure,
        **{"sessionkit.security_policy": "false", "sessionkit.store": "memory"},
    )
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
    app.get("/account", status=404)
    key = app.get("/in").text
    cookie = app.cookies["session"]
    assert app.get("/account").json == ["ada", "7", 1]
    assert app.get("/in").text == key
    assert app.cookies["session"] != cookie
    app.get("/out")
    app.get("/account", status=404)
