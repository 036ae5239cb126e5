from collections.abc import Callable

import pytest
from webtest import TestApp

from tests.functional.browsing import csrf_header, error_at, fill_in, notice, user_shown

Users = Callable[[], dict[str, tuple[str, str]]]

BEFORE = {"ada@example.com": ("Ada", ""), "bob@example.com": ("Bob", "")}


def after(**changed: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return BEFORE | {f"{name}@example.com": row for name, row in changed.items()}


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
        ("location", "a\0b", "This contains characters that cannot be used."),
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
