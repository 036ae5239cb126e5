"""Whether our session factory and our security policy are those that the application uses, asked at start-up."""

from __future__ import annotations

import logging
from inspect import unwrap
from typing import Any

from pyramid.interfaces import IAuthenticationPolicy, ISecurityPolicy, ISessionFactory

from pyramid_sessionkit.factory import SessionFactory
from pyramid_sessionkit.gates.login_elsewhere import CURE, uses_pyramids_helper
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.settings import PREFIX

log = logging.getLogger("pyramid_sessionkit")


POLICY_WANTED = "pyramid_sessionkit.policy_wanted"
"""Where the registry says whether our security policy is to be in force."""


def warn_unless_in_force(registry: Any) -> None:
    """Log one warning if another factory, or another policy where ours is wanted, has taken the place of ours, or if
    the policy logs in past the session.

    To be called when the application is made: nothing can override them any more. Not by a subscriber: Pyramid makes
    the event objects of each request as soon as there is one, whatever it subscribes to.
    """
    problems = [
        _of_factory(registry),
        _of_policy(registry) if registry[POLICY_WANTED] else None,
        _of_logins(registry),
    ]
    found = [problem for problem in problems if problem is not None]
    if found:
        log.warning("%s", " ".join(found))


def is_factory_in_force(registry: Any) -> bool:
    """Whether our factory makes ``request.session``, alone or called by one of the application that is marked so."""
    factory = registry.queryUtility(ISessionFactory)
    return isinstance(factory if factory is None else unwrap(factory), SessionFactory)


def _of_factory(registry: Any) -> str | None:
    if is_factory_in_force(registry):
        return None
    factory = registry.queryUtility(ISessionFactory)
    return (
        f"request.session is made by {_name(factory)} and not by pyramid_sessionkit: nothing of {PREFIX}* applies to "
        "it, no session is kept in its store, and its remember() and user_sessions() fail. Remove the other session "
        "factory: Configurator(session_factory=...), config.set_session_factory(...) or the config.include(...) that "
        "calls it. If it calls ours, let it say so with @functools.wraps(ours)."
    )


def _of_policy(registry: Any) -> str | None:
    policy = _policy(registry)
    if isinstance(policy, SessionSecurityPolicy):
        return None
    return (
        f"The security policy is {_name(policy)} and not the one of pyramid_sessionkit: {PREFIX}identity, "
        f"{PREFIX}principals and {PREFIX}credentials_hash are not used, and unless the other policy calls "
        "request.session.login(userid), a login does not replace the session's ID, and user_sessions() does not list "
        "it. Remove config.set_security_policy(...) or set_authentication_policy(...), or, if it is meant to be so, "
        f"set {PREFIX}security_policy = false."
    )


def _of_logins(registry: Any) -> str | None:
    policy = _policy(registry)
    if not is_factory_in_force(registry) or not uses_pyramids_helper(policy):
        return None
    return (
        f"{_name(policy)} logs in with pyramid.authentication.SessionAuthenticationHelper, which does not tell the "
        "session: a login does not replace the session's ID, user_sessions() does not list it, and fresh_login sends "
        f"people to the login for ever. {CURE}."
    )


def _policy(registry: Any) -> Any:
    # Pyramid has a policy of its own around an authentication policy of Pyramid 1.
    return registry.queryUtility(IAuthenticationPolicy) or registry.queryUtility(ISecurityPolicy)


def _name(found: Any) -> str:
    """The dotted name of a class or function, or of the class of any other object."""
    named = found if hasattr(found, "__qualname__") else type(found)
    return f"{named.__module__}.{named.__qualname__}"
