"""Checks at start-up that the functions of the application take the arguments that they will be called with."""

from __future__ import annotations

from inspect import signature
from typing import Any

from pyramid.exceptions import ConfigurationError

ARGUMENTS = {
    "identity": ("request", "userid"),
    "principals": ("request", "identity"),
    "credentials_hash": ("request", "identity"),
    "key_prefix": ("request",),
    "cookie_options": ("request",),
    "store": ("settings",),
    "session_class": ("persistence", "carrier", "closed"),
    "adopt": ("settings",),
    "userid": ("request", "contents"),
    "dump": ("value",),
    "load": ("dumped",),
}


def check_arguments(setting: str, function: Any) -> None:
    """Refuse a function that cannot be called as ``setting`` (``sessionkit.identity``, for example) will call it."""
    arguments = ARGUMENTS[setting.rpartition(".")[2]]
    try:
        # What a decorator has wrapped may be called with other arguments than what it made of it.
        taken = signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some that are written in C do not say what they take
        return
    try:
        taken.bind(*arguments)
    except TypeError:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise ConfigurationError(
            f"{setting} is called with ({', '.join(arguments)}), but {name} takes ({', '.join(taken.parameters)})"
        ) from None
