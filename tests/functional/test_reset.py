"""A new password by mail, for those who forgot theirs."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import delete
from webtest import TestApp, TestResponse

from example_app.models import User
from example_app.views import reset
from tests.functional.browsing import (
    devices_shown,
    error,
    error_at,
    fill_in,
    log_in,
    make_token,
    notice,
    same_visitor,
    user_shown,
)
from tests.functional.conftest import AppStarter, Mail, database_of
from tests.test_sources import bearer

NEW = "a new password"

Mails = list[Mail]
Later = Callable[[int], None]


def ask(browser: TestApp, email: str = "ada@example.com", status: int = 303) -> TestResponse:
    return fill_in(browser.get("/reset"), "reset", {"email": email}, status=status)


def choose(page: TestResponse, new: str = NEW, status: int = 303) -> TestResponse:
    return fill_in(page, "new-password", {"new": new}, status=status)


def is_void(answer: TestResponse) -> bool:
    """Whether the link leads back to where one asks for another."""
    page = answer.follow()
    return page.request.path == "/reset" and "This link does not work" in (error(page) or "")


@pytest.fixture
def link(browser: TestApp, mails: Mails) -> str:
    """For a new password of Ada."""
    ask(browser)
    path = mails[0].link()
    mails.clear()
    return path


def test_the_login_page_leads_there(browser: TestApp) -> None:
    assert browser.get("/login").click("Forgot your password").html.h1.text == "Forgot your password?"


def test_the_mail_leads_to_a_new_password(app: Router, browser: TestApp, mails: Mails) -> None:
    ask(browser)
    (mail,) = mails
    assert (mail.to, mail.subject) == ("ada@example.com", "Your password")
    page = choose(TestApp(app).get(mail.link())).follow()

    assert page.request.path == "/login"
    assert notice(page) == "Your password is changed. Log in with the new one."
    log_in(TestApp(app), status=403)
    log_in(TestApp(app), password=NEW, status=303)


def test_in_development_it_says_where_the_mail_is(start_app: AppStarter, tmp_path: Path) -> None:
    folder = str(tmp_path / "sent_mail")
    app = start_app(**{"mail.top_level_directory": folder})

    assert f"Mails are in {folder}." in (notice(ask(TestApp(app)).follow()) or "")


def test_it_says_and_does_the_same_for_an_unknown_address(browser: TestApp, mails: Mails, queries: list[str]) -> None:
    known = ask(browser).follow()
    of_known = list(queries)
    queries.clear()
    unknown = ask(browser, "nobody@example.com").follow()

    assert notice(unknown) == (notice(known) or "").replace("ada@", "nobody@")
    assert queries == of_known
    assert [mail.to for mail in mails] == ["ada@example.com", "nobody@example.com"]
    assert "http" not in mails[1].text


def test_it_goes_to_the_address_that_is_stored(browser: TestApp, mails: Mails) -> None:
    """A K that is no Latin letter becomes one in lower case; the mailbox of that other address is another's."""
    log_in(browser)
    with database_of(browser.app).begin() as connection:
        connection.exec_driver_sql("UPDATE users SET email = 'kim@example.com' WHERE id = 1")
    ask(browser, "\u212aim@example.com")

    assert [mail.to for mail in mails] == ["kim@example.com"]


def test_a_forged_host_does_not_get_into_the_mail(start_app: AppStarter, mails: Mails) -> None:
    app = start_app(**{"example.url": "https://shop.example/"})
    ask(TestApp(app, extra_environ={"HTTP_HOST": "evil.example"}))

    assert "evil" not in mails[0].text
    assert f"https://shop.example{mails[0].link()}" in mails[0].text


@pytest.mark.parametrize("email", ["", "ada", "a@b\nBcc: c@d", "x,ada@example.com", "<ada@example.com>"])
def test_what_is_no_address_is_sent_nothing(browser: TestApp, mails: Mails, email: str) -> None:
    page = ask(browser, email, status=400)

    assert error_at(page, "email")
    assert mails == []


def test_all_sessions_end_and_leave_the_list(app: Router, browser: TestApp, link: str) -> None:
    laptop, bob = TestApp(app), TestApp(app)
    log_in(laptop)
    log_in(bob, "bob@example.com")
    choose(TestApp(app).get(link))

    laptop.get("/messages", status=303)
    assert user_shown(bob.get("/messages")) == "Bob"
    log_in(browser, password=NEW)
    assert len(devices_shown(browser.get("/account/devices"))) == 1


def test_who_is_logged_in_as_that_user_logs_in_again(browser: TestApp, link: str) -> None:
    log_in(browser)
    page = choose(browser.get(link)).follow()

    assert notice(page) == "Your password is changed. Log in with the new one."
    assert user_shown(page) is None


def test_who_is_logged_in_as_another_stays_so(browser: TestApp, link: str) -> None:
    log_in(browser, "bob@example.com")
    page = choose(browser.get(link)).follow()

    assert user_shown(page) == "Bob"
    log_in(browser, "bob@example.com", status=303)


def test_its_owner_hears_of_the_change(browser: TestApp, link: str, mails: Mails) -> None:
    choose(browser.get(link))

    assert [(mail.to, mail.subject) for mail in mails] == [("ada@example.com", "Your password was changed")]


def test_a_link_works_once(app: Router, browser: TestApp, link: str) -> None:
    choose(browser.get(link))

    assert is_void(browser.get(link, status=303))
    log_in(TestApp(app), password=NEW, status=303)


def test_opening_it_uses_up_nothing(app: Router, browser: TestApp, link: str) -> None:
    for _ in range(3):
        TestApp(app).get(link, status=200)
        TestApp(app).head(link, status=200)

    choose(browser.get(link))
    log_in(TestApp(app), password=NEW, status=303)


def test_of_two_tabs_one_changes_the_password(app: Router, browser: TestApp, link: str) -> None:
    first, second = browser.get(link), same_visitor(browser).get(link)
    choose(second, "of the second tab")

    assert is_void(choose(first, "of the first tab"))
    log_in(TestApp(app), password="of the second tab", status=303)


def test_of_two_at_once_one_changes_the_password(
    app: Router, browser: TestApp, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found the link when one of them uses it."""
    monkeypatch.setattr(reset, "use_up", lambda request, link: False)

    assert is_void(choose(browser.get(link)))
    log_in(TestApp(app), status=303)


def test_the_first_of_two_links_works_until_the_second_did(app: Router, browser: TestApp, mails: Mails) -> None:
    ask(browser)
    ask(browser)
    older, newer = mails[0].link(), mails[1].link()
    choose(browser.get(newer))

    assert is_void(browser.get(older, status=303))


def test_a_refused_password_keeps_the_link(browser: TestApp, link: str) -> None:
    page = choose(browser.get(link), "short", status=400)

    assert error_at(page, "new") == "Use 8 characters or more."
    choose(page)


def test_after_an_hour_it_is_too_old(browser: TestApp, link: str, later: Later) -> None:
    form = browser.get(link)
    later(3590)
    browser.get(link, status=200)
    later(3601)

    assert is_void(browser.get(link, status=303))
    assert is_void(choose(form))


def test_a_password_that_was_changed_meanwhile_makes_it_void(app: Router, browser: TestApp, link: str) -> None:
    form = browser.get(link)
    ada = TestApp(app)
    log_in(ada)
    fields = {"current": "demo", "new": "of the password page"}
    fill_in(ada.get("/account/password"), "change-password", fields, status=303)

    assert is_void(browser.get(link, status=303))
    assert is_void(choose(form))
    log_in(TestApp(app), password="of the password page", status=303)


def test_an_address_that_was_changed_meanwhile_makes_it_void(app: Router, browser: TestApp, link: str) -> None:
    with database_of(app).begin() as connection:
        connection.exec_driver_sql("UPDATE users SET email = 'new@example.com' WHERE id = 1")

    assert is_void(browser.get(link, status=303))


def test_a_user_who_is_gone_makes_it_void(app: Router, browser: TestApp, link: str) -> None:
    with database_of(app).begin() as connection:
        connection.execute(delete(User).where(User.id == 1))

    assert is_void(browser.get(link, status=303))


def test_a_changed_token_opens_nothing(browser: TestApp, link: str) -> None:
    other = "A" if link[-1] != "A" else "B"

    assert is_void(browser.get(link[:-1] + other, status=303))
    assert is_void(browser.get("/reset/" + "A" * 43, status=303))
    browser.get(link + "A", status=404)
    browser.get(link[:-1], status=404)
    browser.get(link, status=200)


def test_a_link_for_an_unknown_address_opens_nothing(browser: TestApp, mails: Mails, monkeypatch: Any) -> None:
    made = []
    make_link = reset.make_link
    monkeypatch.setattr(reset, "make_link", lambda *args: made.append(make_link(*args)) or made[-1])
    ask(browser, "nobody@example.com")

    assert is_void(browser.get(made[0].removeprefix("http://localhost"), status=303))


def test_a_link_for_another_purpose_opens_nothing(browser: TestApp, mails: Mails) -> None:
    log_in(browser)
    fill_in(browser.get("/account/email"), "change-email", {"email": "new@example.com"}, status=303)
    token = mails[0].link().removeprefix("/account/email/")

    assert is_void(browser.get(f"/reset/{token}", status=303))


def test_who_reads_the_database_has_no_link(browser: TestApp, link: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "example.sqlite")
    dump = "\n".join(connection.iterdump())
    connection.close()

    assert "mailed_links" in dump
    assert link.removeprefix("/reset/") not in dump


def test_it_needs_the_csrf_token(app: Router, browser: TestApp, link: str, mails: Mails) -> None:
    browser.post("/reset", {"email": "ada@example.com"}, status=400)
    browser.post(link, {"new": NEW}, status=400)

    assert mails == []
    log_in(TestApp(app), status=303)


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_nobody_is_sent_more_than_five(app: Router, mails: Mails, email: str) -> None:
    for host in range(5):
        ask(TestApp(app, extra_environ={"REMOTE_ADDR": f"192.0.2.{host}"}), email)
    page = ask(TestApp(app), email, status=429)

    assert len(mails) == 5
    assert error_at(page, "email") == "Too many attempts. Please try again in 60 minutes."
    assert page.headers["Retry-After"]


def test_one_sender_has_twenty(app: Router, mails: Mails) -> None:
    for number in range(20):
        ask(TestApp(app), f"{number}@example.com")

    ask(TestApp(app), status=429)


def test_who_was_locked_out_on_purpose_has_this_way(app: Router, link: str) -> None:
    for _ in range(20):
        log_in(TestApp(app), password="wrong", status="*")
    log_in(TestApp(app), status=429)
    ada = TestApp(app)
    choose(ada.get(link))
    for _ in range(20):
        log_in(TestApp(app), password="wrong", status="*")

    log_in(ada, password=NEW, status=303)


def test_links_that_are_too_old_are_removed(app: Router, browser: TestApp, mails: Mails, later: Later) -> None:
    ask(browser)
    later(3601)
    ask(browser)

    with database_of(app).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM mailed_links").scalar() == 1


def test_tokens_end_with_the_sessions(app: Router, browser: TestApp, link: str, mails: Mails) -> None:
    """Whoever knew the old password may have made one."""
    bob = TestApp(app)
    log_in(browser)
    log_in(bob, "bob@example.com")
    of_ada, of_bob = make_token(browser), make_token(bob)
    choose(TestApp(app).get(link))

    TestApp(app).get("/api/me", headers=bearer(of_ada), status=401)
    TestApp(app).get("/api/me", headers=bearer(of_bob), status=200)
    assert "all sessions and API tokens were ended" in mails[0].text
