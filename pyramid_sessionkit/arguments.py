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
}


def check_arguments(setting: str, function: Any) -> None:
    """Refuse a function that cannot be called as ``setting`` (``sessionkit.identity``, for example) will call it."""
    arguments = ARGUMENTS[setting.rpartition(".")[2]]
    try:
        taken = signature(function)
    except (TypeError, ValueError):  # functions written in C may have no signature
        return
    try:
        taken.bind(*arguments)
    except TypeError:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise ConfigurationError(
            f"{setting} is called with ({', '.join(arguments)}), but {name} takes ({', '.join(taken.parameters)})"
        ) from None
