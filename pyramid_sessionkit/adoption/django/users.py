"""Whether Django would still let in the user whom a session names: not after a new password, nor one who is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from pyramid.exceptions import ConfigurationError

USER, BACKEND, HASH = "_auth_user_id", "_auth_user_backend", "_auth_user_hash"

Check = Callable[[Mapping[str, Any]], bool]


def check_of(check_user: bool | Callable[[str], str | None]) -> Check:
    """What checks the contents of a session. ``check_user``: as of :func:`~.django.django_sessions`."""
    if callable(check_user):
        return lambda contents: _fits(contents, check_user(contents[USER]))
    if not check_user:
        return lambda contents: True
    from django.apps import apps
    from django.db import connection

    if not apps.is_installed("django.contrib.auth") or "dummy" in connection.settings_dict["ENGINE"]:
        raise ConfigurationError(
            "Django's sessions name a user, whose password may have changed since: give Django the DATABASES and "
            "INSTALLED_APPS of the old site, or check_user= a function (userid) that returns the column password"
        )
    return _django_agrees


class _Contents(dict[str, Any]):
    """Stands for the session where Django looks at a user. It is not to be changed."""

    def cycle_key(self) -> None:
        pass

    def flush(self) -> None:
        pass


def _django_agrees(contents: Mapping[str, Any]) -> bool:
    from django.contrib.auth import get_user

    return bool(get_user(SimpleNamespace(session=_Contents(contents))).is_authenticated)


def _fits(contents: Mapping[str, Any], password: str | None) -> bool:
    """Whether the session was made with this password, by ``AbstractBaseUser.get_session_auth_hash``."""
    from django.conf import settings
    from django.utils.crypto import constant_time_compare, salted_hmac

    if password is None:
        return False
    salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    return any(
        constant_time_compare(
            contents.get(HASH, ""), salted_hmac(salt, password, secret=secret, algorithm="sha256").hexdigest()
        )
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )
