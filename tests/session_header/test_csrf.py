"""Which requests with a session header need a CSRF token, and what a gate answers them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from pyramid.authorization import Authenticated
from pyramid.config import Configurator

from pyramid_sessionkit import BasicAuthSource, BearerTokenSource
from tests.session_header.site import NAME, Client, Site, cookie_in, look

BASIC = "Basic " + b64encode(b"eve:right").decode()


def check(config: Configurator) -> None:
    config.set_default_csrf_options(require_csrf=True)
    config.add_session_source(BasicAuthSource(lambda request, name, password: name if password == "right" else None))
    config.add_session_source(BearerTokenSource(lambda request, token: "bob" if token == "right" else None))
    config.add_session_source(lambda request: request.environ.get("SSL_CLIENT_S_DN"))


@pytest.fixture
def site(any_store: Any) -> Site:
    return Site(any_store, check)


@pytest.mark.parametrize("base", ["http://localhost", "https://localhost"])
def test_a_session_in_a_header_needs_no_csrf_token(site: Site, base: str) -> None:
    client = Client(site, base=base)
    assert client.post("/login").status_int == 200
    assert client.post("/put").json_body == {"contents": {"n": 1}, "userid": "ada"}
    assert client.post("/logout").status_int == 200


def test_a_session_in_a_cookie_needs_one(site: Site) -> None:
    assert site.ask("/put", "POST").status_int == 400
    cookie = f"session={cookie_in(site.ask('/login'))}"
    assert site.ask("/put", "POST", Cookie=cookie).status_int == 400


def test_a_cookie_beside_the_header_makes_no_difference(site: Site) -> None:
    cookie = f"session={cookie_in(site.ask('/login'))}"
    assert Client(site).post("/put", Cookie=cookie).json_body["userid"] is None


def test_a_password_that_the_browser_sends_needs_one(site: Site) -> None:
    assert Client(site).post("/put", Authorization=BASIC).status_int == 400


def test_a_certificate_that_the_browser_sends_needs_one(any_store: Any) -> None:
    def setup(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)
        config.add_session_source(lambda request: "eve")

    assert Client(Site(any_store, setup)).post("/put").status_int == 400


def test_a_login_goes_before_a_password_that_comes_along(site: Site) -> None:
    client = Client(site)
    client.post("/login")
    assert client.post("/put", Authorization=BASIC).json_body["userid"] == "ada"


def test_a_csrf_token_of_its_session_is_accepted(site: Site) -> None:
    client = Client(site)
    client.post("/put")
    token = client.get("/token").json_body["token"]
    assert client.post("/put", Authorization=BASIC, X_CSRF_Token=token).json_body["contents"] == {"n": 2}


def test_a_bearer_token_needs_none(site: Site) -> None:
    cookie = f"session={cookie_in(site.ask('/login'))}"
    assert Client(site).post("/put", Authorization="Bearer right", Cookie=cookie).json_body["userid"] == "bob"


def test_under_another_policy_each_request_is_checked(any_store: Any) -> None:
    class Policy:
        def identity(self, request: Any) -> Any:
            return None

        authenticated_userid = identity

        def permits(self, request: Any, context: Any, permission: str) -> bool:
            return True

    def setup(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)
        config.set_security_policy(Policy())

    assert Client(Site(any_store, setup)).post("/put").status_int == 400


def gated(config: Configurator) -> None:
    check(config)
    config.add_route("private", "/private", logged_in=True)
    config.add_route("secret", "/secret", fresh_login=300)
    for name in ("private", "secret"):
        config.add_view(look, route_name=name, renderer="json")


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json"])
@pytest.mark.parametrize("path", ["/private", "/secret"])
def test_a_gate_answers_401_and_no_redirect(any_store: Any, accept: str, path: str) -> None:
    client = Client(Site(any_store, gated, login_route="login"))
    response = client.get(path, Accept=accept)
    assert (response.status_int, response.content_type) == (401, "application/problem+json")
    # A browser would show a window of its own to the user of the script that sent this.
    assert "WWW-Authenticate" not in response.headers
    assert {"Cookie", NAME, "Accept"} <= {field.strip() for field in response.headers["Vary"].split(",")}
    client.post("/login")
    assert client.get(path, Accept=accept).json_body["userid"] == "ada"


def test_a_browser_beside_it_is_sent_to_the_login_page(any_store: Any) -> None:
    assert Site(any_store, gated, login_route="login").ask("/private", Accept="text/html").status_int == 303


def test_a_permission_depends_on_its_login(any_store: Any) -> None:
    def setup(config: Configurator) -> None:
        class Root:
            __acl__ = (("Allow", Authenticated, "see"),)

        config.add_route("acl", "/acl", factory=lambda request: Root())
        config.add_view(look, route_name="acl", permission="see", renderer="json")

    client = Client(Site(any_store, setup))
    assert client.get("/acl").status_int == 403
    client.post("/login")
    assert client.get("/acl").status_int == 200
