"""A request for an old library alone: what it does to it, the real one does not notice."""

from __future__ import annotations

import re
from typing import Any

from pyramid.request import Request

_octal = re.compile(r"\\([0-3][0-7]{2})")
"""How a character may be written in a quoted cookie."""


class ThrowAway(Request):  # type: ignore[misc]
    """Its callbacks are never run. So it keeps none: they have the session, which has the request."""

    def add_response_callback(self, callback: Any) -> None:
        """Nothing is sent."""

    def add_finished_callback(self, callback: Any) -> None:
        """Nothing is stored."""


def throw_away(request: Any, *cookies: str) -> Any:
    """A request with those cookies of the real one, as they were sent."""
    sent = [pair.strip(" \t") for pair in request.environ.get("HTTP_COOKIE", "").split(";")]
    named = [pair for pair in sent if pair.partition("=")[0].rstrip(" \t") in cookies]
    # No library sets a cookie with other characters, and at some of them they would fail.
    kept = "; ".join(pair for pair in named if _is_plain(_octal.sub(lambda found: chr(int(found[1], 8)), pair)))
    copy = ThrowAway({**request.environ, "HTTP_COOKIE": kept})
    copy.registry = getattr(request, "registry", None)
    return copy


def _is_plain(pair: str) -> bool:
    return pair.isascii() and pair.isprintable()


def made_up(cookie: str = "") -> Any:
    """A request for a session that nobody has asked for."""
    return Request.blank("/", headers={"Cookie": cookie})
