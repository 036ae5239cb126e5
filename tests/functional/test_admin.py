import logging

import pytest
from pyramid.router import Router
from sqlalchemy import delete, insert
from webtest import TestApp, TestResponse

from example_app.models import User
from example_app.views import admin
from pyramid_sessionkit import get_sessions
from tests.functional.browsing import add_to_cart, csrf_header, error, fill_in, log_in, notice, user_shown
from tests.functional.conftest import database_of


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

    assert page.html.h1.text == "No permission"
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


def users_shown(page: TestResponse) -> list[str]:
    return [row.th.text for row in page.html.select("#users tbody tr")]


def search(browser: TestApp, q: str) -> TestResponse:
    return fill_in(browser.get("/admin"), "search", {"q": q}, status=200)


def press(page: TestResponse, label: str) -> TestResponse:
    """The button that a screen reader reads so."""
    button = page.html.select_one(f'button[aria-label="{label}"]')
    fields = {field["name"]: field["value"] for field in button.parent.select("input")}
    return page.test_app.post(button.parent["action"], fields, status=303).follow()


def add_users(app: Router, count: int) -> None:
    rows = [{"name": f"User {n}", "email": f"user{n}@example.com", "password_hash": "x"} for n in range(count)]
    with database_of(app).begin() as connection:
        connection.execute(insert(User), rows)


@pytest.fixture
def bob(app: Router) -> TestApp:
    bob = TestApp(app)
    log_in(bob, "bob@example.com")
    return bob


@pytest.fixture
def log(app: Router, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "example_app.views.admin")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == "example_app.views.admin"]


def key_of(app: Router, userid: str) -> str:
    (session,) = get_sessions(app.registry).of_user(userid)
    return session.key


@pytest.mark.parametrize(
    ("q", "found"),
    [("bo", ["Bob"]), ("BOB@", ["Bob"]), ("example.com", ["Ada", "Bob"]), (" ada ", ["Ada"]), ("%", []), ("_", [])],
)
def test_users_are_found_by_name_and_address(ada: TestApp, q: str, found: list[str]) -> None:
    page = search(ada, q)

    assert users_shown(page) == found
    assert page.forms["search"]["q"].value == q.strip()


def test_with_them_their_sessions_are_found(ada: TestApp, bob: TestApp) -> None:
    assert [user for user, _ in sessions_shown(search(ada, "bob"))] == ["Bob"]


def test_a_session_is_found_by_how_its_key_begins(app: Router, ada: TestApp, bob: TestApp) -> None:
    key = key_of(app, "2")
    for q in (key[:4], key[:8], key):
        page = search(ada, q)
        assert ("Bob", key[:8]) in sessions_shown(page)
        assert users_shown(page) == []

    assert sessions_shown(search(ada, key[:3])) == []


@pytest.mark.parametrize("q", ["\0", "'; DROP TABLE users; --", "<script>", "x" * 10_000])
def test_whatever_is_searched_is_only_text(ada: TestApp, q: str) -> None:
    page = ada.get("/admin", {"q": q}, status=200)

    assert "<script>" not in page
    assert users_shown(ada.get("/admin")) == ["Ada", "Bob"]


def test_results_come_in_pages(app: Router, ada: TestApp) -> None:
    add_users(app, 41)
    first = search(ada, "user")
    second = first.click("Next")
    third = second.click("Next")

    assert [len(users_shown(page)) for page in (first, second, third)] == [20, 20, 1]
    assert "Page 3 of 3" in third
    assert first.html.select("h2")[0].text == "41 users"
    assert third.html.find("a", string="Next") is None
    assert first.html.find("a", string="Previous") is None
    assert users_shown(third.click("Previous")) == users_shown(second)


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "", "9" * 30])
def test_what_is_no_page_is_the_first(ada: TestApp, number: str) -> None:
    assert users_shown(ada.get(f"/admin?page={number}")) == ["Ada", "Bob"]


def test_a_page_behind_the_last_is_empty(ada: TestApp) -> None:
    assert users_shown(ada.get("/admin?page=999999")) == []


def test_a_session_can_be_ended(app: Router, ada: TestApp, bob: TestApp, log: pytest.LogCaptureFixture) -> None:
    phone = TestApp(app)
    log_in(phone, "ada@example.com")
    name = key_of(app, "2")[:8]
    page = press(search(ada, "bob"), f"End session {name}")

    assert notice(page) == f"Session {name} is ended."
    assert page.forms["search"]["q"].value == "bob"
    assert user_shown(bob.get("/")) is None
    assert user_shown(phone.get("/")) == "Ada"
    assert lines(log) == [f"Administrator 1 ended session {name}"]


def test_that_of_a_visitor_too(app: Router, ada: TestApp) -> None:
    visitor = TestApp(app)
    add_to_cart(visitor, "ink")
    (name,) = [key for user, key in sessions_shown(ada.get("/admin")) if user == "anonymous"]
    press(ada.get("/admin"), f"End session {name}")

    assert "There is nothing here yet." in visitor.get("/cart")


def test_one_that_is_gone_is_said_to_be(app: Router, ada: TestApp, bob: TestApp, log: pytest.LogCaptureFixture) -> None:
    page = ada.get("/admin")
    name = key_of(app, "2")[:8]
    bob.get("/").forms["logout"].submit()

    assert error(press(page, f"End session {name}")) == "There is no such session any more."
    assert lines(log) == []


def test_ones_own_is_not_ended_here(app: Router, ada: TestApp) -> None:
    key = key_of(app, "1")
    assert ada.get("/admin").html.select_one(f'button[aria-label="End session {key[:8]}"]') is None
    ada.post(f"/admin/sessions/{key}/log-out", headers=csrf_header(ada.get("/")), status=303)

    assert user_shown(ada.get("/")) == "Ada"


def test_a_user_can_be_logged_out_everywhere(
    app: Router, ada: TestApp, bob: TestApp, log: pytest.LogCaptureFixture
) -> None:
    phone = TestApp(app)
    log_in(phone, "bob@example.com", persistent=True)
    page = press(ada.get("/admin"), "Log out Bob everywhere")

    assert notice(page) == "2 sessions are ended."
    assert [user_shown(browser.get("/")) for browser in (bob, phone, ada)] == [None, None, "Ada"]
    assert lines(log) == ["Administrator 1 ended the 2 sessions of user 2"]


def test_an_administrator_stays_logged_in_here(app: Router, ada: TestApp) -> None:
    phone = TestApp(app)
    log_in(phone)
    page = press(ada.get("/admin"), "Log out Ada everywhere")

    assert notice(page) == "1 session is ended."
    assert user_shown(page) == "Ada"
    assert user_shown(phone.get("/")) is None


@pytest.mark.parametrize("what", ["sessions/{key}/log-out", "users/1/log-out"])
def test_it_is_for_administrators_with_a_token(app: Router, ada: TestApp, bob: TestApp, what: str) -> None:
    path = "/admin/" + what.format(key=key_of(app, "1"))
    bob.post(path, headers=csrf_header(bob.get("/")), status=403)
    ada.post(path, status=400)
    ada.get(path, status=404)
    visitor = TestApp(app)
    answer = visitor.post(path, headers=csrf_header(visitor.get("/")), status=303)

    assert answer.location.startswith("http://localhost/login")
    assert user_shown(ada.get("/")) == "Ada"


def test_what_is_no_text_is_not_searched(ada: TestApp) -> None:
    """PostgreSQL would refuse it."""
    assert ada.get("/admin", {"q": "a\0"}, status=200).forms["search"]["q"].value == ""
