"""What each response tells browsers, whatever made it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router
from webtest import TestApp, TestResponse

import example_app
from example_app.security_headers import HEADERS
from pyramid_sessionkit import StoreUnavailable
from tests.conftest import SpyStore
from tests.functional.browsing import log_in, notice
from tests.functional.conftest import persistence_of

TEMPLATES = sorted((Path(example_app.__file__).parent / "templates").rglob("*.jinja2"))
INLINE = re.compile(r"<style|<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)

AppStarter = Callable[..., Router]


def missing(answer: TestResponse) -> dict[str, str]:
    """Those of the headers that an answer does not have."""
    return {name: value for name, value in HEADERS.items() if answer.headers.get(name) != value}


def paths(app: Router) -> list[str]:
    """One of each route, also of those that are still to come."""
    routes = app.registry.getUtility(IRoutesMapper).get_routes(include_static=True)
    return sorted({"/" + re.sub(r"\{[^/]*\}|\*\w+", "1", route.pattern).lstrip("/") for route in routes})


def test_pages_allow_nothing_inline_and_nothing_from_elsewhere(browser: TestApp) -> None:
    headers = browser.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))

    assert set(policy.values()) == {"'none'", "'self'"}
    assert {name for name, value in policy.items() if value == "'none'"} == {
        "default-src",
        "frame-ancestors",
        "base-uri",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_every_route_has_them_whatever_it_answers(app: Router, browser: TestApp) -> None:
    visitor = TestApp(app)
    log_in(browser, "bob@example.com")
    answers = [
        someone.request(path, method=method, status="*")
        for path in [*paths(app), "/nowhere", "/static/site.css"]
        for someone in (browser, visitor)
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS")
    ]

    assert {answer.request.path: missing(answer) for answer in answers if missing(answer)} == {}
    assert {answer.status_int for answer in answers} >= {200, 303, 400, 403, 404}


def test_the_page_for_an_outage_has_them(browser: TestApp, spy: SpyStore) -> None:
    log_in(browser)
    spy.failing["load"] = StoreUnavailable("down for this test")

    assert missing(browser.get("/", status=503)) == {}


def count_views(request: Request) -> Response:
    request.session["views"] = request.session.get("views", 0) + 1
    return Response("counted")


def test_the_librarys_plain_text_for_an_outage_has_them() -> None:
    with Configurator(settings={"sessionkit.secret": "s" * 32, "sessionkit.store": "memory"}) as config:
        config.include("pyramid_sessionkit")
        config.include("example_app.security_headers")
        config.add_route("page", "/")
        config.add_view(count_views, route_name="page")
    app = config.make_wsgi_app()
    store = SpyStore(persistence_of(app).store)
    persistence_of(app).store = store
    store.failing["create"] = StoreUnavailable("down for this test")
    answer = TestApp(app).get("/", status=503)

    assert answer.content_type == "text/plain"
    assert missing(answer) == {}


def test_a_view_may_send_a_policy_of_its_own() -> None:
    policy = {"Content-Security-Policy": "default-src 'self'"}
    with Configurator() as config:
        config.include("example_app.security_headers")
        config.add_route("page", "/")
        config.add_view(lambda request: Response(headers=policy), route_name="page")
    answer = TestApp(config.make_wsgi_app()).get("/")

    assert missing(answer) == {"Content-Security-Policy": HEADERS["Content-Security-Policy"]}
    assert answer.headers["Content-Security-Policy"] == "default-src 'self'"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_scripts_or_styles_in_it(template: Path) -> None:
    assert INLINE.findall(template.read_text()) == []


def test_a_logout_clears_what_the_browser_keeps(browser: TestApp) -> None:
    log_in(browser)
    answer = browser.get("/").forms["logout"].submit()

    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert notice(answer.follow()) == "You are logged out."


def test_a_logout_that_was_refused_clears_nothing(browser: TestApp) -> None:
    log_in(browser)
    answer = browser.post("/logout", {"csrf_token": "wrong"}, status=400)

    assert "Clear-Site-Data" not in answer.headers


@pytest.mark.parametrize(
    ("hsts", "scheme", "sent"), [("60", "https", "max-age=60"), ("60", "http", None), (None, "https", None)]
)
def test_https_is_promised_over_https_only(
    start_app: AppStarter, hsts: str | None, scheme: str, sent: str | None
) -> None:
    app = start_app(**({"example.hsts": hsts} if hsts else {}))
    answer = TestApp(app).get("/health", extra_environ={"wsgi.url_scheme": scheme})

    assert answer.headers.get("Strict-Transport-Security") == sent
