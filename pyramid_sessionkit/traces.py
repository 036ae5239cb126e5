"""Traces: why a session was ended that nobody logged out of, kept for the browser that had it.

A trace is a record under a key of its own, which is made of the session's key. Nothing opens it, and lists of sessions
leave it out. Whoever asks for the reason must know the secret of the session that ended.
"""

from __future__ import annotations

import hmac
from time import time
from typing import Any

import orjson

from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.session_id.tokens import new_salt, verifier_of

TRACED = ("revoked", "limit", "credentials_changed", "user_gone")
"""The reasons that are kept. Those who logged out know why."""

KEPT_SECONDS = 7 * 86400

_REASON, _VERIFIER = "ended", "verifier"


def trace_of(ended: Record, reason: str) -> Record:
    """The trace that a session leaves which was ended for this reason."""
    now = int(time())
    data = orjson.dumps({_REASON: reason, _VERIFIER: ended.verifier})
    return Record(data, "", new_salt(), None, None, None, None, now, now, None, now + KEPT_SECONDS, False)


def reason_in(trace: Record, secret: str) -> str | None:
    """Why the session ended, for who knows its secret; None for others, and if the trace cannot be read."""
    reason, verifier = _in_trace(trace, _REASON), _in_trace(trace, _VERIFIER)
    if reason not in TRACED or not isinstance(verifier, str):
        return None
    return reason if hmac.compare_digest(verifier_of(secret).encode(), verifier.encode()) else None


def _in_trace(trace: Record, name: str) -> Any:
    try:
        return orjson.loads(trace.data)[name]
    except (ValueError, KeyError, TypeError):
        return None
