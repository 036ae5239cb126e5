from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from tests.functional.browsing import csrf_header, error_at, fill_in, log_in, notice, user_shown

Users = Callable[[], dict[str, tuple[str, str]]]

BEFORE = {"ada@example.com": ("Ada", ""), "bob@example.com": ("Bob", "")}


def after(**changed: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return BEFORE | {f"{name}@example.com": row for name, row in changed.items()}


@pytest.fixture
def ada(browser: TestApp) -> TestApp:
    log_in(browser)
    return browser


@pytest.fixture
def token(ada: TestApp) -> dict[str, str]:
    return csrf_header(ada.get("/profile"))


def test_the_form_shows_what_there_is_and_saves(ada: TestApp, users: Users) -> None:
    page = ada.get("/profile")
    assert page.forms["profile"]["name"].value == "Ada"
    page = fill_in(page, "profile", {"name": " Ada L. ", "location": " London "}, status=303).follow()

    assert notice(page) == "Your profile is saved."
    assert user_shown(page) == "Ada L."
    assert page.forms["profile"]["location"].value == "London"
    assert users() == after(ada=("Ada L.", "London"))


def test_the_form_changes_the_own_row_whatever_it_names(ada: TestApp, users: Users) -> None:
    token = ada.get("/profile").forms["profile"]["csrf_token"].value
    fields = {"csrf_token": token, "name": "A", "location": "L", "id": "2", "user_id": "2", "email": "x", "role": "x"}
    ada.post("/profile?id=2", fields, status=303)

    assert users() == after(ada=("A", "L"))
    assert ada.get("/admin").status_int == 200


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("name", "", "Please fill this in."),
        ("name", "a" * 81, "Use 80 characters at most; these are 81."),
        ("location", "a" * 101, "Use 100 characters at most; these are 101."),
        ("location", "a\0b", "This has characters that are no text."),
    ],
)
def test_the_form_is_shown_again_with_the_error(ada: TestApp, users: Users, field: str, value: str, error: str) -> None:
    fields = {"name": "A", "location": "L", field: value}
    page = fill_in(ada.get("/profile"), "profile", fields, status=400)

    assert error_at(page, field) == error
    assert {name: page.forms["profile"][name].value for name in fields} == fields
    assert user_shown(page) == "Ada"
    assert users() == BEFORE


def test_the_form_needs_the_csrf_token(ada: TestApp, users: Users) -> None:
    ada.post("/profile", {"name": "A", "location": "L"}, status=400)

    assert users() == BEFORE


def test_a_script_changes_the_location(ada: TestApp, token: dict[str, str], users: Users) -> None:
    answer = ada.put_json("/api/me", {"location": " Turin "}, headers=token)

    assert answer.json == {"updated": 1}
    assert users() == after(ada=("Ada", "Turin"))


@pytest.mark.parametrize("location", ["", "a" * 100, "München 🎈"])
def test_locations_that_are_taken(ada: TestApp, token: dict[str, str], users: Users, location: str) -> None:
    ada.put_json("/api/me", {"location": location}, headers=token)

    assert users() == after(ada=("Ada", location))


@pytest.mark.parametrize("query", ["?id=2", "?user_id=2", "?userid=2&user=2", "?email=bob@example.com"])
def test_a_query_does_not_say_whose_row_it_is(ada: TestApp, token: dict[str, str], users: Users, query: str) -> None:
    answer = ada.put_json(f"/api/me{query}", {"location": "Turin"}, headers=token)

    assert answer.json == {"updated": 1}
    assert users() == after(ada=("Ada", "Turin"))


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
def test_nor_does_a_header(ada: TestApp, token: dict[str, str], users: Users, header: dict[str, str]) -> None:
    answer = ada.put_json("/api/me", {"location": "Turin"}, headers=token | header)

    assert answer.json == {"updated": 1}
    assert users() == after(ada=("Ada", "Turin"))


@pytest.mark.parametrize("path", ["/api/me/2", "/api/2", "/api/users/2", "/api/me/../2"])
def test_nor_does_a_path(ada: TestApp, token: dict[str, str], users: Users, path: str) -> None:
    ada.put_json(path, {"location": "Turin"}, headers=token, status=404)

    assert users() == BEFORE


@pytest.mark.parametrize("field", ["id", "user_id", "userid", "email", "role", "name"])
def test_nor_does_the_body(ada: TestApp, token: dict[str, str], users: Users, field: str) -> None:
    answer = ada.put_json("/api/me", {"location": "Turin", field: 2}, headers=token, status=400)

    assert answer.json == {"errors": {"location": "Send a JSON object with this one field."}}
    assert users() == BEFORE


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "Send a JSON object with this one field."),
        ("{", "Send a JSON object with this one field."),
        ("[]", "Send a JSON object with this one field."),
        ("null", "Send a JSON object with this one field."),
        ('"Turin"', "Send a JSON object with this one field."),
        ('["location"]', "Send a JSON object with this one field."),
        ("{}", "Send a JSON object with this one field."),
        ('{"location": null}', "This must be text."),
        ('{"location": 1}', "This must be text."),
        ('{"location": ["Turin"]}', "This must be text."),
        ('{"location": "\\ud800"}', "This has characters that are no text."),
        ('{"location": "a\\u0000b"}', "This has characters that are no text."),
        ('{"location": "%s"}' % ("a" * 101), "Use 100 characters at most; these are 101."),
        ("[" * 9_000, "Send a JSON object with this one field."),
    ],
    ids=lambda value: value[:30],
)
def test_bodies_that_are_refused(ada: TestApp, token: dict[str, str], users: Users, body: str, error: str) -> None:
    answer = ada.put("/api/me", body, headers=token, content_type="application/json", status=400)

    assert answer.json == {"errors": {"location": error}}
    assert users() == BEFORE


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "text/html"}, {"Accept": "application/json"}])
def test_an_anonymous_script_is_told_to_log_in(browser: TestApp, users: Users, headers: dict[str, str]) -> None:
    answer = browser.put_json("/api/me", {"location": "Turin"}, headers=headers, status=401)

    assert answer.content_type == "application/problem+json"
    assert answer.json["title"] == "Unauthorized"
    assert users() == BEFORE


def test_an_expired_session_writes_nothing(
    ada: TestApp, token: dict[str, str], users: Users, expire_sessions: Callable[[], None]
) -> None:
    expire_sessions()
    answer = ada.put_json("/api/me", {"location": "Turin"}, headers=token, status=401)

    assert answer.content_type == "application/problem+json"
    assert users() == BEFORE


@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "wrong"}])
def test_a_script_needs_the_csrf_token(ada: TestApp, users: Users, headers: dict[str, Any]) -> None:
    answer = ada.put_json("/api/me", {"location": "Turin"}, headers=headers, status=400)

    assert "X-CSRF-Token" in answer.json["message"]
    assert users() == BEFORE


def test_the_csrf_token_of_before_the_login_is_refused(browser: TestApp, users: Users) -> None:
    before = csrf_header(browser.get("/"))
    log_in(browser)
    browser.put_json("/api/me", {"location": "Turin"}, headers=before, status=400)

    assert users() == BEFORE
