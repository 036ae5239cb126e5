"""Django itself, as the old site had it: configured in this process, to read what it wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pyramid.exceptions import ConfigurationError

APPS = ("django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions")


def configure(settings: str | Mapping[str, Any]) -> None:
    """Give Django the settings of the old site: the name of their module, or those that matter.

    Not by ``django.setup()``: that would configure logging as the old site did. What is configured already stays.
    """
    try:
        from django.apps import apps
        from django.conf import settings as django_settings
    except ImportError as error:
        raise ConfigurationError("Sessions of Django are read with Django: pip install django") from error
    if not django_settings.configured:
        if isinstance(settings, str):
            os.environ["DJANGO_SETTINGS_MODULE"] = settings
        else:
            django_settings.configure(**{"INSTALLED_APPS": APPS, **settings})
    try:
        apps.populate(django_settings.INSTALLED_APPS)
        django_settings.SECRET_KEY  # noqa: B018  without one Django raises, here and not for the first visitor
    except Exception as error:
        raise ConfigurationError(
            f"Django does not start with the settings of the old site: {type(error).__name__}: {error}"
        ) from error


def session_store() -> Any:
    """The class that reads the sessions: ``SessionStore`` of the ``SESSION_ENGINE``."""
    from django.conf import settings

    return import_module(settings.SESSION_ENGINE).SessionStore


@contextmanager
def connected() -> Iterator[None]:
    """Django's connections are opened and closed around each of its requests; here around what is asked of it."""
    from django.db import close_old_connections

    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
