"""Sites with the old session libraries of Pyramid, and our site beside each."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit.adoption import OldSessions
from pyramid_sessionkit.adoption.pyramid_sessions import (
    beaker_sessions,
    redis_sessions,
    session_user,
    signed_cookie_sessions,
)
from pyramid_sessionkit.adoption.pyramid_sessions.signed_cookie import Pickles
from tests.adoption.old_site import Browser, NewSite
from tests.servers.process import missing

KEY = "old-secret-" * 6


def put(request: Any) -> dict[str, Any]:
    request.session["cart"] = [*request.session.get("cart", []), request.params["what"]]
    return {}


def login(request: Any) -> dict[str, Any]:
    """As SessionAuthenticationPolicy and SessionAuthenticationHelper do."""
    request.session["auth.userid"] = request.params["name"]
    return {}


def flash(request: Any) -> dict[str, Any]:
    request.session.flash("hello")
    request.session.get_csrf_token()
    return {}


def show(request: Any) -> dict[str, Any]:
    return {"contents": dict(request.session)}


def old_app(factory: Any, configure: Callable[[Configurator], object] | None = None, **views: Any) -> Any:
    """An application of before, below /old."""
    config = Configurator(session_factory=factory)
    if configure is not None:
        configure(config)
    for name, view in {"put": put, "login": login, "flash": flash, "show": show, **views}.items():
        config.add_route(name, f"/old/{name}")
        config.add_view(view, route_name=name, renderer="json")
    return config.make_wsgi_app()


class Beside:
    """The old application and ours on one server."""

    def __init__(self, old_app: Any, old: OldSessions, **settings: Any) -> None:
        self.old_app = old_app
        self.old = old
        self.new = NewSite(old, settings)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        app = self.old_app if environ["PATH_INFO"].startswith("/old/") else self.new.app
        return app(environ, start_response)

    def browser(self, *paths: str) -> Browser:
        """A visitor of the old site, who was on these pages there."""
        browser = Browser(self, {})
        for path in paths:
            assert browser.get(f"/old/{path}").status_int == 200
        return browser

    def copy(self, browser: Browser) -> Browser:
        """Another one with the same cookies as this has now."""
        return Browser(self, browser.cookies)


def needs(*modules: str) -> None:
    """Skip the test where an old library is not installed; in CI it fails."""
    for module in modules:
        if find_spec(module) is None:
            missing(f"{module} is not installed (the extra adoption)")


class SignedCookie:
    """Pyramid's own sessions."""

    in_cookie, listed, outage = True, False, False
    cookie = "session"

    def __init__(self, folder: Path, server: Any) -> None:
        self.folder = folder

    def factory(self, **arguments: Any) -> Any:
        return SignedCookieSessionFactory(KEY, **arguments)

    def adopt(self, **arguments: Any) -> Any:
        return signed_cookie_sessions(KEY, userid=session_user(), **arguments)

    def site(self, keep: bool = False, settings: dict[str, Any] | None = None, **arguments: Any) -> Beside:
        return Beside(old_app(self.factory(**arguments)), self.adopt(keep=keep, **arguments), **(settings or {}))


class PickledCookie(SignedCookie):
    """The same before Pyramid 2."""

    def factory(self, **arguments: Any) -> Any:
        return SignedCookieSessionFactory(KEY, serializer=Pickles(), **arguments)

    def adopt(self, **arguments: Any) -> Any:
        return super().adopt(pickle=True, **arguments)


class BeakerFile(SignedCookie):
    """pyramid_beaker, with files."""

    in_cookie, listed = False, True
    cookie = "beaker.session.id"

    def __init__(self, folder: Path, server: Any) -> None:
        needs("beaker", "pyramid_beaker")
        super().__init__(folder, server)

    def options(self) -> dict[str, Any]:
        return {"type": "file", "data_dir": str(self.folder), "secret": KEY}

    def factory(self, **arguments: Any) -> Any:
        from pyramid_beaker import BeakerSessionFactoryConfig

        return BeakerSessionFactoryConfig(**{**self.options(), **arguments})

    def adopt(self, **arguments: Any) -> Any:
        return beaker_sessions(userid=session_user(), **{"pickle": True, **self.options(), **arguments})


class BeakerUnsigned(BeakerFile):
    def options(self) -> dict[str, Any]:
        return {"type": "file", "data_dir": str(self.folder), "data_serializer": "json"}


class BeakerCookie(BeakerFile):
    in_cookie, listed = True, False

    def options(self) -> dict[str, Any]:
        return {"type": "cookie", "validate_key": KEY, "data_serializer": "json"}

    def adopt(self, **arguments: Any) -> Any:
        return super().adopt(pickle=False, **arguments)


class BeakerPickledCookie(BeakerFile):
    in_cookie, listed = True, False

    def options(self) -> dict[str, Any]:
        return {"type": "cookie", "validate_key": KEY}


class BeakerMemcached(BeakerFile):
    listed = False

    def __init__(self, folder: Path, server: Any) -> None:
        needs("memcache")
        super().__init__(folder, server)
        self.server = server("memcached")

    def options(self) -> dict[str, Any]:
        url = self.server.address
        return {"type": "ext:memcached", "url": url, "lock_dir": str(self.folder), "data_serializer": "json"}

    def adopt(self, **arguments: Any) -> Any:
        return super().adopt(pickle=False, **arguments)


class InRedis(SignedCookie):
    """pyramid_session_redis, which pickles."""

    in_cookie, listed, outage = False, True, True

    def __init__(self, folder: Path, server: Any) -> None:
        needs("pyramid_session_redis")
        super().__init__(folder, server)
        self.server = server("redis")

    def options(self) -> dict[str, Any]:
        return {"secret": KEY, "redis_url": self.server.url}

    def factory(self, **arguments: Any) -> Any:
        from pyramid_session_redis import RedisSessionFactory

        return RedisSessionFactory(**{**self.options(), **arguments})

    def adopt(self, **arguments: Any) -> Any:
        return redis_sessions(userid=session_user(), **{"pickle": True, **self.options(), **arguments})


class JsonInRedis(InRedis):
    def options(self) -> dict[str, Any]:
        return {
            **super().options(),
            "serialize": lambda value: json.dumps(value).encode(),
            "deserialize": json.loads,
            "python_expires": False,
            "cookie_name": "sid",
        }

    cookie = "sid"

    def adopt(self, **arguments: Any) -> Any:
        return super().adopt(pickle=False, **arguments)


LOCAL = [SignedCookie, PickledCookie, BeakerFile, BeakerUnsigned, BeakerCookie, BeakerPickledCookie]
ON_SERVERS = [BeakerMemcached, InRedis, JsonInRedis]
