"""What a visitor does, for the tests of all views."""

from typing import Any

from pyramid.router import Router
from webtest import TestApp, TestResponse


def fill_in(page: TestResponse, form: str, fields: dict[str, Any], **expect: Any) -> TestResponse:
    """Send a form of a page."""
    found = page.forms[form]
    for name, value in fields.items():
        found[name] = value
    return found.submit(**expect)


def send(page: TestResponse, form: str, **fields_and_expect: Any) -> TestResponse:
    """Send a form of a page as a browser does: it says which page the form was on."""
    expect = {"status": fields_and_expect.pop("status", 303)}
    headers = {"Origin": page.request.host_url, "Referer": page.request.url}
    return fill_in(page, form, fields_and_expect, headers=headers, **expect)


def log_in(
    browser: TestApp,
    email: str = "ada@example.com",
    password: str = "demo",
    persistent: bool = False,
    to: str = "/login",
    **expect: Any,
) -> TestResponse:
    fields = {"email": email, "password": password, "persistent": persistent}
    return fill_in(browser.get(to), "login", fields, **expect)


def sign_up(browser: TestApp, to: str = "/signup", **fields_and_expect: Any) -> TestResponse:
    expect = {"status": fields_and_expect.pop("status", 303)}
    fields = {"name": "Eve", "email": "eve@example.com", "password": "a long one", **fields_and_expect}
    return fill_in(browser.get(to), "signup", fields, **expect)


def add_to_cart(browser: TestApp, item: str, quantity: Any = 1, **expect: Any) -> TestResponse:
    return fill_in(browser.get("/cart"), f"add-{item}", {"quantity": quantity}, **expect)


def same_visitor(browser: TestApp) -> TestApp:
    """Another tab: the same application and the same cookies, also those that are still to come."""
    return TestApp(browser.app, cookiejar=browser.cookiejar)


def get_with_cookie(app: Router, session_cookie: str) -> TestResponse:
    """The start page, for whoever has this cookie."""
    return TestApp(app).get("/", headers={"Cookie": f"session={session_cookie}"})


def csrf_header(page: TestResponse) -> dict[str, str]:
    """What a script of this page sends."""
    return {"X-CSRF-Token": page.html.select_one("meta[name=csrf-token]")["content"]}


def api_csrf(browser: TestApp) -> dict[str, str]:
    """What a program sends that has seen no page."""
    return {"X-CSRF-Token": browser.get("/api/session").json["csrf_token"]}


def problem_shown(answer: TestResponse) -> str:
    """What the problem document says that this answer has to be."""
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "about:blank"
    assert f"{answer.json['status']} {answer.json['title']}" == answer.status
    return str(answer.json["detail"])


def make_token(browser: TestApp, name: str = "script") -> str:
    """An API token of whoever is logged in."""
    return str(
        fill_in(browser.get("/account/tokens"), "make-token", {"name": name}).html.select_one("#new-token code").text
    )


def views_shown(page: TestResponse) -> int:
    return int(page.html.select_one(".count").text)


def user_shown(page: TestResponse) -> str | None:
    """Whom the header of a page names."""
    shown = page.html.select_one(".who form")
    return shown and page.html.select(".who span")[1].text


def cart_shown(page: TestResponse) -> dict[str, int]:
    rows = page.html.select("tbody tr")
    return {row["id"].removeprefix("in-cart-"): int(row.select_one("span.quantity").text) for row in rows}


def messages_shown(page: TestResponse) -> list[str]:
    return [shown.text for shown in page.html.select(".rows li p")]


def devices_shown(page: TestResponse) -> list[tuple[str, str]]:
    """Browser and address of each device, this one first."""
    return [(row.th.text, row.td.text) for row in page.html.select("#devices tbody tr")]


def notice(page: TestResponse) -> str | None:
    """The message of success."""
    shown = page.html.select_one("[role=status]")
    return shown and shown.text


def error(page: TestResponse) -> str | None:
    """The message of what went wrong."""
    shown = page.html.select_one("[role=alert]")
    return shown and shown.text


def error_at(page: TestResponse, field: str) -> str | None:
    """The message at a field, which the field refers to."""
    note = page.html.select_one(f"[name={field}]").get("aria-describedby")
    return page.html.find(id=note).text if note == f"{field}-error" else None
