"""CSRF tokens that are derived from the session, so that nothing is stored for them."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.csrf import SessionCSRFStoragePolicy as PyramidsSessionCSRFStoragePolicy
from pyramid.interfaces import ICSRFStoragePolicy

from pyramid_sessionkit.csrf_tokens import is_token_of
from pyramid_sessionkit.session import Session


class SessionCSRFStoragePolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]
    """The tokens of our sessions, for which nothing is stored. Those of another session factory are kept as ever.

    ``login_route``: there a form that was shown before this browser logged in, perhaps in another tab, still works.
    """

    def __init__(self, login_route: str | None = None) -> None:
        self._login_route = login_route

    def check_csrf_token(self, request: Any, supplied_token: Any) -> bool:
        session = request.session
        if not isinstance(session, Session):
            return isinstance(supplied_token, (str, bytes)) and super().check_csrf_token(request, supplied_token)
        route = request.matched_route
        of_login_form = route is not None and route.name == self._login_route
        return is_token_of(session.work, supplied_token, of_login_form)


PYRAMIDS_OWN = (LegacySessionCSRFStoragePolicy, PyramidsSessionCSRFStoragePolicy)
"""They keep a token in the session, so that each visitor who is shown a form, or refused, would be given a session."""


def add_csrf_policy(config: Configurator, login_route: str | None) -> None:
    """Put our policy in the place of those of Pyramid that keep tokens in the session."""

    def register() -> None:
        registry = config.registry
        if type(registry.queryUtility(ICSRFStoragePolicy)) in PYRAMIDS_OWN:
            registry.registerUtility(SessionCSRFStoragePolicy(login_route), ICSRFStoragePolicy)

    # After the application's own actions. No discriminator: never in conflict.
    config.action(None, register, order=1)
