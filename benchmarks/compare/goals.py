"""The price that a session may have, as the project promises it, and what it is compared with."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.compare.catalogue import FLOOR, OURS


class Goal(NamedTuple):
    allowed: float
    library: str
    store: str
    kind: str


def goal(store: str, kind: str) -> Goal | None:
    """What ours on that store is held to: so many times what ``kind`` costs ``library`` on its store."""
    if kind in _ANYWHERE:
        return Goal(_ANYWHERE[kind], FLOOR, "memory", "read")
    if (store, kind) == ("cached_sql", "read"):
        return Goal(1.1, OURS, "memcached", "read")
    allowed = _ALLOWED.get((store, kind))
    return None if allowed is None else Goal(allowed, FLOOR, store, kind)


_ANYWHERE = {"untouched": 0.1, "look": 0.45}
_ALLOWED = {
    ("memory", "read"): 1.3,
    ("memory", "write"): 1.5,
    ("memcached", "read"): 1.0,
    ("memcached", "write"): 1.0,
    ("redis", "read"): 1.15,
    ("redis", "write"): 1.15,
    ("sqlite", "read"): 1.6,
    ("sqlite", "write"): 1.25,
    ("postgresql", "read"): 1.1,
    ("postgresql", "write"): 1.1,
}

LEAST_SHARE = 0.8
"""Of a bare view's requests per second, what memory has to reach over HTTP."""
