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
from tests.cookie_age import lasts

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


def test_the_next_user_with_the_same_id_is_not_logged_in(app: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app.get("/in?user=1")
    monkeypatch.delitem(USERS, "1")
    app.get("/who")
    monkeypatch.setitem(USERS, "1", "eve")
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


def test_a_login_changes_secret_and_token_and_keeps_contents(app: TestApp) -> None:
    token = app.get("/put").text
    before = app.cookies["session"]
    app.get("/in?user=1")
    after = app.cookies["session"]
    assert (after.split(".")[0], after.split(".")[1] == before.split(".")[1]) == (before.split(".")[0], False)
    assert app.get("/contents").json == {"thing": 1}
    assert app.get("/put").text != token
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
    assert lasts(app.get("/in?user=1&keep=1"), 43200)


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [({"max_age": 60}, "pass persistent=True"), ({"tokens": ["x"]}, r"sessionkit\.principals"), ({"other": 1}, "")],
)
def test_unknown_arguments_of_remember_are_refused(make_app: Any, arguments: dict[str, Any], instead: str) -> None:
    def view(request: Request) -> Response:
        remember(request, "1", **arguments)
        return Response("never")

    app = make_app({**VIEWS, "/": view})
    with pytest.raises(TypeError, match=rf"remember\(\) takes no {min(arguments)}.*{instead}"):
        app.get("/")
    assert app.get("/who").text == "None None False"


def test_unknown_arguments_of_forget_are_refused(make_app: Any) -> None:
    def view(request: Request) -> Response:
        forget(request, everywhere=True)
        return Response("never")

    app = make_app({**VIEWS, "/": view})
    app.get("/in?user=ada")
    with pytest.raises(TypeError, match=r"forget\(\) takes no everywhere"):
        app.get("/")
    assert app.get("/who").text == "ada ada True"


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


class TestCSRFTokens:
    @pytest.fixture
    def app(self, make_app: Any) -> TestApp:
        def form(request: Request) -> Response:
            return Response(request.session.get_csrf_token())

        def post(request: Request) -> Response:
            request.session["posted"] = True
            return Response("posted")

        def regenerate(request: Request) -> Response:
            request.session.regenerate_id()
            return Response("new secret")

        def renew(request: Request) -> Response:
            return Response(request.session.new_csrf_token())

        views = {**VIEWS, "/form": form, "/post": post, "/regenerate": regenerate, "/renew": renew}
        app: TestApp = make_app(views, configure=lambda config: config.set_default_csrf_options(require_csrf=True))
        return app

    def post(self, app: TestApp, path: str, token: str, status: int = 200) -> None:
        app.post(path, headers={"X-CSRF-Token": token}, status=status)

    def test_a_form_stores_nothing_and_can_be_sent(self, app: TestApp, spy: SpyStore) -> None:
        token = app.get("/form").text
        assert app.cookies["session"].startswith("-.")
        assert app.get("/form").text == token
        assert spy.calls == []
        self.post(app, "/post", token)
        assert spy.calls == ["create"]

    def test_none_without_the_cookie_that_it_was_made_for(self, app: TestApp) -> None:
        token = app.get("/form").text
        app.reset()
        self.post(app, "/post", token, 400)
        app.get("/form")
        self.post(app, "/post", token, 400)

    def test_a_form_from_before_something_was_stored_can_be_sent(self, app: TestApp) -> None:
        token = app.get("/form").text
        self.post(app, "/post", token)
        assert app.get("/form").text == token
        self.post(app, "/post", token)

    def test_a_new_secret_changes_no_token(self, app: TestApp) -> None:
        app.get("/put")
        token = app.get("/form").text
        app.get("/regenerate")
        assert app.get("/form").text == token
        self.post(app, "/post", token)

    def test_a_new_token_is_stored_as_a_nonce_and_replaces_the_old(self, app: TestApp) -> None:
        app.get("/put")
        before = app.get("/form").text
        token = app.get("/renew").text
        assert token != before
        assert app.get("/form").text == token
        assert token not in str(app.get("/contents").json)
        self.post(app, "/post", before, 400)
        self.post(app, "/post", token)

    def test_a_form_that_was_open_longer_than_its_session(self, app: TestApp, spy: SpyStore) -> None:
        app.get("/put")
        token = app.get("/form").text
        spy.store.clear()
        self.post(app, "/in?user=1", token)
        assert app.get("/who").text == "1 1 True"

    def test_a_visitor_can_log_out_twice(self, app: TestApp, spy: SpyStore) -> None:
        app.get("/in?user=1")
        token = app.get("/form").text
        first_tab = app.cookies["session"]
        self.post(app, "/out", token)
        app.set_cookie("session", first_tab)
        self.post(app, "/out", token)
        assert spy.store.count() == 0
