"""The policies of docs/howto/add.rst for those who keep their own, or Pyramid's SessionAuthenticationHelper."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.authentication import SessionAuthenticationHelper, SessionAuthenticationPolicy
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember

from pyramid_sessionkit import user_sessions
from tests.conftest import SpyStore
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


@pytest.mark.parametrize(("params", "persistent"), [("", False), ("?keep=1", True)])
def test_a_policy_of_ones_own_may_keep_people_logged_in(make_app: Any, params: str, persistent: bool) -> None:
    def keep(request: Request) -> Response:
        remember(request, 7, persistent="keep" in request.params)
        return Response("in")

    module = module_of("howto/add.rst", "add-own-policy", find_user=find_user)
    app = make_app(
        {"/in": keep}, configure=lambda config: config.set_security_policy(module.OwnPolicy()), security_policy="false"
    )
    assert ("Max-Age" in app.get(f"/in{params}").headers["Set-Cookie"]) is persistent


class HelperPolicy:
    """As those of many applications, and of Pyramid's documentation; users are known by number."""

    def __init__(self, helper: Any) -> None:
        self.helper = helper

    def identity(self, request: Request) -> None:
        return None

    def authenticated_userid(self, request: Request) -> int | None:
        userid = self.helper.authenticated_userid(request)
        return None if userid is None else int(userid)

    def permits(self, request: Request, context: Any, permission: str) -> bool:
        return False

    def remember(self, request: Request, userid: Any, **kw: Any) -> Any:
        return self.helper.remember(request, userid, **kw)

    def forget(self, request: Request, **kw: Any) -> Any:
        return self.helper.forget(request, **kw)


def of_pyramid_2(config: Configurator, helper: Any) -> None:
    config.set_security_policy(HelperPolicy(helper))


def of_pyramid_1(config: Configurator, helper: Any) -> None:
    if isinstance(helper, SessionAuthenticationHelper):
        policy = SessionAuthenticationPolicy(callback=find_principals)
    else:
        policy = module_of(
            "howto/add.rst",
            "add-legacy-policy",
            SessionAuthenticationPolicy=SessionAuthenticationPolicy,
            SessionLogin=lambda: helper,
            find_principals=find_principals,
        ).policy
    config.set_authorization_policy(ACLAuthorizationPolicy())
    config.set_authentication_policy(policy)


def find_principals(userid: Any, request: Request) -> list[str]:
    return []


def pay(request: Request) -> Response:
    return Response(str(request.authenticated_userid))


def open_tab(request: Request) -> Response:
    request.session["cart"] = ["apples"]
    return Response("")


@pytest.fixture
def make_site(make_app: Any, spy: SpyStore) -> Any:
    """A site with such a policy. The sites of one test share their sessions."""

    def make(helper: Any, set_policy: Any) -> Any:
        def configure(config: Configurator) -> None:
            set_policy(config, helper)
            config.add_route("pay", "/pay")
            config.add_view(pay, route_name="pay", fresh_login=300)

        views = {"/in": log_in, "/out": log_out, "/tab": open_tab, "/who": pay}
        return make_app(views, configure=configure, login_route="/in", security_policy="false")

    return make


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.filterwarnings("ignore:Authentication and authorization policies:DeprecationWarning")
@pytest.mark.parametrize("set_policy", [of_pyramid_2, of_pyramid_1])
class TestPyramidsHelper:
    def test_it_is_named_at_start_up_and_at_a_gate(
        self, make_site: Any, set_policy: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = make_site(SessionAuthenticationHelper(), set_policy)
        (at_start,) = warnings(caplog)
        assert "SessionAuthenticationHelper" in at_start
        assert "request.session.login(userid)" in at_start
        site.get("/pay", status=303)
        assert len(warnings(caplog)) == 1
        for _ in range(2):
            site.get("/in")
            site.get("/pay", status=303)
        (_, at_gate) = warnings(caplog)
        assert at_gate.startswith("GET /pay: ")
        assert "request.session.login(userid)" in at_gate

    def test_what_the_docs_put_in_its_place(
        self, make_site: Any, set_policy: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = make_site(module_of("howto/add.rst", "add-session-login").SessionLogin(), set_policy)
        site.get("/tab")
        before = site.cookies["session"]
        site.get("/in")
        assert site.cookies["session"] != before
        assert site.get("/pay").text == "7"
        site.get("/out")
        site.get("/pay", status=303)
        assert warnings(caplog) == []

    def test_those_who_are_logged_in_may_stay_so(self, make_site: Any, set_policy: Any) -> None:
        login = module_of("howto/add.rst", "add-session-login").SessionLogin

        class Both(login):  # type: ignore[misc, valid-type]
            def authenticated_userid(self, request: Request) -> Any:
                return request.session.userid or request.session.get("auth.userid")

        before, after = make_site(SessionAuthenticationHelper(), set_policy), make_site(Both(), set_policy)
        before.get("/in")
        after.set_cookie("session", before.cookies["session"])
        assert after.get("/who").text == "7"
        after.get("/pay", status=303)
        after.get("/in")
        assert after.get("/pay").text == "7"
        after.get("/out")
        assert after.get("/who").text == "None"


def test_a_login_elsewhere_is_named_where_there_is_a_session(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Without one, a token may have named the user."""

    def configure(config: Configurator) -> None:
        config.testing_securitypolicy(userid="ada")
        config.add_route("pay", "/pay")
        config.add_view(pay, route_name="pay", fresh_login=300)

    app = make_app({"/tab": open_tab}, configure=configure, security_policy="false")
    app.get("/pay", status=404)
    assert warnings(caplog) == []
    app.get("/tab")
    app.get("/pay", status=404)
    assert len(warnings(caplog)) == 1


def test_users_whom_a_token_names_are_no_reason_to_warn(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    def by_token(config: Configurator) -> None:
        config.add_session_source(lambda request: request.headers.get("X-User"))
        config.add_route("pay", "/pay")
        config.add_view(pay, route_name="pay", fresh_login=300)

    app = make_app({"/tab": open_tab}, configure=by_token)
    app.get("/tab")
    app.get("/pay", headers={"X-User": "ada"}, status=404)
    assert warnings(caplog) == []
