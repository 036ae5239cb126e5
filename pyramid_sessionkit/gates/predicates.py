"""View and route predicates that gate on login and on what the session has."""

from __future__ import annotations

from time import time
from typing import Any

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.gates.login_elsewhere import warn_of_login_elsewhere
from pyramid_sessionkit.in_use import find_session

GATE_FAILED = "_sessionkit_gate_failed"
"""Set in the ``__dict__`` of a request that a gate turned away, until some view takes it."""


class LoggedInPredicate:
    """``logged_in=True``: for those who are logged in; ``logged_in=False``: for everyone else."""

    def __init__(self, value: Any, info: Any) -> None:
        if not isinstance(value, bool):
            raise ConfigurationError(f"logged_in is True or False, not {value!r}")
        self._value = value

    def text(self) -> str:
        return f"logged_in = {self._value}"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        passed = request.is_authenticated is self._value
        if not passed and self._value:
            request.__dict__[GATE_FAILED] = True
        return passed


class FreshLoginPredicate:
    """``fresh_login=300``: the login of this session is no older than so many seconds (OWASP ASVS 3.3.2).

    False for users that another source than the session named, since those never log in.
    """

    def __init__(self, value: Any, info: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise ConfigurationError(f"fresh_login is a whole number of seconds above zero, not {value!r}")
        self._seconds = value

    def text(self) -> str:
        return f"fresh_login = {self._seconds}"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        passed = request.is_authenticated and self._is_fresh(request)
        if not passed:
            request.__dict__[GATE_FAILED] = True
        return passed

    def _is_fresh(self, request: Any) -> bool:
        session = find_session(request)
        if session is None or session.authenticated is None:
            warn_of_login_elsewhere(request)
            return False
        # A login in the future, on a clock that was set back since, is no proof either.
        if abs(time() - session.authenticated) > self._seconds:
            return False
        # A policy of the application may know its users by number.
        return session.userid == str(request.authenticated_userid)


class SessionHasPredicate:
    """``session_has="cart"``: the session has this key; ``session_has=("cart", "address")``: it has all of them."""

    def __init__(self, value: Any, info: Any) -> None:
        names = (value,) if isinstance(value, str) else value
        if not isinstance(names, (tuple, list)) or not names or not all(isinstance(name, str) for name in names):
            raise ConfigurationError(f"session_has is a key of the session, or a tuple of keys, not {value!r}")
        self._names = tuple(names)

    def text(self) -> str:
        return f"session_has = {', '.join(self._names)}"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        return all(name in request.session for name in self._names)
