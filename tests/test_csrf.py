"""CSRF tokens: nothing is stored for them, and the token of another browser or another login is worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy, SessionCSRFStoragePolicy, get_csrf_token, new_csrf_token
from pyramid.interfaces import ICSRFStoragePolicy
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp, Upload

from pyramid_sessionkit import BasicAuthSource
from pyramid_sessionkit.csrf import policy
from tests.conftest import SpyStore

Site = Callable[..., TestApp]
WRITES = ("create", "update", "delete")


def form(request: Request) -> Response:
    return Response(get_csrf_token(request))


def post(request: Request) -> Response:
    request.session["posted"] = True
    return Response(str(request.authenticated_userid))


def login(request: Request) -> Response:
    remember(request, request.params["user"])
    return Response()


def logout(request: Request) -> Response:
    forget(request)
    return Response(get_csrf_token(request) if "form" in request.params else "")


def regenerate(request: Request) -> Response:
    request.session.regenerate_id()
    return Response()


def another(request: Request) -> Response:
    return Response(new_csrf_token(request))


VIEWS = {
    "/form": form,
    "/post": post,
    "/login": login,
    "/logout": logout,
    "/regenerate": regenerate,
    "/another": another,
}


@pytest.fixture(params=["default", "legacy", "pyramid's"])
def site(make_app: Site, request: pytest.FixtureRequest) -> TestApp:
    """With each of Pyramid's policies that keep tokens in the session."""

    def configure(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)
        if request.param == "legacy":
            config.set_csrf_storage_policy(LegacySessionCSRFStoragePolicy())
        if request.param == "pyramid's":
            config.set_csrf_storage_policy(SessionCSRFStoragePolicy())

    return make_app(VIEWS, configure=configure, login_route="/login")


def other_browser(site: TestApp) -> TestApp:
    return TestApp(site.app)


def same_browser(site: TestApp) -> TestApp:
    """The cookie as it is now, in a browser that will not be told of another one."""
    copy = TestApp(site.app)
    copy.set_cookie("session", site.cookies["session"])
    return copy


def send(browser: TestApp, path: str, token: str, **params: Any) -> int:
    return int(browser.post(path, {"csrf_token": token, **params}, expect_errors=True).status_int)


def test_two_hundred_visits_to_a_form_store_nothing(site: TestApp, spy: SpyStore) -> None:
    tokens = {other_browser(site).get("/form").text for _ in range(200)}
    assert len(tokens) == 200
    assert spy.calls == []
    assert spy.store.count() == 0


def test_a_form_works_for_a_visitor_without_a_session(site: TestApp) -> None:
    token = site.get("/form").text
    assert site.get("/form").text == token
    assert send(site, "/post", token) == 200


def test_a_form_sends_its_cookie_once(site: TestApp) -> None:
    first, second = site.get("/form"), site.get("/form")
    assert "Set-Cookie" in first.headers
    assert first.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in second.headers
    assert "Cookie" in second.headers["Vary"]


def test_a_form_that_was_open_before_something_was_stored(site: TestApp) -> None:
    token = site.get("/form").text
    assert send(site, "/post", token) == 200
    assert send(site, "/post", token) == 200
    assert site.get("/form").text == token


def test_a_refused_post_stores_nothing(site: TestApp, spy: SpyStore) -> None:
    assert send(site, "/post", "wrong") == 400
    site.get("/form")
    assert send(site, "/post", "wrong") == 400
    assert not set(spy.calls) & set(WRITES)


def test_a_refused_post_sends_no_cookie(site: TestApp) -> None:
    assert "Set-Cookie" not in site.post("/post", {"csrf_token": "x"}, expect_errors=True).headers


@pytest.mark.parametrize("logged_in", [False, True])
def test_the_token_of_another_browser_is_refused(site: TestApp, logged_in: bool) -> None:
    other = other_browser(site)
    for browser in (site, other):
        token = browser.get("/form").text
        if logged_in:
            assert send(browser, "/login", token, user="ada") == 200
    assert send(site, "/post", other.get("/form").text) == 400


@pytest.mark.parametrize(
    "change",
    [lambda t: "", lambda t: t[:-1], lambda t: t + "A", lambda t: "1" + t, lambda t: t.upper(), lambda t: "é" + t],
)
def test_a_changed_token_is_refused(site: TestApp, change: Callable[[str], str]) -> None:
    assert send(site, "/post", change(site.get("/form").text)) == 400


def test_a_file_named_as_the_token_is_refused(site: TestApp) -> None:
    site.get("/form")
    answer = site.post("/post", {"csrf_token": Upload("a.txt", b"x", "text/plain")}, expect_errors=True)
    assert answer.status_int == 400


def test_a_login_changes_the_token(site: TestApp) -> None:
    before = site.get("/form").text
    assert send(site, "/login", before, user="ada") == 200
    assert send(site, "/post", before) == 400
    assert send(site, "/post", site.get("/form").text) == 200


def test_a_new_id_keeps_the_token(site: TestApp) -> None:
    token = site.get("/form").text
    assert send(site, "/login", token, user="ada") == 200
    token = site.get("/form").text
    assert send(site, "/regenerate", token) == 200
    assert send(site, "/post", token) == 200


def test_a_second_login_tab_works(site: TestApp) -> None:
    first = site.get("/form").text
    second = site.get("/form").text
    assert send(site, "/login", first, user="ada") == 200
    assert send(site, "/login", second, user="ada") == 200
    assert send(site, "/post", second) == 400


def test_a_login_form_that_was_open_for_hours_works(site: TestApp, clock: Callable[[float], None]) -> None:
    clock(0)
    assert send(site, "/post", site.get("/form").text) == 200
    token = site.get("/form").text
    clock(13 * 3600)
    assert send(site, "/login", token, user="ada") == 200
    assert site.post("/post", {"csrf_token": site.get("/form").text}).text == "ada"


def test_a_form_shown_with_a_dead_cookie_works(site: TestApp, clock: Callable[[float], None]) -> None:
    clock(0)
    assert send(site, "/post", site.get("/form").text) == 200
    clock(13 * 3600)
    token = site.get("/form").text
    assert send(site, "/post", token) == 200
    assert send(site, "/post", token) == 200


def test_a_double_logout_works(site: TestApp) -> None:
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    token = site.get("/form").text
    twice = same_browser(site)
    assert send(site, "/logout", token) == 200
    assert send(twice, "/logout", token) == 200


def test_a_double_clicked_login_works(site: TestApp) -> None:
    token = site.get("/form").text
    twice = same_browser(site)
    assert send(site, "/login", token, user="ada") == 200
    assert send(twice, "/login", token, user="ada") == 200
    assert twice.cookies["session"] == site.cookies["session"]


def test_a_form_on_the_page_of_a_logout_works(site: TestApp) -> None:
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    token = site.post("/logout", {"csrf_token": site.get("/form").text, "form": "1"}).text
    assert send(site, "/post", token) == 200


def test_the_token_of_before_a_logout_is_refused(site: TestApp) -> None:
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    token = site.get("/form").text
    assert send(site, "/logout", token) == 200
    assert send(site, "/post", token) == 400


def send_from(origin: str, browser: TestApp, path: str, token: str, **params: Any) -> int:
    """As browsers do: they say which site a form is of."""
    fields, headers = {"csrf_token": token, **params}, {"Origin": origin}
    return int(browser.post(path, fields, headers=headers, expect_errors=True).status_int)


@pytest.fixture
def overtaken(site: TestApp, clock: Callable[[float], None]) -> str:
    """The token of a form whose session has expired, while another tab has begun a new one since."""
    clock(0)
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    token: str = site.get("/form").text
    clock(13 * 3600)
    assert send(site, "/post", site.get("/form").text) == 200
    return token


@pytest.mark.parametrize("path", ["/login", "/post", "/logout"])
def test_a_form_works_though_another_tab_was_faster(site: TestApp, overtaken: str, path: str) -> None:
    assert send_from("http://localhost", site, path, overtaken, user="ada") == 200


def test_a_login_form_works_though_another_user_logged_in(site: TestApp, overtaken: str) -> None:
    assert send(site, "/login", site.get("/form").text, user="eve") == 200
    assert send_from("http://localhost", site, "/login", overtaken, user="ada") == 200
    assert send(site, "/post", site.get("/form").text) == 200


def test_another_form_is_refused_once_somebody_is_logged_in(site: TestApp, overtaken: str) -> None:
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    assert send_from("http://localhost", site, "/post", overtaken) == 400


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "https://localhost", "http://localhost:81", "null", ""])
def test_an_old_form_of_another_site_is_refused(site: TestApp, overtaken: str, origin: str) -> None:
    assert send_from(origin, site, "/login", overtaken, user="eve") == 400
    assert send(site, "/login", overtaken, user="eve") == 400


def test_a_form_works_though_this_browser_logged_in_since(site: TestApp) -> None:
    before = site.get("/form").text
    assert send(site, "/login", before, user="ada") == 200
    first = site.get("/form").text
    assert send(site, "/login", first, user="ada") == 200
    for token in (before, first):
        assert send(site, "/post", token) == 400
        assert send_from("http://elsewhere.example", site, "/post", token) == 400
        assert send_from("http://localhost", site, "/post", token) == 200


def test_a_form_of_another_user_is_refused(site: TestApp) -> None:
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    token = site.get("/form").text
    assert send(site, "/login", token, user="eve") == 200
    assert send_from("http://localhost", site, "/post", token) == 400


def test_another_token_refuses_the_old_one_of_a_user(site: TestApp) -> None:
    assert send(site, "/login", site.get("/form").text, user="ada") == 200
    old = site.get("/form").text
    assert send(site, "/another", old) == 200
    assert send_from("http://localhost", site, "/post", old) == 400


@pytest.mark.parametrize("own_policy", [False, True])
def test_a_form_of_anyone_is_refused_for_a_user_of_a_header(make_app: Site, own_policy: bool) -> None:
    """Browsers send this header by themselves, and the session knows nothing of the user."""

    class Own:
        def authenticated_userid(self, request: Request) -> str | None:
            return BasicAuthSource(lambda _, user, password: user)(request)

        identity = authenticated_userid

    def configure(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)
        config.add_session_source(BasicAuthSource(lambda _, user, password: user))
        if own_policy:
            config.commit()
            config.set_security_policy(Own())

    site, other = make_app(VIEWS, configure=configure), make_app(VIEWS, configure=configure)
    token = other.get("/form").text
    assert send_from("http://localhost", site, "/post", token) == 200
    site.authorization = ("Basic", ("ada", "secret"))
    assert send_from("http://localhost", site, "/post", token) == 400
    assert send(site, "/post", site.get("/form").text) == 200


@pytest.mark.parametrize(("origin", "status"), [("https://localhost", 200), ("http://localhost", 400)])
def test_behind_a_proxy_this_site_has_its_scheme(make_app: Site, origin: str, status: int) -> None:
    """Else whoever can change what comes by plain HTTP could send forms to the site that has TLS."""

    def configure(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)

    site, other = (make_app(VIEWS, configure=configure, trust_proxy="true") for _ in range(2))
    token = other.get("/form").text
    headers = {"Origin": origin, "X-Forwarded-Proto": "https"}
    assert site.post("/post", {"csrf_token": token}, headers=headers, expect_errors=True).status_int == status


@pytest.mark.parametrize("sender", ["cross-site", "same-site", "none"])
def test_a_proxy_that_sets_the_origin_opens_nothing(site: TestApp, overtaken: str, sender: str) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": sender}
    site.post("/login", {"csrf_token": overtaken, "user": "eve"}, headers=headers, status=400)
    headers["Sec-Fetch-Site"] = "same-origin"
    site.post("/login", {"csrf_token": overtaken, "user": "eve"}, headers=headers)


@pytest.mark.parametrize("token", ["", "wrong", "0..short"])
def test_the_origin_alone_is_not_enough(site: TestApp, token: str) -> None:
    assert send_from("http://localhost", site, "/login", token, user="ada") == 400


def test_another_token_refuses_the_old_one(site: TestApp) -> None:
    old = site.get("/form").text
    new = site.post("/another", {"csrf_token": old}).text
    assert send(site, "/post", old) == 400
    assert send_from("http://localhost", site, "/post", old) == 400
    assert send(site, "/post", new) == 200
    assert site.get("/form").text == new


def test_a_token_outlives_the_rotation_of_secrets(make_app: Site) -> None:
    def configure(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)

    old, new = "an-old-secret-of-thirty-two-characters", "a-new-secret-of-thirty-two-characters"
    before = make_app(VIEWS, configure=configure, **{"sessionkit.secret": old})
    after = make_app(VIEWS, configure=configure, **{"sessionkit.secret": f"{new} {old}"})
    stays = before.get("/form").text
    after.set_cookie("session", before.cookies["session"])
    assert send(after, "/post", stays) == 200


def test_a_policy_of_ones_own_stays(make_app: Site) -> None:
    class Own(SessionCSRFStoragePolicy):  # type: ignore[misc]
        pass

    own = Own()
    app = make_app({}, configure=lambda config: config.set_csrf_storage_policy(own))
    assert app.app.registry.getUtility(ICSRFStoragePolicy) is own


def test_another_session_factory_keeps_its_tokens(make_app: Site) -> None:
    from pyramid.session import SignedCookieSessionFactory

    def configure(config: Configurator) -> None:
        config.set_default_csrf_options(require_csrf=True)
        config.commit()
        config.set_session_factory(SignedCookieSessionFactory("x" * 32))

    app = make_app({"/form": form, "/plain": lambda request: Response("ok")}, configure=configure)
    assert isinstance(app.app.registry.getUtility(ICSRFStoragePolicy), policy.SessionCSRFStoragePolicy)
    assert send(app, "/plain", app.get("/form").text) == 200
    assert send(app, "/plain", "wrong") == 400
