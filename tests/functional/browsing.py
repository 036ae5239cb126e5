"""What a visitor does, for the tests of all views."""

from typing import Any

from pyramid.router import Router
from webtest import TestApp, TestResponse


def log_in(
    browser: TestApp, email: str = "ada@example.com", password: str = "demo", persistent: bool = False, **expect: Any
) -> TestResponse:
    form = browser.get("/login").forms["login"]
    form["email"] = email
    form["password"] = password
    form["persistent"] = persistent
    return form.submit(**expect)


def get_with_cookie(app: Router, session_cookie: str) -> TestResponse:
    """The start page, for whoever has this cookie."""
    return TestApp(app).get("/", headers={"Cookie": f"session={session_cookie}"})


def views_shown(page: TestResponse) -> int:
    return int(page.html.select_one(".count").text)


def user_shown(page: TestResponse) -> str | None:
    """Whom the header of a page names."""
    shown = page.html.select_one(".who form")
    return shown and page.html.select(".who span")[1].text
