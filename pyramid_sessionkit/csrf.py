"""CSRF checks: without making a token, and not of requests that no browser sends by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.config.security import DefaultCSRFOptions
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.interfaces import ICSRFStoragePolicy, IDefaultCSRFOptions, ISecurityPolicy, ISessionFactory

from pyramid_sessionkit.factory import SessionFactory
from pyramid_sessionkit.session import CSRF_KEY

Wanted = Callable[[Any], bool]


class SessionCSRFStoragePolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]
    """The tokens that the session keeps; a session that has none accepts none.

    Pyramid's own policy makes a token to compare with, so that each refused POST of a visitor without a session would
    store one for him.
    """

    def check_csrf_token(self, request: Any, supplied_token: str) -> bool:
        return CSRF_KEY in request.session and super().check_csrf_token(request, supplied_token)


def add_csrf_policy(config: Configurator) -> None:
    """Register the policy where the application has left Pyramid's default in place."""

    def register() -> None:
        registry = config.registry
        if type(registry.queryUtility(ICSRFStoragePolicy)) is LegacySessionCSRFStoragePolicy:
            registry.registerUtility(SessionCSRFStoragePolicy(), ICSRFStoragePolicy)

    # After the application's own actions. No discriminator: never in conflict.
    config.action(None, register, order=1)


def exempt_bearer_tokens(registry: Any) -> None:
    """Let the checks of token and origin pass by what :class:`~pyramid_sessionkit.BearerTokenSource` authenticated.

    To be called after the application's ``set_default_csrf_options`` and before its views are made.
    """
    options = registry.queryUtility(IDefaultCSRFOptions)
    if options is None:  # as Pyramid's default, for views that ask for a check themselves
        options = DefaultCSRFOptions(
            require_csrf=False,
            token="csrf_token",  # noqa: S106
            header="X-CSRF-Token",
            safe_methods=("GET", "HEAD", "OPTIONS", "TRACE"),
            check_origin=True,
            allow_no_origin=False,
            callback=None,
        )
        registry.registerUtility(options, IDefaultCSRFOptions)
    wanted: Wanted | None = options.callback

    def callback(request: Any) -> bool:
        return (wanted is None or wanted(request)) and not _is_exempt(request)

    options.callback = callback


def _is_exempt(request: Any) -> bool:
    """Whether a header that no browser sends by itself authenticated the request, and our cookie did not come along."""
    policy = request.registry.queryUtility(ISecurityPolicy)
    factory = request.registry.queryUtility(ISessionFactory)
    if not hasattr(policy, "user") or not isinstance(factory, SessionFactory) or factory.has_cookie(request):
        return False
    return getattr(policy.user(request).source, "exempt_from_csrf", False) is True
