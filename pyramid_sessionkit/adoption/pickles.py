"""Old sessions that are pickles."""

from __future__ import annotations

import logging

log = logging.getLogger("pyramid_sessionkit")


def warn_of_pickles(danger: str) -> None:
    """Say what is risked as long as pickled sessions are adopted."""
    log.warning("Old sessions are unpickled until sessionkit.adopt is taken out. %s", danger)
