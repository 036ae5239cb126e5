from collections.abc import Callable

import pytest
from pyramid.router import Router
from webtest import TestApp, TestResponse

from example_app.devices import browser_name
from pyramid_sessionkit import get_sessions
from tests.functional.browsing import (
    add_to_cart,
    csrf_header,
    devices_shown,
    error,
    fill_in,
    log_in,
    notice,
    sign_up,
    user_shown,
)

NameBrowser = Callable[..., TestApp]

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def device(app: Router) -> NameBrowser:
    """Another browser, at another address."""

    def make(user_agent: str = FIREFOX, address: str = "192.0.2.7") -> TestApp:
        return TestApp(app, extra_environ={"HTTP_USER_AGENT": user_agent, "REMOTE_ADDR": address})

    return make


@pytest.fixture
def laptop(device: NameBrowser) -> TestApp:
    laptop = device(CHROME, "192.0.2.1")
    log_in(laptop)
    return laptop


@pytest.fixture
def phone(device: NameBrowser) -> TestApp:
    phone = device(IPHONE, "2001:db8::7")
    log_in(phone)
    return phone


@pytest.fixture
def bob(device: NameBrowser) -> TestApp:
    bob = device()
    log_in(bob, "bob@example.com")
    return bob


def devices(browser: TestApp) -> TestResponse:
    return browser.get("/account/devices")


def log_out_others(browser: TestApp) -> TestResponse:
    return devices(browser).click("Log out all others").forms["log-out-others"].submit(status=303).follow()


def log_out_device(browser: TestApp, key: str, **expect: int) -> TestResponse:
    """What the button of that key sends, shown or not."""
    return browser.post(f"/account/devices/{key}/log-out", headers=csrf_header(browser.get("/")), **expect)


def key_of(app: Router, browser: TestApp) -> str:
    """The key of a browser's session, from the eight characters that the dashboard tells."""
    name = browser.get("/dashboard").html.select("code")[0].text
    return get_sessions(app.registry).keys_beginning_with(name)[0]


def test_it_lists_the_own_devices_this_one_first(laptop: TestApp, phone: TestApp, bob: TestApp) -> None:
    here, there = ("Chrome on Linux", "192.0.2.1"), ("Safari on iPhone", "2001:db8::7")

    assert devices_shown(devices(laptop)) == [here, there]
    assert devices_shown(devices(phone)) == [there, here]
    assert devices_shown(devices(bob)) == [("Firefox on Windows", "192.0.2.7")]


def test_this_one_has_a_badge_and_the_others_a_button(laptop: TestApp, phone: TestApp) -> None:
    this, other = devices(laptop).html.select("#devices tbody tr")

    assert (this.select_one(".badge").text, this.button) == ("this one", None)
    assert (other.select_one(".badge"), other.button.text) == (None, "Log out")
    assert len(this.select("time")) == 2


def test_with_one_device_there_is_nothing_to_log_out(laptop: TestApp) -> None:
    assert list(devices(laptop).forms) == [0, "logout"]


def test_visitors_without_a_login_are_no_devices(app: Router, laptop: TestApp) -> None:
    add_to_cart(TestApp(app), "ink")

    assert len(devices_shown(devices(laptop))) == 1


def test_a_device_that_is_logged_out_is_anonymous_at_its_next_request(laptop: TestApp, phone: TestApp) -> None:
    form = next(form for name, form in devices(laptop).forms.items() if str(name).startswith("log-out-") and form.id)
    page = form.submit(status=303).follow()

    assert notice(page) == "That device is logged out."
    assert devices_shown(page) == [("Chrome on Linux", "192.0.2.1")]
    assert user_shown(phone.get("/")) is None
    assert phone.get("/account/devices", status=303).location.startswith("http://localhost/login")


def test_only_that_device_is_logged_out(app: Router, laptop: TestApp, phone: TestApp, device: NameBrowser) -> None:
    desktop = device()
    log_in(desktop)
    log_out_device(laptop, key_of(app, phone), status=303)

    assert user_shown(phone.get("/")) is None
    assert user_shown(laptop.get("/")) == "Ada"
    assert user_shown(desktop.get("/")) == "Ada"


def test_it_can_log_in_again(app: Router, laptop: TestApp, phone: TestApp) -> None:
    log_out_device(laptop, key_of(app, phone), status=303)
    log_in(phone)

    assert user_shown(phone.get("/")) == "Ada"
    assert len(devices_shown(devices(laptop))) == 2


def test_the_device_of_someone_else_is_not_found_and_stays_logged_in(
    app: Router, laptop: TestApp, phone: TestApp, bob: TestApp
) -> None:
    page = log_out_device(bob, key_of(app, phone), status=303).follow()

    assert error(page) == "You are not logged in on such a device. Nothing was ended."
    assert notice(page) is None
    assert [user_shown(browser.get("/")) for browser in (laptop, phone, bob)] == ["Ada", "Ada", "Bob"]


def test_the_session_of_a_visitor_is_not_found(app: Router, laptop: TestApp) -> None:
    visitor = TestApp(app)
    visitor.get("/")
    key = next(session.key for session in get_sessions(app.registry).all(99) if session.userid is None)
    page = log_out_device(laptop, key, status=303).follow()

    assert error(page) == "You are not logged in on such a device. Nothing was ended."
    assert get_sessions(app.registry).get(key) is not None


def test_a_device_that_is_gone_already_is_not_found(app: Router, laptop: TestApp, phone: TestApp) -> None:
    key = key_of(app, phone)
    phone.get("/").forms["logout"].submit()
    page = log_out_device(laptop, key, status=303).follow()

    assert error(page) == "You are not logged in on such a device. Nothing was ended."
    assert user_shown(page) == "Ada"


@pytest.mark.parametrize("key", ["x", "0" * 21, "0" * 65, "A" * 21 + ".", "A" * 21 + "~", "%00", "..%2F.."])
def test_what_is_no_key_is_no_address(laptop: TestApp, phone: TestApp, key: str) -> None:
    log_out_device(laptop, key, status="4*")

    assert [user_shown(browser.get("/")) for browser in (laptop, phone)] == ["Ada", "Ada"]


def test_this_device_goes_to_the_login(app: Router, laptop: TestApp, phone: TestApp) -> None:
    answer = log_out_device(laptop, key_of(app, laptop), status=303).follow(status=303)

    assert answer.location == "http://localhost/login?next=%2Faccount%2Fdevices"
    assert notice(answer.follow()) == "That device is logged out."
    assert user_shown(phone.get("/")) == "Ada"


@pytest.mark.parametrize(
    ("others", "said"), [(1, "1 other device is logged out."), (2, "2 other devices are logged out.")]
)
def test_all_others_are_logged_out_and_this_one_is_not(
    laptop: TestApp, bob: TestApp, device: NameBrowser, others: int, said: str
) -> None:
    elsewhere = [device() for _ in range(others)]
    for browser in elsewhere:
        log_in(browser, persistent=True)
    add_to_cart(laptop, "ink")
    page = log_out_others(laptop)

    assert notice(page) == said
    assert devices_shown(page) == [("Chrome on Linux", "192.0.2.1")]
    assert [user_shown(browser.get("/")) for browser in elsewhere] == [None] * others
    assert user_shown(laptop.get("/")) == "Ada"
    assert user_shown(bob.get("/")) == "Bob"


def test_all_others_are_logged_out_after_a_question(laptop: TestApp, phone: TestApp) -> None:
    question = devices(laptop).click("Log out all others")

    assert question.html.h1.text == "Log out all others?"
    assert "On 1 other device you have to log in again." in question
    assert user_shown(phone.get("/")) == "Ada"


def test_there_may_be_no_others_any_more(laptop: TestApp, phone: TestApp) -> None:
    form = devices(laptop).click("Log out all others").forms["log-out-others"]
    phone.get("/").forms["logout"].submit()

    assert notice(form.submit().follow()) == "There was no other device to log out."


@pytest.mark.parametrize("path", ["log-out-others", "0" * 22 + "/log-out", "0" * 64 + "/log-out"])
def test_it_needs_the_csrf_token_a_login_and_a_post(app: Router, laptop: TestApp, phone: TestApp, path: str) -> None:
    laptop.post(f"/account/devices/{path}", status=400)
    laptop.get(f"/account/devices/{path}", status=200 if path == "log-out-others" else 404)
    visitor = TestApp(app)
    answer = visitor.post(f"/account/devices/{path}", headers=csrf_header(visitor.get("/")), status=303)

    assert answer.location.startswith("http://localhost/login")
    assert user_shown(phone.get("/")) == "Ada"


def test_a_sign_up_keeps_the_device(device: NameBrowser) -> None:
    browser = device()
    sign_up(browser)

    assert devices_shown(devices(browser)) == [("Firefox on Windows", "192.0.2.7")]


def test_a_changed_password_leaves_this_device_alone(laptop: TestApp, phone: TestApp) -> None:
    fields = {"current": "demo", "new": "a new password"}
    fill_in(laptop.get("/account/password"), "change-password", fields, status=303)
    phone.get("/messages", status=303)

    assert devices_shown(devices(laptop)) == [("Chrome on Linux", "192.0.2.1")]


def test_the_next_user_of_a_browser_sees_their_own_device(laptop: TestApp, phone: TestApp) -> None:
    log_in(laptop, "bob@example.com")

    assert devices_shown(devices(laptop)) == [("Chrome on Linux", "192.0.2.1")]


def test_what_a_browser_sends_is_neither_trusted_nor_kept_at_length(device: NameBrowser) -> None:
    browser = device("<script>" + "x" * 9_000 + "\xff", "<b>" + "9" * 9_000)
    log_in(browser)
    page = devices(browser)

    assert devices_shown(page) == [("Unknown browser", "<b>" + "9" * 42)]
    assert "<b>" not in page


def test_a_session_of_before_devices_were_kept(app: Router, laptop: TestApp) -> None:
    store, key = get_sessions(app.registry).store, key_of(app, laptop)
    store.update(key, store.load(key)._replace(data=b"{}"))

    assert devices_shown(devices(laptop)) == [("Unknown browser", "–")]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (CHROME, "Chrome on Linux"),
        (FIREFOX, "Firefox on Windows"),
        (IPHONE, "Safari on iPhone"),
        (CHROME.replace("Chrome/", "HeadlessChrome/"), "Chrome on Linux"),
        (CHROME.replace("Chrome/", "Chromium/126 Chrome/"), "Chromium on Linux"),
        (CHROME + " Edg/126.0.0.0", "Edge on Linux"),
        (CHROME + " OPR/112.0.0.0", "Opera on Linux"),
        (CHROME.replace("X11; Linux x86_64", "Linux; Android 14"), "Chrome on Android"),
        (CHROME.replace("X11; Linux x86_64", "X11; CrOS x86_64 14541.0.0"), "Chrome on ChromeOS"),
        (CHROME.replace("X11; Linux x86_64", "Macintosh; Intel Mac OS X 10_15_7"), "Chrome on macOS"),
        (IPHONE.replace("Version/", "CriOS/126 "), "Chrome on iPhone"),
        (IPHONE.replace("Version/", "FxiOS/127 "), "Firefox on iPhone"),
        ("curl/8.5.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_have_names(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name
