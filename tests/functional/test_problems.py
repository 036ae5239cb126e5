"""What went wrong, for those who read no pages."""

from typing import Any

import pytest
from pyramid.router import Router
from webob import Request
from webtest import TestApp

import example_app.api
from pyramid_sessionkit import StoreUnavailable
from tests.conftest import SpyStore
from tests.functional.browsing import api_csrf, csrf_header, log_in, problem_shown

JSON = {"Accept": "application/json"}
PROFILE = {"name": "A", "location": "L"}


def put(browser: TestApp, body: Any, content_type: str = "application/json", **expect: Any) -> str:
    headers = api_csrf(browser)
    return problem_shown(browser.put("/api/me", body, headers=headers, content_type=content_type, **expect))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a': 1}", b'{"name": NaN, "location": ""}', b"\xff", b"[" * 9_000, b"1" * 9_000, b"\xff\xfe\x00"],
    ids=lambda body: str(body)[:20],
)
def test_malformed_json_is_a_400(ada: TestApp, body: bytes) -> None:
    put(ada, body, status=400)


@pytest.mark.parametrize("content_type", ["application/json; charset=nonsense", "application/json; charset=utf-8"])
def test_json_is_json_whatever_its_charset(ada: TestApp, content_type: str) -> None:
    ada.put("/api/me", b'{"name": "A", "location": ""}', headers=api_csrf(ada), content_type=content_type)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_another_type_is_a_415(ada: TestApp, content_type: str) -> None:
    put(ada, b"{}", content_type, status=415)


def test_a_long_body_is_a_413(ada: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_app.api, "LONGEST_BODY", 100)
    put(ada, b" " * 99 + b"{}", status=413)
    put(ada, b" " * 98 + b"{}", status=422)


def test_what_was_sent_is_not_repeated(browser: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    """It may have a password."""
    for body in (b'{"email": "e", "password": ["hunter2"]}', b'{"password": "hunter2"'):
        headers = {**api_csrf(browser), "Content-Type": "application/json"}
        answer = browser.post("/api/login", body, headers=headers, status="4*")
        assert "hunter2" not in answer.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_a_405(browser: TestApp, ada: TestApp, method: str) -> None:
    answer = ada.request("/api/me", method=method, status=405)

    problem_shown(answer)
    assert answer.headers["Allow"] == "GET, HEAD, PUT"


def test_head_is_get_without_content(ada: TestApp) -> None:
    for path in ("/api/session", "/api/me", "/api/cart", "/api/devices"):
        assert ada.head(path, status=200).content_type == "application/json"


@pytest.mark.parametrize("path", ["/api/nowhere", "/api/", "/api/me/", "/api/devices/a/b"])
def test_an_unknown_address_is_a_404(browser: TestApp, path: str) -> None:
    problem_shown(browser.get(path, status=404))


def test_pages_are_refused_in_json_for_those_who_prefer_it(browser: TestApp) -> None:
    problem_shown(browser.get("/nowhere", headers=JSON, status=404))
    log_in(browser, "bob@example.com")
    problem_shown(browser.post_json("/messages", {}, status=400))
    problem_shown(browser.get("/admin", headers=JSON, status=403))
    problem_shown(browser.post("/messages/9/delete", headers=JSON | csrf_header(browser.get("/")), status=404))


@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/html, application/json;q=0.9", "image/*", "nonsense"])
def test_browsers_get_pages(browser: TestApp, accept: str) -> None:
    answer = browser.get("/nowhere", headers={"Accept": accept}, status=404)

    assert answer.content_type == "text/html"


def test_a_problem_says_that_it_depends_on_what_is_accepted(browser: TestApp) -> None:
    assert "Accept" in browser.get("/nowhere", headers=JSON, status=404).headers["Vary"]


@pytest.mark.parametrize("path", ["/api/%ff", "/api/cart/%ff"])
def test_an_address_that_is_no_text(app: Router, path: str) -> None:
    answer = Request.blank(path).get_response(app)

    assert answer.status_int == 400
    assert answer.content_type == "application/problem+json"


def test_an_outage_is_a_503_that_says_when(ada: TestApp, spy: SpyStore) -> None:
    headers = api_csrf(ada)
    spy.failing["load"] = StoreUnavailable("down for this test")
    for answer in (ada.get("/api/me", status=503), ada.put_json("/api/me", PROFILE, headers=headers, status=503)):
        assert "not been logged out" in problem_shown(answer)
        assert int(answer.headers["Retry-After"]) > 0


def test_what_could_not_be_saved_is_a_503(ada: TestApp, spy: SpyStore) -> None:
    headers = api_csrf(ada)
    spy.failing["update"] = StoreUnavailable("down for this test")
    problem_shown(ada.put_json("/api/cart/ink", {"quantity": 1}, headers=headers, status=503))
    spy.failing.clear()

    assert ada.get("/api/cart").json["items"] == []
