from __future__ import annotations

from typing import Any

import pytest
from pyramid import testing
from pyramid.authorization import Allow, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.csrf import CookieCSRFStoragePolicy
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ICSRFStoragePolicy, ISecurityPolicy, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import SessionSecurityPolicy
from pyramid_sessionkit.testing import make_session
from tests.conftest import SECRET, SpyStore

USERS = {"1": "ada", "2": "bob"}


def log_in(request: Request) -> Response:
    assert remember(request, request.params["user"], **({"persistent": True} if "keep" in request.params else {})) == []
    return Response("in")


def log_out(request: Request) -> Response:
    assert forget(request) == []
    return Response("out")


def who(request: Request) -> Response:
    return Response(f"{request.authenticated_userid} {request.identity} {request.is_authenticated}")


def put(request: Request) -> Response:
    request.session["thing"] = 1
    return Response(request.session.get_csrf_token())


def contents(request: Request) -> Response:
    return Response(json=request.session.copy())


def both(request: Request) -> Response:
    before = request.identity
    remember(request, "1")
    between = request.identity
    forget(request)
    return Response(f"{before} {between} {request.identity}")


VIEWS = {"/in": log_in, "/out": log_out, "/who": who, "/put": put, "/contents": contents, "/both": both}


def identity(request: Request, userid: str) -> str | None:
    return USERS.get(userid)


def principals(request: Request, user: str) -> list[str]:
    return [f"name:{user}"]


@pytest.fixture
def app(make_app: Any) -> TestApp:
    made: TestApp = make_app(VIEWS, identity=identity, principals=principals)
    return made


def test_login_and_logout(app: TestApp) -> None:
    assert app.get("/who").text == "None None False"
    app.get("/in?user=1")
    assert app.get("/who").text == "1 ada True"
    app.get("/out")
    assert app.get("/who").text == "None None False"


def test_a_user_who_is_gone_is_anonymous(app: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app.get("/in?user=1")
    monkeypatch.delitem(USERS, "1")
    assert app.get("/who").text == "None None False"


def test_without_an_identity_function_the_userid_is_it(make_app: Any) -> None:
    app = make_app(VIEWS)
    app.get("/in?user=ada")
    assert app.get("/who").text == "ada ada True"


def test_the_identity_is_loaded_once_and_follows_a_login_at_once(make_app: Any) -> None:
    calls = []

    def counted(request: Request, userid: str) -> str:
        calls.append(userid)
        return userid

    app = make_app(VIEWS, identity=counted)
    app.get("/in?user=1")
    calls.clear()
    app.get("/who")
    assert calls == ["1"]
    assert app.get("/both").text == "1 1 None"


def test_a_login_changes_id_and_csrf_token_and_keeps_contents(app: TestApp) -> None:
    token = app.get("/put").text
    before = app.cookies["session"]
    app.get("/in?user=1")
    assert app.cookies["session"] != before
    after = app.get("/contents").json
    assert after["thing"] == 1
    assert after["_csrft_"] != token
    app.reset()
    assert app.get("/contents", headers={"Cookie": f"session={before}"}).json == {}


def test_a_second_user_finds_nothing_of_the_first(app: TestApp) -> None:
    app.get("/in?user=1")
    app.get("/put")
    of_first = app.cookies["session"]
    app.get("/in?user=2")
    assert "thing" not in app.get("/contents").json
    app.reset()
    assert app.get("/who", headers={"Cookie": f"session={of_first}"}).text == "None None False"


def test_remembering_for_longer(app: TestApp) -> None:
    assert "Max-Age" not in app.get("/in?user=1").headers["Set-Cookie"]
    assert "Max-Age=1200" in app.get("/in?user=1&keep=1").headers["Set-Cookie"]


def test_numbers_are_userids_too_but_nothing_is_not(make_app: Any) -> None:
    def view(request: Request) -> Response:
        remember(request, 7)
        for nobody in (None, ""):
            with pytest.raises(ValueError, match="id of a user"):
                remember(request, nobody)
        return Response(repr(request.authenticated_userid))

    assert make_app({"/": view}).get("/").text == "'7'"


def test_acls(make_app: Any) -> None:
    class Root:
        __acl__ = [(Allow, Everyone, "read"), (Allow, Authenticated, "write"), (Allow, "name:ada", "admin")]

        def __init__(self, request: Request) -> None:
            pass

    def view(request: Request) -> Response:
        return Response(" ".join(name for name in ("read", "write", "admin") if request.has_permission(name)))

    app = make_app(
        {**VIEWS, "/may": view},
        identity=identity,
        principals=principals,
        configure=lambda config: config.set_root_factory(Root),
    )
    assert app.get("/may").text == "read"
    app.get("/in?user=2")
    assert app.get("/may").text == "read write"
    app.get("/in?user=1")
    assert app.get("/may").text == "read write admin"


def test_the_policy_is_the_applications_if_it_has_one(make_app: Any) -> None:
    own = SessionSecurityPolicy()
    app = make_app({}, configure=lambda config: config.set_security_policy(own))
    assert app.app.registry.getUtility(ISecurityPolicy) is own


def test_the_policy_can_be_left_out(make_app: Any) -> None:
    assert make_app({}, security_policy="false").app.registry.queryUtility(ISecurityPolicy) is None


def test_another_session_factory_cannot_hold_a_login(make_app: Any) -> None:
    from pyramid.session import SignedCookieSessionFactory

    def configure(config: Configurator) -> None:
        config.set_session_factory(SignedCookieSessionFactory("x"))

    app = make_app(VIEWS, configure=configure)
    assert app.get("/who").text == "None None False"
    with pytest.raises(ConfigurationError, match="remove the other session factory"):
        app.get("/in?user=1")


class TestLoggedInPredicate:
    @pytest.fixture
    def gated(self, make_app: Any) -> TestApp:
        def configure(config: Configurator) -> None:
            config.add_route("home", "/home")
            config.add_view(lambda r: Response("members"), route_name="home", logged_in=True)
            config.add_view(lambda r: Response("visitors"), route_name="home", logged_in=False)
            config.add_route("members", "/members")
            config.add_view(lambda r: Response("members"), route_name="members", logged_in=True)

        app: TestApp = make_app(VIEWS, identity=identity, configure=configure)
        return app

    def test_it_gates(self, gated: TestApp) -> None:
        assert gated.get("/home").text == "visitors"
        gated.get("/members", status=404)
        gated.get("/in?user=1")
        assert gated.get("/home").text == gated.get("/members").text == "members"

    def test_it_asks_for_the_identity_not_for_the_userid(self, gated: TestApp) -> None:
        gated.get("/in?user=3")
        gated.get("/members", status=404)

    def test_it_is_true_or_false(self, make_app: Any) -> None:
        with pytest.raises(ConfigurationError, match="logged_in is True or False, not 'yes'"):
            make_app({}, configure=lambda c: c.add_view(who, logged_in="yes"))


class TestUnitTests:
    """What users do in their own unit tests."""

    def test_dummy_request_with_our_include(self) -> None:
        with testing.testConfig(settings={"sessionkit.secret": SECRET}) as config:
            config.include("pyramid_sessionkit")
            request = testing.DummyRequest()
            assert request.identity is None
            assert request.session.get_csrf_token()
            request.session = config.registry.getUtility(ISessionFactory)(request)
            remember(request, "ada")
            assert request.authenticated_userid == "ada"

    def test_make_session(self) -> None:
        with testing.testConfig(settings={"sessionkit.secret": SECRET}) as config:
            config.include("pyramid_sessionkit")
            request = testing.DummyRequest(session=make_session({"cart": [1]}, userid="ada"))
            assert request.identity == "ada"
            assert request.session["cart"] == [1]
            assert not request.session.new
            forget(request)
            assert request.identity is None

    def test_a_dummy_session_names_the_cure(self) -> None:
        with testing.testConfig(settings={"sessionkit.secret": SECRET}) as config:
            config.include("pyramid_sessionkit")
            with pytest.raises(ConfigurationError, match=r"pyramid_sessionkit\.testing\.make_session"):
                remember(testing.DummyRequest(), "ada")

    def test_a_refused_post_stores_no_session(self, make_app: Any, spy: SpyStore) -> None:
        app = make_app(VIEWS, configure=lambda config: config.set_default_csrf_options(require_csrf=True))
        app.post("/who", {"csrf_token": "guess"}, status=400)
        app.post("/who", status=400)
        assert spy.calls == []

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_a_csrf_policy_of_the_applications_own_stays(self, where: str) -> None:
        own = CookieCSRFStoragePolicy()
        config = Configurator(settings={"sessionkit.secret": SECRET})
        steps = [
            lambda: config.include("pyramid_sessionkit"),
            lambda: config.include(lambda config: config.set_csrf_storage_policy(own)),
        ]
        for step in steps if where == "after" else reversed(steps):
            step()
        config.commit()
        assert config.registry.getUtility(ICSRFStoragePolicy) is own

    def test_pyramids_csrf_check(self, make_app: Any, spy: SpyStore) -> None:
        def configure(config: Configurator) -> None:
            config.set_default_csrf_options(require_csrf=True)

        app = make_app({**VIEWS, "/post": who}, configure=configure)
        token = app.get("/put").text
        app.post("/post", status=400)
        app.post("/post", {"csrf_token": token}, status=200)
        app.post("/post", headers={"X-CSRF-Token": token}, status=200)
        app.post("/in?user=1", headers={"X-CSRF-Token": token})
        app.post("/post", headers={"X-CSRF-Token": token}, status=400)
