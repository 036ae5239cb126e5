"""Policies of applications whose logins the session knows nothing about, named at start-up or at the first gate.

Pyramid's :class:`~pyramid.authentication.SessionAuthenticationHelper` is the most common: it writes the userid into the
session as any other value.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any

from pyramid.authentication import SessionAuthenticationHelper
from pyramid.interfaces import ISecurityPolicy

from pyramid_sessionkit.in_use import find_session
from pyramid_sessionkit.security import SessionSecurityPolicy

log = logging.getLogger("pyramid_sessionkit")

CURE = (
    "Let its remember() call request.session.login(userid), and its authenticated_userid() return "
    'request.session.userid: the documentation shows it, in "Keep a security policy of your own"'
)

_WARNED = "pyramid_sessionkit.warned_of_login_elsewhere"


def uses_pyramids_helper(policy: Any) -> bool:
    """Whether a policy, or one of those that it consists of, logs in with Pyramid's helper, as far as can be seen."""
    others = [part for part in _parts(policy) if hasattr(type(part), "authenticated_userid")]
    return any(_logs_in_with_helper(one) for one in (policy, *others))


def warn_of_login_elsewhere(request: Any) -> None:
    """Log one warning if the user of this request, whose session has no login, has got one by a policy like that.

    Those without a session may have been named by a token.
    """
    registry = request.registry
    policy = registry.queryUtility(ISecurityPolicy)
    if _WARNED in registry or isinstance(policy, SessionSecurityPolicy):
        return
    session = find_session(request)
    if session is not None and not session.new:
        registry[_WARNED] = True
        log.warning(
            "%s %s: the security policy says that somebody is logged in, and their session has no login: fresh_login "
            "turns them away however often they log in. %s",
            request.method,
            request.path,
            CURE,
        )


def _logs_in_with_helper(policy: Any) -> bool:
    names = dict(_names_in_code(type(policy)))
    if "login" in names:
        return False
    return (
        SessionAuthenticationHelper.__name__ in names
        or any(_is_helper(part) for part in _parts(policy))
        or any(_is_helper(found) for found in names.values())
    )


def _is_helper(found: Any) -> bool:
    """Whether this is the helper, an instance of it, or of a subclass that logs in as it does."""
    # isinstance() would ask the object itself, which may be a proxy for something that there is not at start-up.
    kind = found if issubclass(type(found), type) else type(found)
    return getattr(kind, "remember", None) is SessionAuthenticationHelper.remember


def _parts(policy: Any) -> Iterator[Any]:
    """What is in its attributes, and in lists of them."""
    for value in getattr(policy, "__dict__", {}).values():
        if type(value) in (list, tuple):
            yield from value
        else:
            yield value


def _names_in_code(kind: type) -> Iterator[tuple[str, Any]]:
    """The names in the methods of a class, each with what it stands for in the method's module."""
    own = [base for base in kind.__mro__ if not base.__module__.startswith("pyramid.")]
    for member in [member for base in own for member in vars(base).values()]:
        function = _function_of(member)
        if inspect.isfunction(function):
            for name in function.__code__.co_names:
                yield name, function.__globals__.get(name)


def _function_of(member: Any) -> Any:
    try:
        return inspect.unwrap(getattr(member, "fget", member))
    except Exception:  # of a proxy, as above: the application starts all the same
        return None
