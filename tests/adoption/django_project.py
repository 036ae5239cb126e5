"""The settings of the old site, a project of Django. Its pages are in ``django_pages``."""

from __future__ import annotations

import tempfile
from pathlib import Path

FOLDER = Path(tempfile.mkdtemp(prefix="django-"))

SECRET_KEY = "the-secret-of-the-old-site"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.adoption.django_pages"
LOGGING_CONFIG = None
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "old.sqlite")}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SESSION_FILE_PATH = str(FOLDER)
