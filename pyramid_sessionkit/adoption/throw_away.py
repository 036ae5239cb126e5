"""A request for an old library alone: what it does to it, the real one does not notice."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request


def throw_away(request: Any, *cookies: str) -> Any:
    """A request with those cookies of the real one, as they were sent. What WebOb keeps in its environ is left out."""
    environ = {name: value for name, value in request.environ.items() if not name.startswith("webob.")}
    sent = environ.get("HTTP_COOKIE", "").split(";")
    kept = [pair.strip(" \t") for pair in sent if pair.partition("=")[0].strip(" \t") in cookies and pair.isascii()]
    environ["HTTP_COOKIE"] = "; ".join(kept)
    copy = Request(environ)
    copy.registry = getattr(request, "registry", None)
    return copy


def made_up(cookie: str = "") -> Any:
    """A request for a session that nobody has asked for."""
    return Request.blank("/", headers={"Cookie": cookie})
