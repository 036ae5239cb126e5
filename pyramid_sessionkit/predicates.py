"""View predicates that gate on login."""

from __future__ import annotations

from typing import Any

from pyramid.exceptions import ConfigurationError


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
        return (request.identity is not None) is self._value
