"""CSRF tokens that are derived from the session, so that nothing is stored for them."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.csrf import SessionCSRFStoragePolicy as PyramidsSessionCSRFStoragePolicy
from pyramid.interfaces import ICSRFStoragePolicy

from pyramid_sessionkit.csrf.this_site import is_from_this_site
from pyramid_sessionkit.csrf.tokens import is_old_token, is_token_of
from pyramid_sessionkit.in_use import find_session
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id.tokens import has_form_of_csrf_token


class SessionCSRFStoragePolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]
    """The tokens of our sessions, for which nothing is stored. Another session factory keeps its tokens as before.

    ``login_routes``: of the pages that ask for a password. There a form that was shown before this browser logged in,
    perhaps in another tab, still works.
    """

    def __init__(self, *login_routes: str | None) -> None:
        self._login_routes = [route for route in login_routes if route is not None]

    def check_csrf_token(self, request: Any, supplied_token: Any) -> bool:
        session = find_session(request)
        if session is None:
            return isinstance(supplied_token, (str, bytes)) and super().check_csrf_token(request, supplied_token)
        route = request.matched_route
        of_login_form = route is not None and route.name in self._login_routes
        if is_token_of(session.work, supplied_token, of_login_form):
            return True
        return is_from_this_site(request) and _harms_nobody(request, session, supplied_token, of_login_form)


def _harms_nobody(request: Any, session: Session, token: Any, of_login_form: bool) -> bool:
    """Whether a form that a page of this site has sent may be out of date.

    Its session may have ended, while another tab has begun a new one: they share no secret. That is no harm where
    nobody is logged in. Or it is the same session, and this browser has logged in since.
    """
    if of_login_form:
        return has_form_of_csrf_token(token)
    # A user whom a header names, or another policy, is logged in though the session is nobody's.
    of_anyone = session.userid is None and request.authenticated_userid is None
    return is_old_token(session.work, token, of_anyone)


PYRAMIDS_OWN = (LegacySessionCSRFStoragePolicy, PyramidsSessionCSRFStoragePolicy)
"""They keep a token in the session, so that a session would be stored for each visitor who is shown a form."""


def add_csrf_policy(config: Configurator, *login_routes: str | None) -> None:
    """Put our policy in the place of those of Pyramid that keep tokens in the session."""

    def register() -> None:
        registry = config.registry
        if type(registry.queryUtility(ICSRFStoragePolicy)) in PYRAMIDS_OWN:
            policy = SessionCSRFStoragePolicy(*login_routes)
            registry.registerUtility(policy, ICSRFStoragePolicy)

    # After the application's own actions. No discriminator: never in conflict.
    config.action(None, register, order=1)
