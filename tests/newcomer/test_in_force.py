"""The one warning where something else has taken the place of our session factory or of our security policy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from pyramid import authentication
from pyramid.authentication import AuthTktAuthenticationPolicy, AuthTktCookieHelper
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit import SessionSecurityPolicy

Configure = Callable[[Configurator], Any]


# As in an application that imports it under another name, or its module alone.
Helper = authentication.SessionAuthenticationHelper


class OwnPolicy:
    """One that an application has had before."""


class AuthTktPolicy:
    """As in the cookiecutter: it keeps its logins in a cookie of its own."""

    def __init__(self) -> None:
        self.helper = AuthTktCookieHelper("x" * 32)


class WithAttribute:
    def __init__(self, **kw: Any) -> None:
        self._session_helper = Helper(**kw)

    def authenticated_userid(self, request: Any) -> Any:
        return self._session_helper.authenticated_userid(request)


class WithPrefix(WithAttribute):
    def __init__(self) -> None:
        super().__init__(prefix="googleauth.")


class OfSeveral:
    """One that asks several policies in turn."""

    def __init__(self) -> None:
        self._policies = [OwnPolicy(), WithAttribute()]


class InMethod:
    def remember(self, request: Any, userid: str, **kw: Any) -> Any:
        return Helper().remember(request, userid, **kw)


class InModule:
    def remember(self, request: Any, userid: str, **kw: Any) -> Any:
        return authentication.SessionAuthenticationHelper().remember(request, userid, **kw)


class InCachedProperty:
    @property
    @cache  # noqa: B019
    def helper(self) -> Any:
        return Helper()


class OfModule:
    def remember(self, request: Any, userid: str, **kw: Any) -> Any:
        return shared_helper.remember(request, userid, **kw)


class LogsInToo(WithAttribute):
    def remember(self, request: Any, userid: str, **kw: Any) -> Any:
        request.session.login(userid)
        return self._session_helper.remember(request, userid, **kw)


class OwnHelper(Helper):  # type: ignore[misc, valid-type]
    def remember(self, request: Any, userid: str, **kw: Any) -> Any:
        request.session.login(userid)
        return []


class WithOwnHelper:
    def __init__(self) -> None:
        self.helper = OwnHelper()


class Unbound:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no request")


class WithProxy:
    """Of something that there is not at start-up: who looks into it gets an error."""

    of_class = Unbound()

    def __init__(self) -> None:
        self.helper = Unbound()


shared_helper = Helper()


def other_factory(config: Configurator) -> None:
    config.set_session_factory(SignedCookieSessionFactory("x" * 32))


def other_factory_later(config: Configurator) -> None:
    config.commit()
    other_factory(config)


def other_policy(config: Configurator) -> None:
    config.set_security_policy(OwnPolicy())


def policies_of_pyramid_1(config: Configurator) -> None:
    config.set_authorization_policy(ACLAuthorizationPolicy())
    config.set_authentication_policy(AuthTktAuthenticationPolicy("x" * 32))


def other_helper(config: Configurator) -> None:
    config.set_security_policy(WithAttribute())


def both(config: Configurator) -> None:
    other_factory(config)
    other_policy(config)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.filterwarnings("ignore:Authentication and authorization policies:DeprecationWarning")
@pytest.mark.parametrize(
    ("configure", "said"),
    [
        (other_factory, ["CookieSession", "config.set_session_factory"]),
        (other_factory_later, ["CookieSession", "config.set_session_factory"]),
        (other_policy, ["OwnPolicy", "sessionkit.identity", "sessionkit.security_policy = false"]),
        (policies_of_pyramid_1, ["AuthTktAuthenticationPolicy", "set_authentication_policy"]),
        (both, ["CookieSession", "OwnPolicy"]),
        (other_helper, ["WithAttribute and not the one of", "WithAttribute logs in with"]),
    ],
)
def test_one_warning_names_what_took_our_place(
    make_app: Any, caplog: pytest.LogCaptureFixture, configure: Configure, said: list[str]
) -> None:
    make_app({}, configure=configure)
    (warning,) = warnings(caplog)
    assert [part for part in said if part not in warning] == []


@pytest.mark.parametrize(
    ("configure", "settings"),
    [
        (None, {}),
        (lambda config: config.set_security_policy(SessionSecurityPolicy()), {}),
        (other_policy, {"security_policy": "false"}),
        (lambda config: config.set_security_policy(AuthTktPolicy()), {"security_policy": "false"}),
    ],
)
def test_no_warning_where_all_is_as_it_should_be(
    make_app: Any, caplog: pytest.LogCaptureFixture, configure: Configure | None, settings: dict[str, str]
) -> None:
    make_app({}, configure=configure, **settings)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "policy", [WithAttribute, WithPrefix, OfSeveral, InMethod, InModule, InCachedProperty, OfModule]
)
def test_a_policy_with_pyramids_helper_is_named(make_app: Any, caplog: pytest.LogCaptureFixture, policy: type) -> None:
    make_app({}, configure=lambda config: config.set_security_policy(policy()), security_policy="false")
    (warning,) = warnings(caplog)
    assert warning.startswith(f"tests.newcomer.test_in_force.{policy.__name__} logs in with pyramid.authentication.")


def test_a_session_that_is_not_ours_has_its_own_logins(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    def configure(config: Configurator) -> None:
        other_factory(config)
        config.set_security_policy(WithAttribute())

    make_app({}, configure=configure, security_policy="false")
    (warning,) = warnings(caplog)
    assert "logs in with" not in warning


@pytest.mark.parametrize("policy", [OwnPolicy, LogsInToo, WithOwnHelper, WithProxy])
def test_a_policy_that_logs_the_session_in_is_not(
    make_app: Any, caplog: pytest.LogCaptureFixture, policy: type
) -> None:
    make_app({}, configure=lambda config: config.set_security_policy(policy()), security_policy="false")
    assert warnings(caplog) == []


@pytest.mark.parametrize("settings", [{}, {"login_route": "/login"}])
def test_the_checks_make_no_request_dearer(make_app: Any, settings: dict[str, str]) -> None:
    """Pyramid makes event objects for each request as soon as there is any subscriber."""
    assert not make_app({"/login": lambda request: None}, **settings).app.registry.has_listeners
