"""A mail when a user logs in with a browser or system for the first time."""

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.functional.browsing import api_csrf, fill_in, log_in, sign_up
from tests.functional.conftest import AppStarter, Mail
from tests.functional.test_devices import CHROME, FIREFOX, IPHONE

Mails = list[Mail]


def browser_with(app: Router, user_agent: str, address: str = "192.0.2.7") -> TestApp:
    return TestApp(app, extra_environ={"HTTP_USER_AGENT": user_agent, "REMOTE_ADDR": address})


@pytest.fixture
def app(app: Router) -> Router:
    """Ada has logged in with Chrome on Linux."""
    log_in(browser_with(app, CHROME))
    return app


def test_a_login_from_another_browser_sends_a_mail(app: Router, mails: Mails) -> None:
    log_in(browser_with(app, FIREFOX, "198.51.100.9"), status=303)

    (mail,) = mails
    assert (mail.to, mail.subject) == ("ada@example.com", "New login from Firefox on Windows")
    assert "Firefox on Windows" in mail.text
    assert "198.51.100.9" in mail.text
    assert mail.link() == "/reset"


def test_each_device_sends_one_mail(app: Router, mails: Mails) -> None:
    for user_agent in (CHROME, IPHONE, IPHONE, CHROME, IPHONE):
        log_in(browser_with(app, user_agent), status=303)

    assert [mail.subject for mail in mails] == ["New login from Safari on iPhone"]


def test_a_new_version_or_place_sends_no_mail(app: Router, mails: Mails) -> None:
    log_in(browser_with(app, CHROME.replace("126", "127"), "198.51.100.9"), status=303)

    assert mails == []


def test_the_device_of_the_sign_up_sends_no_mail(app: Router, mails: Mails) -> None:
    sign_up(browser_with(app, IPHONE))
    assert mails == []
    log_in(browser_with(app, CHROME), "eve@example.com", "a long one", status=303)

    assert [mail.to for mail in mails] == ["eve@example.com"]


def test_what_another_user_has_used_is_new(app: Router, mails: Mails) -> None:
    log_in(browser_with(app, IPHONE), "bob@example.com")
    log_in(browser_with(app, IPHONE))

    assert [mail.to for mail in mails] == ["ada@example.com"]


def test_a_wrong_password_sends_no_mail(app: Router, mails: Mails) -> None:
    log_in(browser_with(app, IPHONE), password="wrong", status=403)

    assert mails == []


def test_a_script_sends_a_mail(app: Router, mails: Mails) -> None:
    script = browser_with(app, "curl/8.5.0")
    fields = {"email": "ada@example.com", "password": "demo"}
    script.post_json("/api/login", fields, headers=api_csrf(script), status=200)

    assert [mail.subject for mail in mails] == ["New login from Unknown browser"]


def test_what_the_browser_says_is_not_in_the_mail(app: Router, mails: Mails) -> None:
    log_in(browser_with(app, "Evil http://evil.example Linux\r\n x"), status=303)

    assert mails[0].subject == "New login from Unknown browser on Linux"
    assert "evil" not in mails[0].text


def test_a_changed_password_is_no_new_device(app: Router, mails: Mails) -> None:
    ada = browser_with(app, CHROME)
    log_in(ada)
    fields = {"current": "demo", "new": "a new password"}
    fill_in(ada.get("/account/password"), "change-password", fields, status=303)

    assert mails == []


def test_it_is_known_after_a_restart(app: Router, start_app: AppStarter, mails: Mails) -> None:
    log_in(browser_with(start_app(), CHROME), status=303)

    assert mails == []
