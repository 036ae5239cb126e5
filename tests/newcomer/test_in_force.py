"""The one warning where something else has taken the place of our session factory or of our security policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.authentication import AuthTktAuthenticationPolicy
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit import SessionSecurityPolicy

Configure = Callable[[Configurator], Any]


class OwnPolicy:
    """One that an application has had before."""


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
    ],
)
def test_no_warning_where_all_is_as_it_should_be(
    make_app: Any, caplog: pytest.LogCaptureFixture, configure: Configure | None, settings: dict[str, str]
) -> None:
    make_app({}, configure=configure, **settings)
    assert warnings(caplog) == []


def test_the_check_makes_no_request_dearer(make_app: Any) -> None:
    """Pyramid makes event objects for each request as soon as there is any subscriber."""
    assert not make_app({}).app.registry.has_listeners
