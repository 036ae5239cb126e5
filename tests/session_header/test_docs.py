"""What docs/howto/session_header.rst shows, as it is shown there."""

from __future__ import annotations

from typing import Any

import pytest
from webtest import TestApp

from tests.session_header.documented import cors_of_the_page, documented_application

ORIGIN = "https://app.example.com"


@pytest.fixture
def app() -> TestApp:
    return TestApp(documented_application(cors_of_the_page()))


def test_a_client_logs_in_looks_and_logs_out(app: TestApp) -> None:
    form = {"user": "ada", "password": "right"}
    app.post("/login", {**form, "password": "wrong"}, headers={"X-Session": ""}, status=403)
    session = app.post("/login", form, headers={"X-Session": ""}).headers["X-Session"]
    assert app.get("/account", headers={"X-Session": session}).json == {"userid": "7"}
    assert app.post("/logout", headers={"X-Session": session}).headers["X-Session"] == ""
    app.get("/account", headers={"X-Session": session}, status=401)


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example.com", False), (None, False)])
def test_only_pages_of_the_app_may_call_and_read(app: TestApp, origin: Any, allowed: bool) -> None:
    sent = {"Origin": origin} if origin else {}
    asked = app.options("/login", headers={**sent, "Access-Control-Request-Headers": "x-session"}, status=204)
    answer = app.get("/account", headers={**sent, "X-Session": ""}, status=401)
    assert ("X-Session" in asked.headers.get("Access-Control-Allow-Headers", "")) is allowed
    for response in (asked, answer):
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert (response.headers.get("Access-Control-Expose-Headers") == "X-Session") is allowed
        assert "Access-Control-Allow-Credentials" not in response.headers
    assert {"Origin", "Cookie", "X-Session"} <= set(answer.vary)
