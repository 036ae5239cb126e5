"""A request for an old library alone: what it does to it, the real one does not notice."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request


def throw_away(request: Any, *cookies: str) -> Any:
    """A request with those cookies of the real one, as they were sent. What WebOb keeps in its environ is left out."""
    environ = {name: value for name, value in request.environ.items() if not name.startswith("webob.")}
    sent = [pair.strip(" \t") for pair in environ.get("HTTP_COOKIE", "").split(";")]
    named = [pair for pair in sent if pair.partition("=")[0].rstrip(" \t") in cookies]
    # No library sets a cookie with other characters, and at some of them they would fail.
    environ["HTTP_COOKIE"] = "; ".join(pair for pair in named if pair.isascii() and pair.isprintable())
    copy = Request(environ)
    copy.registry = getattr(request, "registry", None)
    return copy


def made_up(cookie: str = "") -> Any:
    """A request for a session that nobody has asked for."""
    return Request.blank("/", headers={"Cookie": cookie})
