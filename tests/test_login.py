"""Gates: who is sent to the login page, and where they go from there."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError, PredicateMismatch
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from webtest import TestApp

from pyramid_sessionkit import BasicAuthSource, BearerTokenSource, LoginRequired, safe_next
from tests.conftest import SpyStore
from tests.test_sources import PASSWORDS, basic, bearer, check_password, check_token, identity


def answer(text: str) -> Any:
    return lambda request: Response(text)


def log_in(request: Request) -> Response:
    if request.method == "GET":
        return Response("login form")
    remember(request, "ada")
    return HTTPSeeOther(safe_next(request))


def not_found(request: Request) -> Response:
    raise HTTPNotFound("no such message")


def decline(request: Request) -> Response:
    raise PredicateMismatch("not for this view")


@pytest.fixture
def gated(make_app: Any) -> TestApp:
    def configure(config: Configurator) -> None:
        config.add_notfound_view(lambda request: Response("our own 404", status=404))
        for name in ("page", "multi", "fallback", "declined"):
            config.add_route(name, f"/{name}")
        config.add_view(answer("page"), route_name="page", logged_in=True, request_method="GET")
        config.add_view(answer("posted"), route_name="page", logged_in=True, request_method="POST")
        config.add_view(answer("members"), route_name="multi", logged_in=True)
        config.add_view(answer("visitors"), route_name="multi", logged_in=False)
        config.add_view(answer("fresh"), route_name="fallback", fresh_login=300)
        config.add_view(not_found, route_name="fallback")
        config.add_view(answer("declined"), route_name="declined", logged_in=True)
        config.add_view(decline, route_name="declined")
        config.add_route("members", "/members", logged_in=True)
        config.add_view(answer("members"), route_name="members")
        config.add_route("fresh", "/fresh")
        config.add_view(answer("fresh"), route_name="fresh", fresh_login=300)
        config.add_route("cart", "/cart", session_has="cart")
        config.add_view(answer("cart"), route_name="cart")
        config.add_route("both", "/both")
        config.add_view(answer("both"), route_name="both", session_has=("cart", "address"))

    def fill(request: Request) -> Response:
        request.session.update(dict.fromkeys(request.params, 1))
        return Response("filled")

    app: TestApp = make_app({"/login": log_in, "/fill": fill}, login_route="/login", configure=configure)
    return app


class TestGate:
    @pytest.mark.parametrize("path", ["/page", "/members", "/fresh", "/page?a=1&b=%2F"])
    def test_there_and_back(self, gated: TestApp, path: str) -> None:
        response = gated.get(path, status=303)
        assert response.location.startswith("http://localhost/login?next=%2F")
        assert response.headers["Vary"] == "Accept, X-Requested-With, Cookie"
        response = gated.post(response.location).follow()
        assert response.request.path_qs == path
        assert response.status_int == 200

    def test_under_a_prefix(self, gated: TestApp) -> None:
        response = gated.get("/page", extra_environ={"SCRIPT_NAME": "/app"}, status=303)
        assert response.location == "http://localhost/app/login?next=%2Fapp%2Fpage"

    def test_a_view_for_the_others_takes_them(self, gated: TestApp) -> None:
        assert gated.get("/multi").text == "visitors"

    def test_a_404_that_a_view_raises_is_its_own(self, gated: TestApp) -> None:
        assert gated.get("/fallback", status=404).text == "our own 404"

    def test_a_view_that_declines_has_not_taken_the_request(self, gated: TestApp) -> None:
        assert gated.get("/declined", status=303).location == "http://localhost/login?next=%2Fdeclined"
        gated.post("/login")
        assert gated.get("/declined").text == "declined"

    def test_another_404_stays_the_applications(self, gated: TestApp) -> None:
        assert gated.get("/nowhere", status=404).text == "our own 404"

    @pytest.mark.parametrize("path", ["/cart", "/both"])
    def test_a_missing_key_is_no_reason_to_log_in(self, gated: TestApp, path: str) -> None:
        gated.get(path, status=404)
        gated.get("/fill?cart=1")
        gated.get("/cart", status=200)
        gated.get("/both", status=404)
        gated.get("/fill?address=1")
        gated.get("/both", status=200)

    def test_a_wrong_method_is_no_reason_either_and_costs_no_call(self, gated: TestApp, spy: SpyStore) -> None:
        gated.post("/login")
        spy.calls.clear()
        gated.delete("/page", status=404)
        assert spy.calls == []

    @pytest.mark.parametrize(
        ("referer", "location"),
        [
            ("http://localhost/page?a=1", "http://localhost/login?next=%2Fpage%3Fa%3D1"),
            ("http://evil.example/page", "http://localhost/login"),
            ("https://localhost/page", "http://localhost/login"),
            ("", "http://localhost/login"),
        ],
    )
    def test_of_a_post_next_is_the_page_it_came_from(self, gated: TestApp, referer: str, location: str) -> None:
        assert gated.post("/page", headers={"Referer": referer}, status=303).location == location

    @pytest.mark.parametrize(
        "headers",
        [
            {"Accept": "application/json"},
            {"Accept": "application/json, text/html;q=0.5"},
            {"Accept": "application/problem+json"},
            {"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"},
        ],
    )
    def test_an_api_client_gets_401(self, gated: TestApp, headers: dict[str, str]) -> None:
        response = gated.get("/page", headers=headers, status=401)
        assert response.content_type == "application/problem+json"
        assert response.json["status"] == 401
        assert response.json["detail"] == "Log in first."

    @pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*", "image/png"])
    def test_a_browser_is_redirected(self, gated: TestApp, accept: str) -> None:
        gated.get("/page", headers={"Accept": accept}, status=303)

    def test_without_a_login_route_a_mismatch_stays_a_404(self, make_app: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_route("page", "/page")
            config.add_view(answer("page"), route_name="page", logged_in=True)

        make_app({}, configure=configure).get("/page", status=404)

    def test_a_gated_login_page_is_no_endless_redirect(self, make_app: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_route("login", "/login")
            config.add_view(answer("login"), route_name="login", logged_in=True)

        make_app({}, login_route="login", configure=configure).get("/login", status=404)

    def test_a_login_route_that_does_not_exist_is_named_at_start_up(self, make_app: Any) -> None:
        with pytest.raises(
            ConfigurationError, match=r"sessionkit\.login_route = lgoin: there is no such route; .*/login"
        ):
            make_app({"/login": log_in}, login_route="lgoin")
        with pytest.raises(ConfigurationError, match="there are none"):
            make_app({}, login_route="lgoin")

    @pytest.mark.parametrize(("policy", "text"), [({"userid": "ada"}, "members"), ({"identity": "nobody"}, "visitors")])
    def test_it_passes_as_is_authenticated_does(self, make_app: Any, policy: dict[str, str], text: str) -> None:
        """Pyramid's policy for tests, and many others, may have a userid and no identity, or an identity for nobody."""

        def configure(config: Configurator) -> None:
            config.testing_securitypolicy(**policy)
            config.add_route("page", "/page")
            config.add_view(answer("members"), route_name="page", logged_in=True)
            config.add_view(answer("visitors"), route_name="page", logged_in=False)

        assert make_app({}, configure=configure).get("/page").text == text


class TestFreshLogin:
    @pytest.mark.parametrize(("age", "status"), [(0, 200), (290, 200), (310, 303), (-310, 303)])
    def test_the_age_of_the_login(self, gated: TestApp, age: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        gated.post("/login")
        now = time.time()
        monkeypatch.setattr("pyramid_sessionkit.gates.predicates.time", lambda: now + age)
        gated.get("/fresh", status=status)

    def test_an_api_client_is_told_to_log_in_again(self, gated: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        gated.post("/login")
        now = time.time()
        monkeypatch.setattr("pyramid_sessionkit.gates.predicates.time", lambda: now + 301)
        assert "recent login" in gated.get("/fresh", headers={"Accept": "application/json"}, status=401).json["detail"]

    def test_other_sources_are_never_fresh(self, make_app: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_session_source(BearerTokenSource(lambda request, token: "ada"))
            config.add_route("fresh", "/fresh")
            config.add_view(answer("fresh"), route_name="fresh", fresh_login=300)

        app = make_app({"/login": log_in}, login_route="/login", configure=configure)
        app.get("/fresh", headers={"Authorization": "Bearer x"}, status=303)


class TestConfirmRoute:
    @pytest.fixture
    def site(self, make_app: Any, turned_away: list[LoginRequired]) -> TestApp:
        def configure(config: Configurator) -> None:
            config.add_route("fresh", "/fresh")
            config.add_view(answer("fresh"), route_name="fresh", logged_in=True, fresh_login=300)
            config.add_route("confirm", "/confirm")
            config.add_view(log_in, route_name="confirm", logged_in=True)
            config.add_subscriber(turned_away.append, LoginRequired)

        app: TestApp = make_app(
            {"/login": log_in}, login_route="/login", confirm_route="confirm", configure=configure, timeout=3600
        )
        return app

    @pytest.fixture
    def turned_away(self) -> list[LoginRequired]:
        return []

    @pytest.fixture
    def stale(self, site: TestApp, monkeypatch: pytest.MonkeyPatch) -> TestApp:
        """Logged in, but not just now."""
        site.post("/login")
        now = time.time()
        monkeypatch.setattr("pyramid_sessionkit.gates.predicates.time", lambda: now + 301)
        return site

    def test_who_is_logged_in_confirms_and_goes_on(self, stale: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = stale.get("/fresh?a=1", status=303)
        assert answer.location == "http://localhost/confirm?next=%2Ffresh%3Fa%3D1"
        monkeypatch.undo()
        assert stale.post(answer.location, status=303).location == "http://localhost/fresh?a=1"

    def test_who_is_not_logged_in_logs_in(self, site: TestApp) -> None:
        assert site.get("/fresh", status=303).location == "http://localhost/login?next=%2Ffresh"

    def test_nobody_confirms_right_after_a_login(self, site: TestApp) -> None:
        answer = site.get("/confirm?next=/fresh", status=303)
        assert answer.location == "http://localhost/login?next=%2Ffresh"
        answer = site.post("/confirm?next=/fresh", status=303)
        assert answer.location == "http://localhost/login?next=%2Ffresh"

    def test_a_confirm_page_leads_nobody_elsewhere(self, site: TestApp) -> None:
        assert site.get("/confirm?next=//evil.example", status=303).location == "http://localhost/login"

    def test_subscribers_are_told_where_a_browser_goes(
        self, stale: TestApp, site: TestApp, turned_away: list[LoginRequired]
    ) -> None:
        stale.get("/fresh")
        TestApp(site.app).get("/fresh")
        site.get("/fresh", headers={"Accept": "application/json"}, status=401)
        assert [(event.route, event.why) for event in turned_away] == [("confirm", None), ("/login", None)]

    def test_a_gated_confirm_page_is_no_endless_redirect(self, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def configure(config: Configurator) -> None:
            config.add_route("confirm", "/confirm")
            config.add_view(answer("confirm"), route_name="confirm", fresh_login=300)

        app = make_app({"/login": log_in}, login_route="/login", confirm_route="confirm", configure=configure)
        app.post("/login")
        now = time.time()
        monkeypatch.setattr("pyramid_sessionkit.gates.predicates.time", lambda: now + 301)
        app.get("/confirm", status=404)

    def test_a_confirm_route_that_does_not_exist_is_named_at_start_up(self, make_app: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"sessionkit\.confirm_route = confrim: there is no such route"):
            make_app({"/login": log_in}, login_route="/login", confirm_route="confrim")


class TestWhy:
    def test_the_login_page_learns_why(self, gated: TestApp, clock: Any) -> None:
        clock(0)
        gated.post("/login")
        clock(21 * 60)
        assert gated.get("/page", status=303).location == "http://localhost/login?next=%2Fpage&why=timeout"

    def test_what_a_subscriber_puts_into_the_session_is_saved(self, make_app: Any) -> None:
        def keep(event: LoginRequired) -> None:
            event.request.session["kept"] = event.request.POST["text"]

        def configure(config: Configurator) -> None:
            config.add_route("page", "/page")
            config.add_view(answer("posted"), route_name="page", logged_in=True)
            config.add_route("kept", "/kept")
            config.add_view(lambda request: Response(request.session["kept"]), route_name="kept")
            config.add_subscriber(keep, LoginRequired)

        app = make_app({"/login": log_in}, login_route="/login", configure=configure)
        app.post("/page", {"text": "long"}, status=303)
        assert app.get("/kept").text == "long"


@pytest.mark.parametrize(
    "predicate",
    [{"fresh_login": 0}, {"fresh_login": True}, {"fresh_login": "5m"}, {"session_has": 1}, {"session_has": ()}],
)
def test_bad_values_are_refused(make_app: Any, predicate: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(predicate))):
        make_app({}, configure=lambda config: config.add_view(answer(""), **predicate))


def test_the_challenges_of_the_sources(make_app: Any) -> None:
    def configure(config: Configurator) -> None:
        config.add_session_source(BasicAuthSource(lambda request, username, password: None, realm="Example"))
        config.add_session_source(BearerTokenSource(lambda request, token: None))
        config.add_route("page", "/page")
        config.add_view(answer("page"), route_name="page", logged_in=True)

    app = make_app({"/login": log_in}, login_route="/login", configure=configure)
    response = app.get("/page", headers={"Accept": "application/json"}, status=401)
    assert response.headers.getall("WWW-Authenticate") == ['Basic realm="Example", charset="UTF-8"', "Bearer"]
    response = app.get("/page", headers={"X-Requested-With": "fetch"}, status=401)
    assert "WWW-Authenticate" not in response.headers


class TestWrongCredentials:
    @pytest.fixture
    def api(self, make_app: Any) -> TestApp:
        def configure(config: Configurator) -> None:
            config.add_session_source(lambda request: None)
            config.add_session_source(BasicAuthSource(check_password, realm="Shop"))
            config.add_session_source(BearerTokenSource(check_token))
            config.add_session_source(BearerTokenSource(lambda request, token: None))
            for path, gate in {"/page": {"logged_in": True}, "/fresh": {"fresh_login": 300}}.items():
                config.add_route(path[1:], path)
                config.add_view(answer("page"), route_name=path[1:], require_csrf=False, **gate)

        views = {"/login": log_in, "/confirm": log_in}
        app: TestApp = make_app(
            views, login_route="/login", confirm_route="/confirm", configure=configure, identity=identity
        )
        return app

    @pytest.mark.parametrize("client", [{}, {"Accept": "text/html"}, {"X-Requested-With": "fetch"}])
    @pytest.mark.parametrize(
        "sent", ["Bearer wrong", "bearer wrong", "Bearer", "Bearer a b", "Bearer ü", "Bearer gone"]
    )
    def test_a_wrong_token_is_called_that(self, api: TestApp, sent: str, client: dict[str, str]) -> None:
        response = api.get("/page", headers={"Authorization": sent, **client}, status=401)
        assert response.headers.getall("WWW-Authenticate") == ['Bearer error="invalid_token"']
        assert response.content_type == "application/problem+json"
        assert "is not accepted" in response.json["detail"]

    @pytest.mark.parametrize("sent", [basic("wrong"), {"Authorization": "Basic ???"}])
    def test_a_wrong_password_is_asked_for_again(self, api: TestApp, sent: dict[str, str]) -> None:
        response = api.post("/page", headers=sent, status=401)
        assert response.headers.getall("WWW-Authenticate") == ['Basic realm="Shop", charset="UTF-8"']

    def test_a_script_with_a_wrong_password_opens_no_window(self, api: TestApp) -> None:
        response = api.get("/page", headers={**basic("wrong"), "X-Requested-With": "fetch"}, status=401)
        assert "WWW-Authenticate" not in response.headers

    def test_what_is_right_is_let_in(self, api: TestApp) -> None:
        for sent in (bearer("t0ken=="), basic("right:ü")):
            assert api.get("/page", headers=sent).text == "page"

    @pytest.mark.parametrize("sent", [{"Authorization": "Digest x"}, {"Authorization": ""}])
    def test_what_no_source_reads_is_not_wrong(self, api: TestApp, sent: dict[str, str]) -> None:
        assert api.get("/page", headers=sent, status=303).location == "http://localhost/login?next=%2Fpage"

    def test_a_right_token_is_not_called_wrong_at_a_fresh_gate(self, api: TestApp) -> None:
        response = api.get("/fresh", headers={**bearer("t0ken=="), "Accept": "application/json"}, status=401)
        assert response.headers.getall("WWW-Authenticate") == ['Basic realm="Shop", charset="UTF-8"', *["Bearer"] * 2]

    def test_a_login_beside_a_wrong_token_counts(self, api: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        api.post("/login")
        assert api.get("/page", headers=bearer("wrong")).text == "page"
        monkeypatch.setattr("pyramid_sessionkit.gates.predicates.time", lambda: 0.0)
        location = api.get("/fresh", headers=bearer("wrong"), status=303).location
        assert location == "http://localhost/confirm?next=%2Ffresh"

    def test_a_token_that_was_not_asked_is_not_wrong(self, api: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        """The session came first, and its user is gone."""
        api.post("/login")
        monkeypatch.delitem(PASSWORDS, "ada")
        location = api.get("/page", headers=bearer("t0ken=="), status=303).location
        assert location == "http://localhost/login?next=%2Fpage&why=user_gone"

    def test_a_source_of_ones_own_may_say_what_is_wrong(self, make_app: Any) -> None:
        class APIKeys:
            challenge = "ApiKey"

            def __call__(self, request: Request) -> None:
                return None

            def refusal(self, request: Request) -> str | None:
                return 'ApiKey error="unknown"' if "X-Key" in request.headers else None

        def configure(config: Configurator) -> None:
            config.add_session_source(APIKeys())
            config.add_route("page", "/page")
            config.add_view(answer("page"), route_name="page", logged_in=True)

        app = make_app({"/login": log_in}, login_route="/login", configure=configure)
        app.get("/page", status=303)
        response = app.get("/page", headers={"X-Key": "1"}, status=401)
        assert response.headers.getall("WWW-Authenticate") == ['ApiKey error="unknown"']

    def test_another_policy_answers_for_itself(self, make_app: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_session_source(BearerTokenSource(check_token))
            config.testing_securitypolicy()
            config.add_route("page", "/page")
            config.add_view(answer("page"), route_name="page", logged_in=True)

        app = make_app({"/login": log_in}, login_route="/login", configure=configure, security_policy="false")
        app.get("/page", headers=bearer("wrong"), status=303)
        refused = app.get("/page", headers={**bearer("wrong"), "Accept": "application/json"}, status=401)
        assert "WWW-Authenticate" not in refused.headers


class TestSafeNext:
    @pytest.mark.parametrize(
        "target",
        [
            "/",
            "/dashboard",
            "/a//b",
            "/search?q=1&r=http%3A%2F%2Fexample.com#top",
            "/search?u=//host",
            "/caf%C3%A9",
            "/100%25",
        ],
    )
    def test_paths_of_this_origin(self, target: str) -> None:
        request = Request.blank("/login", POST={"next": target})
        assert safe_next(request) == target

    def test_it_reads_the_query_too_and_quotes(self) -> None:
        assert safe_next(Request.blank("/login?next=/a")) == "/a"
        assert safe_next(Request.blank("/login", POST={"next": "/é ü"})) == "/%C3%A9%20%C3%BC"

    def test_bytes_that_are_no_text(self) -> None:
        assert safe_next(Request.blank("/login?next=%ff"), "/home") == "/home"

    @pytest.mark.parametrize(
        "target",
        [
            "",
            "dashboard",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\\b",
            "http://evil.example",
            "http:/evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/a\r\nSet-Cookie: x=y",
            "/a\x00",
            "/a\x7f",
            "/a\x85",
            "/%2Fevil.example",
            "/%2fevil.example",
            "%2F%2Fevil.example",
            "/%252Fevil.example",
            "/%5Cevil.example",
            "/%255cevil.example",
            "/a%0d%0aSet-Cookie:x=y",
            "/%09/evil.example",
            "/..//evil.example",
            "/a/..%2F..//evil.example",
            "/.//evil.example",
            "/" + "a" * 3000,
        ],
    )
    def test_everything_else_is_the_default(self, target: str) -> None:
        request = Request.blank("/login", POST={"next": target})
        assert safe_next(request) == "/"
        assert safe_next(request, default="/home") == "/home"
