"""Browsers of functional tests that are logged in without the login form."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import time
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.events import NewRequest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from webtest import TestApp

from pyramid_sessionkit import LoggedIn, StoreUnavailable, get_sessions, why_logged_out
from pyramid_sessionkit.testing import in_request, login, logout

MakeApp = Callable[..., TestApp]


def who(request: Any) -> Response:
    """Who it is, why no longer, and what their session has."""
    told = {"userid": request.authenticated_userid, "why": why_logged_out(request), **request.session}
    return Response(json.dumps(told), content_type="application/json", charset="utf-8")


def told_to(testapp: TestApp, url: str = "/who") -> Any:
    return testapp.get(url).json


def nobody(why: str | None = None) -> dict[str, Any]:
    return {"userid": None, "why": why}


def somebody(userid: str, **contents: Any) -> dict[str, Any]:
    return {"userid": userid, "why": None, **contents}


class TestLogin:
    def test_the_browser_is_logged_in_from_then_on(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who})
        key = login(testapp, 7)
        assert told_to(testapp) == somebody("7")
        assert get_sessions(testapp.app.registry).get(key).userid == "7"
        logout(testapp)
        assert told_to(testapp) == nobody()

    def test_the_session_is_that_of_the_visitor_before(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who})
        in_request(testapp, lambda request: request.session.update(cart=["apples"]))
        before = testapp.cookies["session"]
        login(testapp, "ada")
        assert told_to(testapp) == somebody("ada", cart=["apples"])
        assert testapp.cookies["session"] != before

    def test_it_is_a_login_as_any_other(self, make_app: MakeApp) -> None:
        told: list[LoggedIn] = []
        phone = make_app(
            {"/who": who}, configure=lambda c: c.add_subscriber(told.append, LoggedIn), max_sessions_per_user=1
        )
        laptop = TestApp(phone.app)
        login(phone, "ada")
        login(laptop, "ada")
        assert [event.userid for event in told] == ["ada", "ada"]
        assert (told_to(phone), told_to(laptop)) == (nobody(why="limit"), somebody("ada"))

    def test_settings_that_say_how_a_login_goes(self, make_app: MakeApp) -> None:
        testapp = make_app(
            {"/who": who},
            identity=lambda request, userid: {"name": userid, "at": request.at},
            credentials_hash=lambda request, identity: identity["name"],
            key_prefix=lambda request: f"{request.host.partition('.')[0]}-",
            # As older applications have it.
            configure=lambda c: c.add_subscriber(lambda event: setattr(event.request, "at", "once"), NewRequest),
        )
        assert login(testapp, "ada", persistent=True, url="http://shop.example.com/").startswith("shop-")
        assert told_to(testapp, "http://shop.example.com/who") == somebody("ada")

    def test_a_login_of_long_ago_is_not_fresh(self, make_app: MakeApp) -> None:
        def gated(config: Configurator) -> None:
            config.add_route("safe", "/safe")
            config.add_view(who, route_name="safe", fresh_login=300)

        testapp = make_app({"/who": who}, configure=gated)
        login(testapp, "ada", ago=290)
        testapp.get("/safe")
        login(testapp, "ada", ago=310)
        testapp.get("/safe", status=404)
        assert told_to(testapp) == somebody("ada")

    @pytest.mark.parametrize(("ago", "why"), [(1300, "timeout"), (100_000, "lifetime")])
    def test_a_login_that_has_expired(self, make_app: MakeApp, ago: int, why: str) -> None:
        testapp = make_app({"/who": who}, timeout="20m" if why == "timeout" else "none", lifetime="12h")
        login(testapp, "ada", ago=ago)
        assert told_to(testapp) == nobody(why)

    @pytest.mark.parametrize("setting", ["rolling", "resave"])
    def test_sessions_of_long_ago_were_not_used_since(self, make_app: MakeApp, setting: str) -> None:
        testapp = make_app({"/who": who}, **{setting: "true"})
        key = login(testapp, "ada", ago=1000)
        assert get_sessions(testapp.app.registry).get(key).renewed <= time() - 1000

    def test_a_client_with_a_session_header(self, make_app: MakeApp) -> None:
        client = TestApp(make_app({"/who": who}, header_name="X-Session").app, extra_environ={"HTTP_X_SESSION": ""})
        login(client, "ada")
        assert client.cookies == {}
        assert told_to(client) == somebody("ada")
        logout(client)
        assert told_to(client) == nobody()


class Wrapper:
    """WSGI middleware, behind a proxy that ends TLS."""

    def __init__(self, app: Any) -> None:
        self.application = app
        self.registry = ["of something else"]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.application({**environ, "wsgi.url_scheme": "https"}, start_response)


class TestWhereItIsSent:
    def test_cookies_for_https(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who}, cookie_name="__Host-session")
        with pytest.raises(RuntimeError, match=r'next request of this browser is not logged in.*url="https://'):
            login(testapp, "ada")
        login(testapp, "ada", url="https://localhost/")
        assert told_to(testapp, "https://localhost/who") == somebody("ada")

    def test_through_middleware(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who}, cookie_samesite="None", cookie_secure="true")
        router = testapp.app
        testapp.app = Wrapper(Wrapper(router))
        login(testapp, "ada", url="https://localhost/")
        assert told_to(testapp, "https://localhost/who") == somebody("ada")
        assert testapp.app.application.application is router

    def test_middleware_that_shows_no_application(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who})
        router = testapp.app
        testapp.app = lambda environ, start_response: router(environ, start_response)
        with pytest.raises(TypeError, match=r"No Pyramid application was found in testapp\.app, a function: pass its"):
            login(testapp, "ada")
        login(testapp, "ada", registry=router.registry)
        assert told_to(testapp) == somebody("ada")


class OtherPolicy:
    """Logs in with a cookie of its own."""

    def identity(self, request: Any) -> str | None:
        return self.authenticated_userid(request)

    def authenticated_userid(self, request: Any) -> str | None:
        return request.cookies.get("user")  # type: ignore[no-any-return]

    def remember(self, request: Any, userid: str, **kw: Any) -> list[tuple[str, str]]:
        return [("Set-Cookie", f"user={userid}")]


def error_page(config: Configurator) -> None:
    config.add_exception_view(lambda error, request: Response("Oops", status=500), context=Exception)


class TestRefusals:
    @pytest.mark.parametrize("configure", [None, error_page], ids=["raised", "shown as a page"])
    def test_a_user_whom_nobody_knows(self, make_app: MakeApp, configure: Any) -> None:
        testapp = make_app({"/who": who}, identity=lambda request, userid: None, configure=configure)
        with pytest.raises(LookupError, match="identity returned None for the userid 'ada'"):
            login(testapp, "ada")
        assert testapp.cookies == {}

    def test_what_is_no_userid(self, make_app: MakeApp) -> None:
        with pytest.raises(ValueError, match=r"login\(\) was given dict .* such as user\.id"):
            login(make_app({}), {"name": "ada"})

    def test_a_policy_that_logs_in_elsewhere(self, make_app: MakeApp) -> None:
        testapp = make_app(
            {}, security_policy="false", configure=lambda config: config.set_security_policy(OtherPolicy())
        )
        with pytest.raises(TypeError, match=r"security policy, OtherPolicy, .* request\.session\.login\(userid\)"):
            login(testapp, "ada")

    def test_sessions_of_another_library(self, make_app: MakeApp) -> None:
        def replace(config: Configurator) -> None:
            config.commit()
            config.set_session_factory(SignedCookieSessionFactory("secret"))

        with pytest.raises(TypeError, match="are of another kind: CookieSession"):
            login(make_app({}, configure=replace), "ada")

    def test_a_store_that_is_down(self, make_app: MakeApp, spy: Any) -> None:
        spy.failing["create"] = StoreUnavailable("down")
        with pytest.raises(RuntimeError, match=r"was not saved\. The answer was 503 Service Unavailable"):
            login(make_app({}), "ada")

    def test_a_tween_that_answers_first(self, make_app: MakeApp) -> None:
        name = f"{__name__}.to_https_tween"
        with pytest.raises(RuntimeError, match=r"A tween .* 301 Moved Permanently, Location: https://localhost/"):
            login(make_app({}, configure=lambda config: config.add_tween(name)), "ada")


def to_https_tween(handler: Any, registry: Any) -> Any:
    return lambda request: Response(status=301, location="https://localhost/")


class TestInRequest:
    def test_the_csrf_token_is_that_of_the_next_request(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who}, configure=lambda config: config.set_default_csrf_options(require_csrf=True))
        login(testapp, "ada")
        testapp.post("/who", status=400)
        testapp.post("/who", headers={"X-CSRF-Token": in_request(testapp, get_csrf_token)})

    def test_an_error_in_it_reaches_the_test(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who}, configure=error_page)
        with pytest.raises(KeyError, match="cart"):
            in_request(testapp, lambda request: (request.session.update(a=1), request.session["cart"]))
        assert told_to(testapp) == nobody()

    def test_its_subrequests_find_their_views(self, make_app: MakeApp) -> None:
        testapp = make_app({"/who": who})
        login(testapp, "ada")

        def ask(request: Request) -> Any:
            return request.invoke_subrequest(Request.blank("/who", cookies=request.cookies)).json

        assert in_request(testapp, ask) == somebody("ada")
