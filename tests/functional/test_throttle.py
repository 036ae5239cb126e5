"""Logins with wrong passwords, of one account and from one address."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyramid.router import Router
from pyramid.testing import DummyRequest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from webtest import TestApp, TestResponse

from example_app import throttle
from example_app.authentication import PER_ACCOUNT, PER_ADDRESS
from example_app.models import LoginAttempt
from tests.functional.browsing import api_csrf, csrf_header, error, error_at, fill_in, log_in, sign_up, user_shown
from tests.functional.conftest import AppStarter, database_of
from tests.functional.test_guard import shared  # noqa: F401

Later = Callable[[int], None]

TOO_MANY = "Too many attempts. Please try again in 15 minutes."


def stored(app: Router) -> int:
    """How many attempts the database holds."""
    with database_of(app).connect() as connection:
        return connection.scalar(select(func.count(LoginAttempt.id))) or 0


def visitor(app: Router, address: str = "192.0.2.1") -> TestApp:
    return TestApp(app, extra_environ={"REMOTE_ADDR": address})


def guess(browser: TestApp, times: int = 1, email: str = "ada@example.com") -> None:
    for _ in range(times):
        log_in(browser, email, "wrong", status=403)


def guess_from_everywhere(app: Router, email: str = "ada@example.com") -> None:
    for host in range(PER_ACCOUNT.attempts):
        guess(visitor(app, f"198.51.100.{host}"), email=email)


def refused(browser: TestApp, email: str = "ada@example.com", password: str = "demo") -> TestResponse:
    return log_in(browser, email, password, status=429)


def test_after_five_wrong_passwords_the_right_one_waits(app: Router) -> None:
    guess(visitor(app), 5)
    page = refused(visitor(app))

    assert error(page) == TOO_MANY
    assert 14 * 60 < int(page.headers["Retry-After"]) <= 15 * 60
    assert page.forms["login"]["email"].value == "ada@example.com"
    assert user_shown(page) is None


def test_it_makes_no_difference_where_they_come_from(app: Router) -> None:
    guess_from_everywhere(app)

    refused(visitor(app))


def test_the_spelling_of_the_address_makes_no_difference(app: Router) -> None:
    for email in ("ada@example.com", "ADA@example.com", " Ada@Example.com", "ada@example.com ", "aDa@example.com"):
        guess(visitor(app), email=email)

    refused(visitor(app))


def test_nor_what_they_say_where_they_come_from(app: Router) -> None:
    for number in range(PER_ADDRESS.attempts):
        liar = visitor(app)
        liar.extra_environ["HTTP_X_FORWARDED_FOR"] = f"198.51.100.{number}"
        guess(liar, email=f"user{number}@example.com")

    refused(visitor(app), "bob@example.com")


def test_four_are_forgiven(app: Router) -> None:
    guess(visitor(app), 4)
    log_in(visitor(app), status=303)
    guess(visitor(app), 4)

    log_in(visitor(app), status=303)


def test_others_log_in_meanwhile(app: Router) -> None:
    guess(visitor(app), 5)

    log_in(visitor(app), "bob@example.com", status=303)


def test_a_script_is_refused_too(app: Router) -> None:
    guess(visitor(app), 5)
    browser = visitor(app)
    fields = {"email": "ada@example.com", "password": "demo"}
    answer = browser.post_json("/api/login", fields, headers=api_csrf(browser), status=429)

    assert answer.headers["Retry-After"]


def test_an_address_that_nobody_has_counts_alike(app: Router) -> None:
    guess(visitor(app), 5, "nobody@example.com")
    of_nobody = refused(visitor(app), "nobody@example.com")
    guess(visitor(app), 5)
    of_ada = refused(visitor(app))

    assert error(of_nobody) == error(of_ada)


def test_twenty_from_one_address_are_too_many(app: Router) -> None:
    for number in range(PER_ADDRESS.attempts):
        guess(visitor(app), email=f"{number}@example.com")

    assert error(refused(visitor(app))) == TOO_MANY
    log_in(visitor(app, "192.0.2.2"), status=303)


def test_a_right_password_does_not_reset_the_address(app: Router) -> None:
    for number in range(PER_ADDRESS.attempts):
        guess(visitor(app), email=f"{number}@example.com")
        if number % 5 == 0:
            log_in(visitor(app), "bob@example.com", status=303)

    refused(visitor(app))


def test_it_is_over_after_a_quarter_of_an_hour(app: Router, later: Later) -> None:
    guess(visitor(app), 5)
    later(PER_ACCOUNT.seconds - 10)
    assert error(refused(visitor(app))) == "Too many attempts. Please try again in 1 minute."
    later(PER_ACCOUNT.seconds + 1)

    log_in(visitor(app), status=303)


def test_who_keeps_trying_does_not_wait_longer(app: Router, later: Later) -> None:
    guess(visitor(app), 5)
    for minutes in range(1, 15):
        later(minutes * 60)
        refused(visitor(app), password="wrong")
    later(PER_ACCOUNT.seconds + 1)

    log_in(visitor(app), status=303)


def test_the_last_free_place_opens_with_the_oldest_attempt(app: Router, later: Later) -> None:
    guess(visitor(app), 1)
    later(600)
    guess(visitor(app), 4)
    assert int(refused(visitor(app)).headers["Retry-After"]) <= 300
    later(PER_ACCOUNT.seconds + 1)
    guess(visitor(app), 1)

    refused(visitor(app))


def test_other_processes_know(app: Router, start_app: AppStarter) -> None:
    guess(visitor(app), 5)

    refused(visitor(start_app()))


def test_of_many_at_once_no_more_are_tried(app: Router) -> None:
    """Each has its form already, so that all are sent together."""

    def send(form: TestResponse) -> int:
        return fill_in(form, "login", {"email": "ada@example.com", "password": "wrong"}, status="*").status_int

    forms = [visitor(app).get("/login") for _ in range(12)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, forms))

    assert set(answers) <= {403, 429}
    assert answers.count(403) <= PER_ACCOUNT.attempts
    # None is lost: those that were tried are counted for the account and for the address.
    assert stored(app) == 2 * answers.count(403)


def test_an_outsider_cannot_lock_a_known_browser_out(app: Router) -> None:
    ada = visitor(app)
    log_in(ada)
    ada.get("/").forms["logout"].submit()
    guess_from_everywhere(app)

    refused(visitor(app))
    log_in(ada, status=303)


def test_a_known_browser_may_try_no_more_than_others(app: Router) -> None:
    ada = visitor(app)
    log_in(ada)
    guess(ada, 5)

    refused(ada)
    log_in(visitor(app), status=303)


def test_a_browser_is_known_to_its_own_user_only(app: Router) -> None:
    bob = visitor(app, "192.0.2.2")
    log_in(bob, "bob@example.com")
    guess_from_everywhere(app)

    refused(bob)


@pytest.mark.parametrize("cookie", ["", "x", ".", "x.y", "x.\xe9", '"\\377.x"', "a.b.c"])
def test_a_made_up_cookie_makes_no_browser_known(app: Router, cookie: str) -> None:
    guess_from_everywhere(app)
    browser = visitor(app)
    token = csrf_header(browser.get("/login"))
    headers = {**token, "Cookie": f"session={browser.cookies['session']}; known_browser={cookie}"}
    fields = {"email": "ada@example.com", "password": "demo"}

    browser.post("/login", fields, headers=headers, status=429)


def test_after_a_new_password_a_browser_is_not_known(app: Router) -> None:
    thief, ada = visitor(app), visitor(app)
    log_in(thief)
    log_in(ada)
    fill_in(ada.get("/account/password"), "change-password", {"current": "demo", "new": "a new password"}, status=303)
    guess_from_everywhere(app)

    refused(thief, password="a new password")
    log_in(ada, password="a new password", status=303)


def test_scripts_of_a_page_cannot_read_the_cookie(app: Router) -> None:
    cookies = log_in(visitor(app)).headers.getall("Set-Cookie")
    (known,) = [cookie for cookie in cookies if cookie.startswith("known_browser=")]

    assert "HttpOnly" in known
    assert "SameSite=Lax" in known


def test_the_current_password_cannot_be_guessed_either(app: Router) -> None:
    ada = visitor(app)
    log_in(ada)
    for _ in range(5):
        form = ada.get("/account/password")
        fill_in(form, "change-password", {"current": "wrong", "new": "a new password"}, status=400)
    page = fill_in(form, "change-password", {"current": "demo", "new": "a new password"}, status=429)

    assert error_at(page, "current") == TOO_MANY


def test_a_session_that_a_test_brings_is_used(app: Router, browser: TestApp, shared: Session) -> None:  # noqa: F811
    """Else a test that has written something would wait for itself on SQLite, and would not be alone."""
    sign_up(browser)
    guess(browser, 5)
    refused(browser)

    assert shared.scalar(select(func.count(LoginAttempt.id))) == 10
    shared.rollback()
    assert stored(app) == 0


def test_what_no_longer_counts_is_removed(app: Router, later: Later) -> None:
    guess(visitor(app), 3)
    assert stored(app) == 6
    later(PER_ACCOUNT.seconds + 1)
    guess(visitor(app), 1, "bob@example.com")

    assert stored(app) == 2


def test_a_right_password_leaves_nothing_behind(app: Router) -> None:
    log_in(visitor(app), status=303)

    assert stored(app) == 0


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::9", "2001:0db8:0001:0002"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("localhost", "localhost"),
        (None, "unknown"),
    ],
)
def test_neighbours_by_ipv6_are_one_address(address: str | None, counted_as: str) -> None:
    assert throttle.address(DummyRequest(remote_addr=address)) == counted_as
