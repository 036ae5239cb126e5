import logging

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.functional.browsing import log_in


@pytest.fixture
def log(app: Router, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "example_app.subscribers")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == "example_app.subscribers"]


def test_a_login_and_a_logout_are_a_line_each(browser: TestApp, log: pytest.LogCaptureFixture) -> None:
    key = log_in(browser).follow().html.select("code")[0].text
    browser.get("/").forms["logout"].submit()

    assert lines(log) == [f"User 1 logged in: session {key}", f"Session {key} of user 1 ended: logout"]


def test_a_device_that_is_logged_out_from_elsewhere_is_a_line(
    app: Router, browser: TestApp, log: pytest.LogCaptureFixture
) -> None:
    key = log_in(TestApp(app)).follow().html.select("code")[0].text
    log_in(browser)
    browser.get("/account/devices/log-out-others").forms["log-out-others"].submit()

    assert lines(log)[-1] == f"Session {key} of user 1 ended: revoked"


def test_a_refused_login_is_none(browser: TestApp, log: pytest.LogCaptureFixture) -> None:
    log_in(browser, password="wrong", status=403)

    assert lines(log) == []
