import pytest
from pyramid.router import Router
from sqlalchemy import delete
from webtest import TestApp, TestResponse

from example_app.models import User
from example_app.views import admin
from tests.functional.browsing import add_to_cart, log_in


def sessions_shown(page: TestResponse) -> list[tuple[str, str]]:
    return [(row.th.text, row.td.text) for row in page.html.select("#sessions tbody tr")]


def counts_shown(page: TestResponse) -> str:
    return " ".join([page.html.select("h2")[1].text, *(found.text for found in page.html.select("#shown"))])


def test_an_administrator_sees_the_users(browser: TestApp) -> None:
    log_in(browser)
    page = browser.get("/admin", status=200)

    rows = [[cell.text for cell in row.select("th, td")[:4]] for row in page.html.select("#users tbody tr")]
    assert rows == [["Ada", "ada@example.com", "–", "admin"], ["Bob", "bob@example.com", "–", "user"]]


def test_another_user_is_told_that_it_is_not_for_them(browser: TestApp) -> None:
    log_in(browser, "bob@example.com")
    page = browser.get("/admin", status=403)

    assert page.html.h1.text == "Not for you"
    assert "ada@example.com" not in page


def test_a_visitor_may_log_in_first(browser: TestApp) -> None:
    assert browser.get("/admin", status=303).location == "http://localhost/login?next=%2Fadmin"


def test_an_administrator_sees_the_sessions_of_all(app: Router, browser: TestApp) -> None:
    visitor, bob = TestApp(app), TestApp(app)
    add_to_cart(visitor, "ink")
    log_in(bob, "bob@example.com")
    log_in(browser)
    page = browser.get("/admin")

    assert counts_shown(page) == "3 sessions"
    assert sorted(user for user, _ in sessions_shown(page)) == ["Ada", "Bob", "anonymous"]
    own_name = browser.get("/dashboard").html.select("code")[0].text
    assert ("Ada", own_name) in sessions_shown(page)
    assert all(len(key) == 8 for _, key in sessions_shown(page))


def test_what_sessions_contain_is_not_shown(app: Router, browser: TestApp) -> None:
    bob = TestApp(app, extra_environ={"REMOTE_ADDR": "192.0.2.7"})
    log_in(bob, "bob@example.com")
    token = bob.get("/cart").html.select_one("meta[name=csrf-token]")["content"]
    log_in(browser)
    page = browser.get("/admin")

    assert "Bob" in page
    _, secret, signature = bob.cookies["session"].strip('"').split(".")
    for content in (token, "192.0.2.7", "Unknown browser", secret, signature):
        assert content not in page


def test_it_shows_those_used_last_and_counts_the_rest(
    app: Router, browser: TestApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "SHOWN", 2)
    for _ in range(3):
        TestApp(app).get("/")
    log_in(browser)
    page = browser.get("/admin")

    assert counts_shown(page) == "4 sessions These are the 2 that were used last."
    assert len(sessions_shown(page)) == 2


def test_a_user_who_is_gone_is_named_by_their_number(app: Router, browser: TestApp) -> None:
    log_in(TestApp(app), "bob@example.com")
    with app.registry["dbsession_factory"].begin() as dbsession:
        dbsession.execute(delete(User).where(User.email == "bob@example.com"))
    log_in(browser)

    assert "2 (gone)" in [user for user, _ in sessions_shown(browser.get("/admin"))]


def test_a_session_that_ended_is_not_counted(app: Router, browser: TestApp) -> None:
    other = TestApp(app)
    log_in(other)
    log_in(browser)
    browser.get("/account/devices/log-out-others").forms["log-out-others"].submit(status=303)

    assert counts_shown(browser.get("/admin")) == "1 session"
