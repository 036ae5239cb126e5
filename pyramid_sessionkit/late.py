"""Changes inside lists and dicts of a session after it was saved for the last time: they are lost, and logged as such.

A list does not say when an item is added to it. So the contents are compared once more when the request is over: when
the server frees its environ, after the last byte of the response.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from pyramid_sessionkit.contents.serializer import Contents, Serializer
from pyramid_sessionkit.unit_of_work import UnitOfWork

log = logging.getLogger("pyramid_sessionkit")

WATCHED = "pyramid_sessionkit.watched"
"""What the environ has :class:`Watched` under, with the name of the session."""


class Watched:
    """Contents that are in the view's hands, and what of them was saved."""

    __slots__ = ("_contents", "_key", "_saved", "_serializer")

    def __init__(self, key: str, contents: Contents, serializer: Serializer) -> None:
        self._key, self._contents, self._serializer = key, contents, serializer
        self._saved = serializer.dumps(contents)

    def __del__(self) -> None:
        try:
            changed = self._serializer.dumps(self._contents) != self._saved
        except Exception:  # it cannot be saved any more, or a dump function of the application's fails
            changed = True
        if changed:
            log.error(
                "Session %s was changed inside a list or dict after it was saved for the last time: the change is "
                "lost. Change it in the view, a tween or a response callback",
                self._key[:8],
            )


def watch(environ: dict[str, Any], work: UnitOfWork, name: str) -> None:
    """Look again when the server lets go of the environ. For work whose contents were handed out."""
    key = "" if work.stored is None else work.stored.key
    with contextlib.suppress(Exception):  # what cannot be saved was refused before, and that is what is answered
        environ[f"{WATCHED}.{name}"] = Watched(key, work.read(), work.persistence.serializer)
