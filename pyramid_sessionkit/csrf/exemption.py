"""No CSRF check for requests that no browser sends by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config.security import DefaultCSRFOptions
from pyramid.interfaces import IDefaultCSRFOptions, ISecurityPolicy

from pyramid_sessionkit.in_force import is_factory_in_force
from pyramid_sessionkit.in_use import FACTORIES
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.session_id.session_header import is_carried_in_header
from pyramid_sessionkit.sources import SessionSource

Wanted = Callable[[Any], bool]


def exempt_programs(registry: Any) -> None:
    """Do not check token and origin of what :class:`~pyramid_sessionkit.BearerTokenSource` authenticated, nor of what
    carries its session in a header.

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
    """Whether no browser can have sent the request by itself: a header that none sends by itself carries its session,
    or authenticated it without our cookie coming along."""
    policy = request.registry.queryUtility(ISecurityPolicy)
    # Another policy may have a method of this name too.
    if not isinstance(policy, SessionSecurityPolicy) or not is_factory_in_force(request.registry):
        return False
    in_header = is_carried_in_header(request)
    if not in_header and _has_cookie(request):
        return False
    source = policy.user(request).source
    if in_header and (source is None or isinstance(source, SessionSource)):
        return True
    # Any other source may have found what a browser does send by itself, such as a password.
    return getattr(source, "exempt_from_csrf", False) is True


def _has_cookie(request: Any) -> bool:
    """Whether a cookie of any of our sessions came with the request."""
    return any(factory.has_cookie(request) for factory in request.registry[FACTORIES].values())
