"""Requests that api.yaml allows, and requests that it does not allow: it describes each answer."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.response import Response
from pyramid.router import Router
from webtest import TestApp

from example_app.api import DESCRIPTION
from tests.functional.browsing import api_csrf, log_in, make_token

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, settings  # noqa: E402  # schemathesis brings it
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

pytestmark = pytest.mark.servers

# Not ignored_auth: who gets in is in test_api_me.py and test_tokens.py.
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.unsupported_method,
]

# What any answer may have. The rest is described.
COMMON = {"cache-control", "content-length", "content-type", "set-cookie", "vary"}
COMMON |= {"content-security-policy", "referrer-policy", "strict-transport-security", "x-content-type-options"}
COMMON |= {"clear-site-data", "cross-origin-opener-policy"}


class CurrentApp:
    """The application of the test that is running; before the first, what each of them sends."""

    app: Any = Response(DESCRIPTION.read_bytes(), content_type="text/yaml")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.app(environ, start_response)


current = CurrentApp()
description = schemathesis.openapi.from_wsgi("/api/openapi.yaml", current)
bounded = settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture
def site(app: Router) -> TestApp:
    current.app = app
    return TestApp(app)


def check(case: Any, headers: dict[str, str], cookies: dict[str, str] | None = None) -> int:
    """The status of the answer, which api.yaml describes."""
    response = case.call_and_validate(headers=headers, cookies=cookies, checks=CHECKS)
    described = case.operation.responses.find_by_status_code(response.status_code)
    named = set() if described is None else {name.lower() for name, _ in described.headers.items()}
    assert {name.lower() for name in response.headers} <= COMMON | named | {"allow"}
    return int(response.status_code)


def check_session(case: Any, site: TestApp) -> int:
    headers = api_csrf(site)
    return check(case, headers, {"session": site.cookies["session"].strip('"')})


@description.parametrize()
@bounded
def test_what_visitors_get_is_described(case: Any, site: TestApp) -> None:
    check_session(case, site)


@description.parametrize()
@bounded
def test_what_users_get_is_described(case: Any, site: TestApp) -> None:
    if not site.cookies or not site.get("/api/session").json["logged_in"]:
        log_in(site)

    assert check_session(case, site) != 401 or case.path == "/api/login"


@description.parametrize()
@bounded
def test_what_programs_get_is_described(case: Any, site: TestApp) -> None:
    if not site.cookies:
        log_in(site)
        site.api_token = make_token(site)

    assert check(case, {"Authorization": f"Bearer {site.api_token}"}) != 401 or case.path == "/api/login"
