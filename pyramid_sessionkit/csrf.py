"""Checking a CSRF token without making one.

Pyramid's own policy makes a token to compare with, so that each refused POST of a visitor without a session would
store one for him.
"""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.interfaces import ICSRFStoragePolicy

from pyramid_sessionkit.session import CSRF_KEY


class SessionCSRFStoragePolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]
    """The tokens that the session keeps; a session that has none accepts none."""

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
