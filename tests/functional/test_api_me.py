"""The profile of whoever sends the request, and of nobody else."""

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from tests.functional.browsing import api_csrf, csrf_header, log_in, problem_shown

Users = Callable[[], dict[str, tuple[str, str]]]

BEFORE = {"ada@example.com": ("Ada", ""), "bob@example.com": ("Bob", "")}
TURIN = {"name": "Ada", "location": "Turin"}
AFTER = {**BEFORE, "ada@example.com": ("Ada", "Turin")}


@pytest.fixture
def csrf(ada: TestApp) -> dict[str, str]:
    return api_csrf(ada)


def errors_of(answer: Any) -> dict[str, str]:
    """By field."""
    problem_shown(answer)
    return {error["pointer"].removeprefix("#/"): error["detail"] for error in answer.json["errors"]}


def test_a_program_reads_its_profile(ada: TestApp) -> None:
    assert ada.get("/api/me").json == {"email": "ada@example.com", "name": "Ada", "location": ""}


def test_a_program_changes_its_profile(ada: TestApp, csrf: dict[str, str], users: Users) -> None:
    answer = ada.put_json("/api/me", {"name": " Ada L. ", "location": " Turin "}, headers=csrf)

    assert answer.json == {"email": "ada@example.com", "name": "Ada L.", "location": "Turin"}
    assert ada.get("/api/me").json == answer.json
    assert users() == {**BEFORE, "ada@example.com": ("Ada L.", "Turin")}


@pytest.mark.parametrize("location", ["", "a" * 100, "München 🎈", "two\nlines"])
def test_locations_that_are_taken(ada: TestApp, csrf: dict[str, str], users: Users, location: str) -> None:
    ada.put_json("/api/me", {"name": "Ada", "location": location}, headers=csrf)

    assert users() == {**BEFORE, "ada@example.com": ("Ada", location)}


@pytest.mark.parametrize("query", ["?id=2", "?user_id=2", "?userid=2&user=2", "?email=bob@example.com"])
def test_a_query_does_not_say_whose_row_it_is(ada: TestApp, csrf: dict[str, str], users: Users, query: str) -> None:
    ada.put_json(f"/api/me{query}", TURIN, headers=csrf, status=200)

    assert users() == AFTER


@pytest.mark.parametrize(
    "header",
    [
        {"X-User-Id": "2"},
        {"X-Userid": "2", "User-Id": "2"},
        {"X-Remote-User": "2", "Remote-User": "2"},
        {"X-Forwarded-User": "2"},
        {"Authorization": "Basic Mjpw"},
        {"Authorization": "Bearer 2"},
        {"X-HTTP-Method-Override": "DELETE"},
    ],
)
def test_a_header_does_not_say_whose_row_it_is(
    ada: TestApp, csrf: dict[str, str], users: Users, header: dict[str, str]
) -> None:
    ada.put_json("/api/me", TURIN, headers=csrf | header, status=200)

    assert users() == AFTER


@pytest.mark.parametrize("path", ["/api/me/2", "/api/2", "/api/users/2", "/api/me/../2"])
def test_a_path_does_not_say_whose_row_it_is(ada: TestApp, csrf: dict[str, str], users: Users, path: str) -> None:
    problem_shown(ada.put_json(path, TURIN, headers=csrf, status=404))

    assert users() == BEFORE


@pytest.mark.parametrize("field", ["id", "user_id", "userid", "email", "role"])
def test_the_body_does_not_say_whose_row_it_is(ada: TestApp, csrf: dict[str, str], users: Users, field: str) -> None:
    answer = ada.put_json("/api/me", {**TURIN, field: 2}, headers=csrf, status=422)

    assert errors_of(answer) == {field: "There is no such field."}
    assert users() == BEFORE


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ("[]", {"": "This must be of the type object."}),
        ("null", {"": "This must be of the type object."}),
        ("{}", {"name": "Please fill this in.", "location": "Please fill this in."}),
        ('{"name": "", "location": null}', None),
        ('{"name": "A", "location": 1}', {"location": "This must be of the type string."}),
        ('{"name": "A", "location": "\\ud800"}', {"location": "This contains characters that cannot be used."}),
        ('{"name": "A", "location": "a\\u0000b"}', {"location": "This cannot be used."}),
        ('{"name": "  ", "location": ""}', {"name": "This cannot be used."}),
        ('{"name": "A", "location": "%s"}' % ("a" * 101), {"location": "This is too long."}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_each_wrong_field_is_named(
    ada: TestApp, csrf: dict[str, str], users: Users, body: str, errors: dict[str, str] | None
) -> None:
    answer = ada.put("/api/me", body, headers=csrf, content_type="application/json", status=422)

    assert errors_of(answer) == (
        errors or {"name": "Please fill this in.", "location": "This must be of the type string."}
    )
    assert users() == BEFORE


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json", "nonsense"])
def test_an_anonymous_program_is_told_to_log_in(browser: TestApp, users: Users, accept: str) -> None:
    for answer in (
        browser.get("/api/me", headers={"Accept": accept}, status=401),
        browser.put_json("/api/me", TURIN, headers={"Accept": accept}, status=401),
    ):
        assert problem_shown(answer) == "Log in first, or send a token."
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert users() == BEFORE


def test_an_expired_session_writes_nothing(
    ada: TestApp, csrf: dict[str, str], users: Users, expire_sessions: Callable[[], None]
) -> None:
    expire_sessions()
    problem_shown(ada.put_json("/api/me", TURIN, headers=csrf, status=401))

    assert users() == BEFORE


@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "wrong"}])
def test_a_program_needs_the_csrf_token(ada: TestApp, users: Users, headers: dict[str, Any]) -> None:
    answer = ada.put_json("/api/me", TURIN, headers=headers, status=400)

    assert "X-CSRF-Token" in problem_shown(answer)
    assert users() == BEFORE


def test_the_csrf_token_of_before_the_login_is_refused(browser: TestApp, users: Users) -> None:
    before = api_csrf(browser)
    log_in(browser)
    browser.put_json("/api/me", TURIN, headers=before, status=400)

    assert users() == BEFORE


def test_the_token_of_a_page_is_taken_too(ada: TestApp, users: Users) -> None:
    ada.put_json("/api/me", TURIN, headers=csrf_header(ada.get("/profile")), status=200)

    assert users() == AFTER
