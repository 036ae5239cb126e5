"""Django with no session, and with its sessions in PostgreSQL, alone or behind memcached."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.compare.contents import CONTENTS, SECRET, total


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session.get("user") or "nobody")


def change(request: HttpRequest) -> HttpResponse:
    request.session["n"] = request.session.get("n", 0) + 1
    return HttpResponse("ok")


def fill(request: HttpRequest) -> HttpResponse:
    for name, value in CONTENTS.items():
        request.session[name] = value
    return HttpResponse("ok")


def add(request: HttpRequest) -> HttpResponse:
    name = "n" + request.GET["who"]
    request.session[name] = request.session.get(name, 0) + 1
    return HttpResponse("ok")


def count(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(total(request.session)))


urlpatterns = [path(view.__name__, view) for view in (plain, read, change, fill, add, count)]


def bare(addresses: dict[str, str], store: str) -> Any:
    return _application()


def sessions(addresses: dict[str, str], store: str) -> Any:
    address = urlsplit(addresses["postgresql"])
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": address.hostname,
        "PORT": address.port,
        "USER": "postgres",
        "NAME": "postgres",
        "CONN_MAX_AGE": None,
    }
    cached = store == "cached_sql"
    caches = {}
    if cached:
        backend = "django.core.cache.backends.memcached.PyMemcacheCache"
        caches["default"] = {"BACKEND": backend, "LOCATION": addresses["memcached"], "KEY_PREFIX": "django"}
    made = _application(
        DATABASES={"default": database},
        CACHES=caches or {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        INSTALLED_APPS=["django.contrib.sessions"],
        SESSION_ENGINE=f"django.contrib.sessions.backends.{'cached_db' if cached else 'db'}",
        SESSION_COOKIE_NAME="session",
    )
    call_command("migrate", verbosity=0, interactive=False)
    return made


def _application(**options: Any) -> Any:
    # A process has one Django: each application of ours has a process of its own.
    settings.configure(SECRET_KEY=SECRET, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], USE_TZ=True, **options)
    django.setup()
    return WSGIHandler()
