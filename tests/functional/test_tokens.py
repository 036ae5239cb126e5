"""API tokens: shown once, good for the API and for nothing else."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.conftest import SpyStore
from tests.functional.browsing import (
    api_csrf,
    csrf_header,
    error_at,
    fill_in,
    log_in,
    make_token,
    notice,
    problem_shown,
    user_shown,
)
from tests.test_sources import bearer

PROFILE = {"name": "Ada", "location": "Turin"}


@pytest.fixture
def token(ada: TestApp) -> str:
    return make_token(ada)


@pytest.fixture
def script(app: Router) -> TestApp:
    """A program that keeps no cookies from elsewhere."""
    return TestApp(app)


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], Any]:
    def read() -> Any:
        connection = sqlite3.connect(tmp_path / "example.sqlite")
        tables = ("users", "messages", "api_tokens")
        rows = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
        connection.close()
        return rows

    return read


def shown(ada: TestApp) -> list[list[str]]:
    rows = ada.get("/account/tokens").html.select("#tokens tbody tr")
    return [[cell.get_text(" ", strip=True) for cell in row.select("th, td")][:4] for row in rows]


def test_a_token_is_shown_once_and_never_stored(ada: TestApp, token: str, stored: Callable[[], Any]) -> None:
    assert len(token) > 40
    assert token not in ada.get("/account/tokens")
    assert token not in str(stored())


def test_tokens_are_listed_with_their_last_use(ada: TestApp, token: str, script: TestApp) -> None:
    ((name, prefix, made, used),) = shown(ada)
    assert (name, prefix, used) == ("script", token[:12], "Last used never")
    assert "UTC" in made
    script.get("/api/me", headers=bearer(token))

    assert "UTC" in shown(ada)[0][3]


def test_a_token_needs_neither_session_nor_csrf_token(script: TestApp, token: str, spy: SpyStore) -> None:
    assert script.get("/api/me", headers=bearer(token)).json["email"] == "ada@example.com"
    answer = script.put_json("/api/me", PROFILE, headers=bearer(token))
    devices = script.get("/api/devices", headers=bearer(token))

    assert answer.json["location"] == "Turin"
    assert [device["current"] for device in devices.json["devices"]] == [False]
    assert "Set-Cookie" not in [*answer.headers, *devices.headers]
    assert set(spy.calls) - {"__provides__"} == {"sessions_of"}


def test_a_token_logs_out_all_devices(ada: TestApp, token: str, script: TestApp) -> None:
    script.delete("/api/devices", headers=bearer(token), status=204)

    assert user_shown(ada.get("/")) is None


def test_a_token_has_no_cart(script: TestApp, token: str, spy: SpyStore) -> None:
    for answer in (
        script.get("/api/cart", headers=bearer(token), status=403),
        script.put_json("/api/cart/ink", {"quantity": 1}, headers=bearer(token), status=403),
        script.delete("/api/cart/ink", headers=bearer(token), status=403),
    ):
        assert "session" in problem_shown(answer)
    assert spy.calls == []


@pytest.mark.parametrize("wrong", ["Bearer wrong", "bearer wrong", "Bearer", "Bearer ", "Bearer a b", "Bearer \xfc"])
def test_a_wrong_token_is_told_so(script: TestApp, wrong: str) -> None:
    for path in ("/api/me", "/api/session", "/api/cart", "/api/nowhere"):
        answer = script.get(path, headers={"Authorization": wrong}, status=401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        problem_shown(answer)
    answer = script.put_json("/api/me", PROFILE, headers={"Authorization": wrong}, status=401)

    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_session_goes_before_a_wrong_token(ada: TestApp) -> None:
    assert ada.get("/api/me", headers=bearer("wrong")).json["name"] == "Ada"


def test_a_revoked_token_is_worthless(ada: TestApp, token: str, script: TestApp) -> None:
    page = ada.get("/account/tokens")
    page = fill_in(page, next(name for name in page.forms if str(name).startswith("revoke-")), {}).follow()

    assert notice(page) == "The token is revoked."
    assert shown(ada) == []
    script.get("/api/me", headers=bearer(token), status=401)


def test_the_token_of_a_user_who_is_gone_is_worthless(token: str, script: TestApp, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "example.sqlite")
    with connection:
        connection.execute("DELETE FROM users WHERE id = 1")
    connection.close()

    script.get("/api/me", headers=bearer(token), status=401)


def test_nobody_revokes_the_token_of_another(app: Router, token: str, script: TestApp) -> None:
    bob = TestApp(app)
    log_in(bob, "bob@example.com")
    assert shown(bob) == []
    bob.post("/account/tokens/1/revoke", headers=csrf_header(bob.get("/")), status=404)

    script.get("/api/me", headers=bearer(token), status=200)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/tokens", {"name": "another"}),
        ("/account/tokens/1/revoke", {}),
        ("/account/password", {"current": "demo", "new": "a new password"}),
        ("/account/email", {"email": "eve@example.com", "password": "demo"}),
        ("/account/delete", {"password": "demo"}),
        ("/messages", {"text": "by a program"}),
        ("/profile", PROFILE),
    ],
)
@pytest.mark.parametrize("with_csrf", [False, True])
def test_a_token_does_nothing_on_the_pages(
    script: TestApp, token: str, stored: Callable[[], Any], path: str, fields: dict[str, str], with_csrf: bool
) -> None:
    before = stored()
    headers = bearer(token) | (api_csrf(script) if with_csrf else {})
    script.post(path, fields, headers=headers, status="*")

    assert stored() == before


def test_a_token_sees_no_page(script: TestApp, token: str) -> None:
    for path in ("/dashboard", "/account/tokens", "/admin"):
        answer = script.get(path, headers=bearer(token), status=401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_making_a_token_needs_a_recent_login(ada: TestApp, clock: Callable[[float], None]) -> None:
    page = ada.get("/account/tokens")
    with pytest.MonkeyPatch.context() as patch:
        import pyramid_sessionkit.gates.predicates as predicates

        now = predicates.time()
        patch.setattr(predicates, "time", lambda: now + 301)
        assert "/confirm" in fill_in(page, "make-token", {"name": "late"}, status=303).location
        assert "/confirm" in ada.get("/account/tokens", status=303).location
    assert shown(ada) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "Please fill this in."),
        (" ", "Please fill this in."),
        ("a" * 81, "Use 80 characters at most; these are 81."),
    ],
)
def test_a_token_has_a_name(ada: TestApp, name: str, error: str) -> None:
    page = fill_in(ada.get("/account/tokens"), "make-token", {"name": name}, status=400)

    assert error_at(page, "name") == error
    assert shown(ada) == []
