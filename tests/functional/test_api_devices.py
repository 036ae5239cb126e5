"""Where a user is logged in, and logging out from there."""

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.functional.browsing import api_csrf, log_in, problem_shown


@pytest.fixture
def laptop(browser: TestApp) -> TestApp:
    log_in(browser)
    return browser


@pytest.fixture
def phone(app: Router, laptop: TestApp) -> TestApp:
    browser = TestApp(app, extra_environ={"HTTP_USER_AGENT": "Firefox/9 Android", "REMOTE_ADDR": "192.0.2.7"})
    log_in(browser)
    return browser


def is_logged_in(browser: TestApp) -> bool:
    return bool(browser.get("/api/session").json["logged_in"])


def test_devices_are_listed(laptop: TestApp, phone: TestApp) -> None:
    first, second = phone.get("/api/devices").json["devices"]

    assert second.pop("since").endswith("+00:00")
    assert second.pop("last_seen").endswith("+00:00")
    assert second == {
        "key": second["key"],
        "browser": "Firefox on Android",
        "address": "192.0.2.7",
        "current": True,
    }
    assert first["current"] is False


def test_one_device_is_logged_out(laptop: TestApp, phone: TestApp) -> None:
    (key,) = (device["key"] for device in laptop.get("/api/devices").json["devices"] if not device["current"])
    laptop.delete(f"/api/devices/{key}", headers=api_csrf(laptop), status=204)

    assert not is_logged_in(phone)
    assert is_logged_in(laptop)
    problem_shown(laptop.delete(f"/api/devices/{key}", headers=api_csrf(laptop), status=404))


def test_all_others_are_logged_out(laptop: TestApp, phone: TestApp) -> None:
    laptop.delete("/api/devices", headers=api_csrf(laptop), status=204)

    assert not is_logged_in(phone)
    assert is_logged_in(laptop)


def test_devices_of_others_are_out_of_reach(app: Router, laptop: TestApp) -> None:
    (device,) = laptop.get("/api/devices").json["devices"]
    bob = TestApp(app)
    log_in(bob, "bob@example.com")
    problem_shown(bob.delete(f"/api/devices/{device['key']}", headers=api_csrf(bob), status=404))
    bob.delete("/api/devices", headers=api_csrf(bob), status=204)

    assert is_logged_in(laptop)


@pytest.mark.parametrize("path", ["/api/devices", f"/api/devices/{'0' * 22}"])
def test_it_needs_a_login_and_the_csrf_token(app: Router, laptop: TestApp, phone: TestApp, path: str) -> None:
    problem_shown(laptop.delete(path, status=400))
    visitor = TestApp(app)
    problem_shown(visitor.delete(path, headers=api_csrf(visitor), status=401))

    assert is_logged_in(phone)
