"""Gates on services and resources of Cornice, which adds a view of its own to each service: the fallback view."""

from __future__ import annotations

from typing import Any

import pytest
from cornice import Service
from cornice.resource import resource, view
from pyramid.config import Configurator
from pyramid.exceptions import PredicateMismatch
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from webtest import TestApp

from tests.test_docs import module_of

Answer = dict[str, Any]

PROGRAM = {"Accept": "application/json"}
GATED = [("GET", "/methods"), ("GET", "/whole"), ("GET", "/notes"), ("PUT", "/notes/7"), ("POST", "/checked")]


def answer(request: Request) -> Answer:
    return {"user": request.authenticated_userid}


def log_in(request: Request) -> Response:
    remember(request, "ada")
    return Response("in")


def refuse_all(request: Request, **kw: Any) -> None:
    request.errors.add("body", "name", "is missing")


def has_no_such_row(request: Request) -> Answer:
    raise HTTPNotFound("no such row")


def matches_nothing(request: Request) -> Answer:
    raise PredicateMismatch("a view of the application")


def ask_methods(request: Request) -> Response:
    answered: Response = request.invoke_subrequest(Request.blank("/methods", headers=PROGRAM), use_tweens=True)
    return Response(json_body=[answered.status_int])


@resource(collection_path="/notes", path="/notes/{id}")
class Notes:
    def __init__(self, request: Request, context: Any = None) -> None:
        self.request = request

    @view(logged_in=True)
    def collection_get(self) -> Answer:
        return answer(self.request)

    def get(self) -> Answer:
        return answer(self.request)

    @view(logged_in=True)
    def put(self) -> Answer:
        return answer(self.request)


def add_services(config: Configurator) -> None:
    methods = Service(name="methods", path="/methods", cors_origins=("*",))
    methods.add_view("GET", answer, logged_in=True)
    methods.add_view("PUT", answer, logged_in=True, content_type="application/json")
    methods.add_view("POST", answer)
    whole = Service(name="whole", path="/whole", logged_in=True)
    whole.add_view("GET", answer)
    fresh = Service(name="fresh", path="/fresh")
    fresh.add_view("GET", answer, fresh_login=300)
    checked = Service(name="checked", path="/checked", validators=[refuse_all])
    checked.add_view("POST", answer, logged_in=True)
    rows = Service(name="rows", path="/rows")
    rows.add_view("GET", has_no_such_row)
    rows.add_view("PUT", matches_nothing)
    rows.add_view("DELETE", answer, session_has="cart")
    for service in (methods, whole, fresh, checked, rows):
        config.add_cornice_service(service)
    config.add_cornice_resource(Notes)


def with_a_notfound_view(config: Configurator) -> None:
    config.include("cornice")
    config.add_notfound_view(lambda request: Response("our own 404", status=404), append_slash=True)


def without_its_exception_views(config: Configurator) -> None:
    config.add_settings(handle_exceptions="false")
    config.include("cornice")


def with_gated_routes(config: Configurator) -> None:
    """Once Pyramid knows our predicates, Cornice passes those of a service on to its route."""
    config.include("cornice")
    config.commit()


@pytest.fixture
def make_api(make_app: Any) -> Any:
    def make(first: Any = "cornice") -> TestApp:
        def configure(config: Configurator) -> None:
            config.include(first)
            config.add_route("confirm", "/confirm")
            add_services(config)

        views = {"/login": log_in, "/ask": ask_methods}
        app: TestApp = make_app(
            views, includes=("pyramid_tm",), configure=configure, login_route="/login", confirm_route="confirm"
        )
        return app

    return make


@pytest.fixture
def api(make_api: Any) -> TestApp:
    app: TestApp = make_api()
    return app


@pytest.mark.parametrize("first", ["cornice", with_a_notfound_view, without_its_exception_views, with_gated_routes])
@pytest.mark.parametrize(("method", "path"), GATED)
class TestGatedMethods:
    def test_a_browser_is_sent_to_the_login(self, make_api: Any, first: Any, method: str, path: str) -> None:
        answered = make_api(first).request(path, method=method, headers={"Referer": f"http://localhost{path}"})
        assert answered.location == f"http://localhost/login?next=%2F{path[1:].replace('/', '%2F')}"

    def test_a_program_gets_401(self, make_api: Any, first: Any, method: str, path: str) -> None:
        answered = make_api(first).request(path, method=method, headers=PROGRAM, status=401)
        assert (answered.content_type, answered.json["status"]) == ("application/problem+json", 401)


def test_who_is_logged_in_is_served(api: TestApp) -> None:
    api.get("/login")
    for method, path in GATED[:-1]:
        assert api.request(path, method=method).json == {"user": "ada"}
    assert api.post("/checked", status=400).json["errors"][0]["name"] == "name"


def test_who_is_not_logged_in_gets_the_open_methods(api: TestApp) -> None:
    assert api.post("/methods").json == {"user": None}
    assert api.get("/notes/7").json == {"user": None}


def test_a_browser_may_ask_what_is_allowed(api: TestApp) -> None:
    """A preflight brings no cookie along."""
    asked = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
    answered = api.options("/methods", headers=asked, status=200)
    assert "GET" in answered.headers["Access-Control-Allow-Methods"]
    refused = api.get("/methods", headers={**PROGRAM, "Origin": asked["Origin"]}, status=401)
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/methods", 405),
        ("POST", "/whole", 405),
        ("PUT", "/methods", 415),
        ("GET", "/rows", 404),
        ("PUT", "/rows", 404),
        ("DELETE", "/rows", 404),
        ("GET", "/nowhere", 404),
    ],
)
def test_what_is_no_gates_stays_as_it_is(api: TestApp, method: str, path: str, status: int) -> None:
    body = "x" if method == "PUT" else ""
    api.request(path, method=method, body=body.encode(), headers={"Content-Type": "text/plain"}, status=status)


def test_an_old_login_is_confirmed(api: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    api.get("/login")
    assert api.get("/fresh").json == {"user": "ada"}
    monkeypatch.setattr("pyramid_sessionkit.gates.predicates.time", lambda: 0.0)
    assert api.get("/fresh", status=303).location == "http://localhost/confirm?next=%2Ffresh"


def test_the_service_of_the_page_on_gates(make_app: Any) -> None:
    module = module_of("howto/gate.rst", "gate-cornice")
    app = make_app(
        {"/login": log_in},
        includes=("cornice",),
        configure=lambda config: config.add_cornice_service(module.notes),
        login_route="/login",
    )
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert app.options("/notes", headers=asked, status=200).headers["Access-Control-Allow-Methods"]
    app.post("/notes", headers=PROGRAM, status=401)
    app.get("/login")
    assert app.post("/notes").json == {"added by": "ada"}
    assert app.get("/notes").json == {"user": "ada"}


def test_a_subrequest_is_gated_alone(api: TestApp) -> None:
    assert api.get("/ask").json == [401]
