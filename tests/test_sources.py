"""Who sends a request when it is not the session that says so; and the parts that an application replaces."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from pyramid.authentication import AuthTktAuthenticationPolicy
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.csrf import CookieCSRFStoragePolicy
from pyramid.exceptions import ConfigurationConflictError, ConfigurationError
from pyramid.interfaces import ISecurityPolicy
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import LegacySecurityPolicy, remember
from webtest import TestApp

from pyramid_sessionkit import BasicAuthSource, BearerTokenSource, SessionSecurityPolicy, SessionSource
from tests.conftest import SECRET, SpyStore

PASSWORDS = {"ada": "hash-1", "bob": "hash-2"}


def who(request: Request) -> Response:
    return Response(str(request.authenticated_userid))


def log_in(request: Request) -> Response:
    remember(request, request.params["user"])
    return Response("in")


def check_password(request: Request, username: str, password: str) -> str | None:
    return username if password == "right:ü" else None


def check_token(request: Request, token: str) -> str | None:
    return {"t0ken==": "bob", "gone": "dora"}.get(token)


def identity(request: Request, userid: str) -> str | None:
    return userid if userid in PASSWORDS else None


def credentials_hash(request: Request, user: str) -> str:
    return PASSWORDS[user]


VIEWS = {"/who": who, "/in": log_in}


def basic(password: str, username: str = "ada") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def add_sources(config: Configurator) -> None:
    config.add_session_source(BasicAuthSource(check_password))
    config.add_session_source(BearerTokenSource(check_token))
    config.add_session_source(lambda request: request.headers.get("X-User"))


class TestSources:
    @pytest.fixture
    def app(self, make_app: Any) -> TestApp:
        app: TestApp = make_app(VIEWS, configure=add_sources)
        return app

    @pytest.mark.parametrize(
        ("headers", "userid"),
        [
            ({}, None),
            (basic("right:ü"), "ada"),
            (basic("wrong"), None),
            ({"Authorization": "Basic ???"}, None),
            (bearer("t0ken=="), "bob"),
            ({"Authorization": "bearer t0ken=="}, "bob"),
            (bearer("wrong"), None),
            (bearer("t0ken== x"), None),
            ({"Authorization": "Bearer"}, None),
            ({"X-User": "carl"}, "carl"),
            ({**bearer("t0ken=="), "X-User": "carl"}, "bob"),
        ],
    )
    def test_each(self, app: TestApp, headers: dict[str, str], userid: str | None, spy: SpyStore) -> None:
        assert app.get("/who", headers=headers).text == str(userid)
        assert spy.calls == []

    def test_the_session_comes_first(self, app: TestApp) -> None:
        app.get("/in?user=dora")
        assert app.get("/who", headers=bearer("t0ken==")).text == "dora"

    def test_a_user_of_the_session_who_is_gone_is_nobody_else(self, make_app: Any) -> None:
        app = make_app(VIEWS, configure=add_sources, identity=identity)
        app.get("/in?user=dora")
        assert app.get("/who", headers=bearer("t0ken==")).text == "None"

    def test_a_realm_that_would_break_the_header(self) -> None:
        with pytest.raises(ConfigurationError, match="without quotes"):
            BasicAuthSource(check_password, realm='a"b')


class TestCSRF:
    @pytest.fixture(params=["default options", "own options", "view option"])
    def app(self, make_app: Any, request: pytest.FixtureRequest) -> TestApp:
        def configure(config: Configurator) -> None:
            add_sources(config)
            config.add_route("change", "/change")
            if request.param == "view option":
                config.add_view(who, route_name="change", require_csrf=True)
                return
            config.add_view(who, route_name="change")
            options = {"callback": lambda request: "X-No-Check" not in request.headers}
            config.set_default_csrf_options(require_csrf=True, **(options if request.param == "own options" else {}))

        app: TestApp = make_app(VIEWS, configure=configure)
        app.own_options = request.param == "own options"
        return app

    @pytest.mark.parametrize("url", ["/change", "https://localhost/change"])
    def test_a_bearer_token_needs_no_csrf_token(self, app: TestApp, url: str) -> None:
        assert app.post(url, headers=bearer("t0ken==")).text == "bob"
        app.post(url, headers=bearer("wrong"), status=400)

    def test_basic_needs_one(self, app: TestApp) -> None:
        app.post("/change", headers=basic("right:ü"), status=400)

    def test_other_sources_need_one(self, app: TestApp) -> None:
        app.post("/change", headers={"X-User": "carl"}, status=400)

    @pytest.mark.parametrize("cookie", ["session=forged", f"session={'x' * 22}.{'y' * 43}.{'z' * 43}"])
    def test_a_bearer_token_beside_our_cookie_needs_one(self, app: TestApp, cookie: str) -> None:
        app.post("/change", headers={**bearer("t0ken=="), "Cookie": cookie}, status=400)

    def test_the_applications_own_callback_still_counts(self, app: TestApp) -> None:
        app.post("/change", headers={"X-No-Check": "1"}, status=200 if app.own_options else 400)


class TestCredentialsHash:
    @pytest.fixture
    def app(self, make_app: Any) -> TestApp:
        def keep(request: Request) -> Response:
            remember(request, request.authenticated_userid)
            return Response("kept")

        app: TestApp = make_app({**VIEWS, "/keep": keep}, identity=identity, credentials_hash=credentials_hash)
        return app

    def test_a_change_ends_the_session(self, app: TestApp, spy: SpyStore, monkeypatch: pytest.MonkeyPatch) -> None:
        app.get("/in?user=ada")
        assert app.get("/who").text == "ada"
        monkeypatch.setitem(PASSWORDS, "ada", "hash-3")
        before = app.cookies["session"]
        assert app.get("/who").text == "None"
        assert spy.store.count() == 0
        # Another request may just be sending the cookie of a new login.
        assert app.cookies["session"] == before
        assert app.get("/who").text == "None"

    def test_a_poll_ends_no_session_that_was_just_logged_in_again(
        self, app: TestApp, spy: SpyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app.get("/in?user=ada")
        poll = TestApp(app.app)
        poll.set_cookie("session", app.cookies["session"])
        monkeypatch.setitem(PASSWORDS, "ada", "hash-3")
        spy.before["delete"] = lambda: app.get("/in?user=ada")
        response = poll.get("/who")
        assert (response.text, "Set-Cookie" in response.headers) == ("None", False)
        assert app.get("/who").text == "ada"

    def test_the_one_who_changed_it_stays_by_logging_in_anew(
        self, app: TestApp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = TestApp(app.app)
        for browser in (app, other):
            browser.get("/in?user=ada")
        app.get("/who")
        monkeypatch.setitem(PASSWORDS, "ada", "hash-3")
        with pytest.raises(ValueError, match="id of a user"):
            app.get("/keep")  # too late: this request began with the old credentials
        app.get("/in?user=ada")
        assert app.get("/who").text == "ada"
        assert other.get("/who").text == "None"

    def test_the_store_never_sees_it(self, app: TestApp, spy: SpyStore) -> None:
        app.get("/in?user=ada")
        (record,) = spy.store._records.values()
        assert record.credentials != "hash-1"
        assert len(record.credentials) == 64

    def test_a_login_from_before_there_was_one_ends(self, make_app: Any, app: TestApp, spy: SpyStore) -> None:
        before = make_app(VIEWS, identity=identity)
        before.get("/in?user=ada")
        app.cookiejar = before.cookiejar
        assert app.get("/who").text == "None"

    def test_an_unknown_user_cannot_be_remembered(self, app: TestApp) -> None:
        with pytest.raises(ValueError, match="flush a new one first"):
            app.get("/in?user=nobody")


def test_a_session_that_a_view_ended_itself_is_nobodys(make_app: Any) -> None:
    def view(request: Request) -> Response:
        before = request.identity
        request.session.invalidate()
        return Response(f"{before} {request.identity}")

    app = make_app({**VIEWS, "/end": view})
    app.get("/in?user=ada")
    assert app.get("/end").text == "ada None"


class TestDirectives:
    def test_they_replace_the_settings_and_are_introspectable(self, make_app: Any) -> None:
        def configure(config: Configurator) -> None:
            config.set_session_identity("tests.test_sources.identity")
            config.set_session_principals(lambda request, user: [])
            config.set_session_credentials_hash(credentials_hash)
            config.add_session_source(BasicAuthSource(check_password))

        app = make_app(VIEWS, configure=configure, identity=lambda request, userid: None)
        app.get("/in?user=ada")
        assert app.get("/who").text == "ada"
        found = app.app.registry.introspector.get_category("session security")
        assert {entry["introspectable"].type_name for entry in found} == {
            "session identity",
            "session principals",
            "session credentials_hash",
            "session source",
        }
        assert SECRET not in str([vars(entry["introspectable"]) for entry in found])

    def test_two_of_one_kind_conflict(self, make_app: Any) -> None:
        def configure(config: Configurator) -> None:
            config.include(one)
            config.include(other)

        def one(config: Configurator) -> None:
            config.set_session_identity(identity)

        def other(config: Configurator) -> None:
            config.set_session_identity(credentials_hash)

        with pytest.raises(ConfigurationConflictError):
            make_app({}, configure=configure)

    def test_sources_are_asked_in_the_order_added(self, make_app: Any) -> None:
        app = make_app({}, configure=add_sources)
        kinds = [type(source) for source in app.app.registry.getUtility(ISecurityPolicy).sources]
        assert kinds[:3] == [SessionSource, BasicAuthSource, BearerTokenSource]


class OwnPolicy:
    def identity(self, request: Request) -> str:
        return "own"

    authenticated_userid = identity
    permits = remember = forget = lambda self, *args, **kw: []


def cookiecutter_security(config: Configurator) -> None:
    """What security.py of pyramid-cookiecutter-starter does."""
    config.set_csrf_storage_policy(CookieCSRFStoragePolicy())
    config.set_default_csrf_options(require_csrf=True)
    config.set_security_policy(OwnPolicy())


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_cookiecutters_own_policy_wins(order: str) -> None:
    with Configurator(settings={"sessionkit.secret": SECRET}) as config:
        includes = [cookiecutter_security, "pyramid_sessionkit"]
        for include in includes if order == "before" else reversed(includes):
            config.include(include)
        config.add_route("who", "/who")
        config.add_view(who, route_name="who")
    assert TestApp(config.make_wsgi_app()).get("/who").text == "own"


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.filterwarnings("ignore:Authentication and authorization policies:DeprecationWarning")
def test_legacy_policies_keep_working(order: str) -> None:
    def legacy(config: Configurator) -> None:
        config.set_authorization_policy(ACLAuthorizationPolicy())
        config.set_authentication_policy(AuthTktAuthenticationPolicy("seekrit", hashalg="sha512"))

    def log_in(request: Request) -> Response:
        response = Response("in")
        response.headerlist.extend(remember(request, "ada"))
        return response

    with Configurator(settings={"sessionkit.secret": SECRET}) as config:
        includes = [legacy, "pyramid_sessionkit"]
        for include in includes if order == "before" else reversed(includes):
            config.include(include)
        for path, view in {"/in": log_in, "/who": who}.items():
            config.add_route(path, path)
            config.add_view(view, route_name=path)
    app = TestApp(config.make_wsgi_app())
    assert isinstance(app.app.registry.getUtility(ISecurityPolicy), LegacySecurityPolicy)
    app.get("/in")
    assert app.get("/who").text == "ada"


def test_a_policy_made_by_hand() -> None:
    policy = SessionSecurityPolicy(sources=[lambda request: "ada"])
    assert policy.authenticated_userid(Request.blank("/")) == "ada"
