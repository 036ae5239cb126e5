"""Who is let in, where the others go, and what is left for the Back button."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from webtest import TestApp

from tests.functional.browsing import fill_in, log_in, same_visitor, sign_up, user_shown

GATED = ["/dashboard", "/messages", "/profile", "/account/password", "/account/devices", "/admin"]
FOR_ALL = ["/", "/login", "/signup", "/cart"]

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "https://evil.example/",
    "/\\evil.example",
    "/%2fevil.example",
    "/..//evil.example",
    "javascript:alert(1)",
    "/\tevil",
    "",
]


@pytest.mark.parametrize("path", GATED)
def test_a_visitor_goes_to_the_login_and_back(browser: TestApp, path: str) -> None:
    answer = browser.get(f"{path}?page=2&by=name", status=303)
    assert answer.location == f"http://localhost/login?next={quote(path, safe='')}%3Fpage%3D2%26by%3Dname"

    answer = log_in(browser, to=answer.location)
    assert answer.location == f"http://localhost{path}?page=2&by=name"
    assert user_shown(answer.follow()) == "Ada"


def test_the_way_back_outlives_a_wrong_password(browser: TestApp) -> None:
    page = log_in(browser, password="wrong", to="/login?next=/messages", status=403)

    assert fill_in(page, "login", {"password": "demo"}).location == "http://localhost/messages"


def test_the_way_back_outlives_the_choice_to_sign_up(browser: TestApp) -> None:
    page = browser.get("/login?next=/messages").click("Sign up", index=1)

    assert sign_up(browser, to=page.request.path_qs).location == "http://localhost/messages"


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_nobody_is_sent_elsewhere(browser: TestApp, elsewhere: str) -> None:
    query = f"?next={quote(elsewhere, safe='')}"

    assert log_in(browser, to=f"/login{query}").location == "http://localhost/dashboard"
    assert sign_up(browser, to=f"/signup{query}").location == "http://localhost/dashboard"


def test_a_form_sent_too_late_leads_back_to_its_page(
    browser: TestApp, expire_sessions: Callable[[], None], messages: Callable[[], list[str]]
) -> None:
    log_in(browser)
    page = browser.get("/messages")
    expire_sessions()
    answer = page.forms["post"]
    answer["text"] = "too late"
    answer = answer.submit(headers={"Referer": "http://localhost/messages"}, status=303)

    assert answer.location == "http://localhost/login?next=%2Fmessages&why=lifetime"
    assert messages() == []


@pytest.mark.parametrize(
    ("path", "form", "fields"),
    [
        ("/messages", "post", {"text": "too late"}),
        ("/profile", "profile", {"name": "Late", "location": "Late"}),
        ("/account/password", "change-password", {"current": "demo", "new": "a new password"}),
    ],
)
def test_an_expired_session_writes_nothing(
    browser: TestApp,
    expire_sessions: Callable[[], None],
    messages: Callable[[], list[str]],
    users: Callable[[], dict[str, tuple[str, str]]],
    path: str,
    form: str,
    fields: dict[str, str],
) -> None:
    log_in(browser)
    page = browser.get(path)
    before = users(), messages()
    expire_sessions()
    answer = fill_in(page, form, fields, status=303)

    assert answer.location.startswith("http://localhost/login")
    assert (users(), messages()) == before
    assert log_in(browser).status_int == 303


@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {"X-Requested-With": "XMLHttpRequest"}])
def test_a_script_gets_a_status_and_no_page(browser: TestApp, headers: dict[str, str]) -> None:
    answer = browser.get("/messages", headers=headers, status=401)

    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == 401


@pytest.mark.parametrize("path", FOR_ALL + GATED)
def test_no_page_is_kept_for_the_back_button(browser: TestApp, path: str) -> None:
    log_in(browser)

    assert "no-store" in browser.get(path).headers["Cache-Control"]


def test_a_logout_in_one_tab_closes_the_other(browser: TestApp) -> None:
    log_in(browser)
    other = same_visitor(browser)
    assert user_shown(other.get("/messages")) == "Ada"
    browser.get("/").forms["logout"].submit()

    other.get("/messages", status=303)
