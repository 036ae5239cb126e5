"""CSRF tokens that are derived from the session, so that nothing is stored for them."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.csrf import SessionCSRFStoragePolicy as PyramidsSessionCSRFStoragePolicy
from pyramid.interfaces import ICSRFStoragePolicy

from pyramid_sessionkit.csrf_tokens import is_earlier_token_of, is_token_of
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.tokens import has_form_of_csrf_token


class SessionCSRFStoragePolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]
    """The tokens of our sessions, for which nothing is stored. Another session factory keeps its tokens as before.

    ``login_routes``: of the pages that ask for a password. There a form that was shown before this browser logged in,
    perhaps in another tab, still works.
    """

    def __init__(self, *login_routes: str | None) -> None:
        self._login_routes = [route for route in login_routes if route is not None]

    def check_csrf_token(self, request: Any, supplied_token: Any) -> bool:
        session = request.session
        if not isinstance(session, Session):
            return isinstance(supplied_token, (str, bytes)) and super().check_csrf_token(request, supplied_token)
        route = request.matched_route
        of_login_form = route is not None and route.name in self._login_routes
        if is_token_of(session.work, supplied_token, of_login_form):
            return True
        return _is_from_this_site(request) and _harms_nobody(session, supplied_token, of_login_form)


def _harms_nobody(session: Session, token: Any, of_login_form: bool) -> bool:
    """Whether a form of this site may be accepted with a token that is out of date.

    It may be a token of a session that has ended, where another tab has begun a new one: nobody is harmed if nobody is
    logged in. Or it is a token of this session, from before its latest login.
    """
    is_anyones = of_login_form or session.userid is None
    return (is_anyones and has_form_of_csrf_token(token)) or is_earlier_token_of(session.work, token)


def _is_from_this_site(request: Any) -> bool:
    """Whether the browser says so, in a header that no page of another site can change."""
    return bool(request.headers.get("Origin") == request.host_url)


PYRAMIDS_OWN = (LegacySessionCSRFStoragePolicy, PyramidsSessionCSRFStoragePolicy)
"""They keep a token in the session, so that a session would be stored for each visitor who is shown a form."""


def add_csrf_policy(config: Configurator, *login_routes: str | None) -> None:
    """Put our policy in the place of those of Pyramid that keep tokens in the session."""

    def register() -> None:
        registry = config.registry
        if type(registry.queryUtility(ICSRFStoragePolicy)) in PYRAMIDS_OWN:
            registry.registerUtility(SessionCSRFStoragePolicy(*login_routes), ICSRFStoragePolicy)

    # After the application's own actions. No discriminator: never in conflict.
    config.action(None, register, order=1)
