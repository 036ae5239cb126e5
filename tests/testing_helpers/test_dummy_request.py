"""What users of ``pyramid.testing`` do with sessions of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid import testing
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISessionFactory
from webtest import TestApp

from pyramid_sessionkit import LoggedIn, get_sessions, user_sessions
from pyramid_sessionkit.testing import login, make_session
from tests.conftest import SECRET


@pytest.fixture
def config() -> Iterator[Configurator]:
    with testing.testConfig(settings={"sessionkit.secret": SECRET}) as config:
        config.include("pyramid_sessionkit")
        yield config


@pytest.fixture
def visited(config: Configurator) -> TestApp:
    """A browser that has a session."""
    testapp = TestApp(config.make_wsgi_app())
    login(testapp, "ada")
    return testapp


def dummy_request(**given: Any) -> testing.DummyRequest:
    """One whose session our factory makes."""
    request = testing.DummyRequest(**given)
    request.session = request.registry.getUtility(ISessionFactory)(request)
    return request


def test_the_cookies_of_a_dummy_request_open_a_session(visited: TestApp) -> None:
    environ: dict[str, Any] = {}
    request = dummy_request(cookies={"theme": "dark", **visited.cookies}, environ=environ)
    assert request.session.userid == request.identity == "ada"
    assert environ == {}  # tests may share it


def test_an_environ_with_cookies_is_taken_as_it_is(visited: TestApp) -> None:
    environ = {"HTTP_COOKIE": f"session={visited.cookies['session']}"}
    assert dummy_request(environ=environ, cookies={"theme": "dark"}).session.userid == "ada"


def test_ending_the_session_of_a_dummy_request(visited: TestApp, config: Configurator) -> None:
    request = dummy_request(cookies=visited.cookies)
    request.session.invalidate()
    request._process_response_callbacks(request.response)
    assert "session=; Max-Age=0" in request.response.headers["Set-Cookie"]
    assert get_sessions(config.registry).of_user("ada") == []


def test_events_of_a_session_reach_testing_subscribers(config: Configurator) -> None:
    told = config.testing_add_subscriber(LoggedIn)
    request = dummy_request()
    request.session.login("ada")
    request.session.save()
    assert [event.userid for event in told] == ["ada"]


def test_what_a_dummy_session_cannot_do_names_the_cure(config: Configurator) -> None:
    config.testing_securitypolicy(userid="ada")
    with pytest.raises(ConfigurationError, match=r"DummySession.*pyramid_sessionkit\.testing\.make_session"):
        user_sessions(testing.DummyRequest()).list()


@pytest.mark.parametrize(
    "use",
    [
        lambda: user_sessions(testing.DummyRequest(session=make_session(userid="ada"))).list(),
        lambda: get_sessions(testing.DummyRequest().registry),
    ],
    ids=["user_sessions", "get_sessions"],
)
def test_what_needs_the_include_says_so(use: Callable[[], Any]) -> None:
    with testing.testConfig(), pytest.raises(ConfigurationError, match=r'config\.include\("pyramid_sessionkit"\)'):
        use()
