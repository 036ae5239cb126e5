"""What the errors of redis-py mean for a session: an outage, or something that has to be put right.

An answer of Redis may quote what it was sent. So only what is known to be harmless is repeated in a message.
"""

from __future__ import annotations

import re
from queue import Empty

from redis import exceptions

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.stores.redis.connections import NoConnection

MOMENTARY = "OOM|READONLY|LOADING|MASTERDOWN|NOREPLICAS|BUSY|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|MISCONF"
"""Codes of answers that a server gives for a while."""

_momentary = re.compile(rf"(?:^|[\s-])({MOMENTARY})\b")
"""Redis before 7.0 has the code of an error in a script in the middle of the text."""

OUTAGES = {
    exceptions.BusyLoadingError: "it is loading its data",
    exceptions.ReadOnlyError: "READONLY: it is a replica, and takes no writes",
    exceptions.OutOfMemoryError: "OOM: it has no memory left; raise maxmemory",
    exceptions.MasterDownError: "MASTERDOWN: it is a replica without its primary",
    exceptions.ClusterDownError: "CLUSTERDOWN: a part of the Cluster is down",
    exceptions.TryAgainError: "TRYAGAIN: keys are being moved between its nodes",
    exceptions.MovedError: "MOVED: keys were moved to another node",
    exceptions.AskError: "ASK: keys are being moved to another node",
}

FEW_RIGHTS = (
    "this user may not run a command, or not on these keys: give it "
    "+@read +@write +@scripting +@connection and ~<sessionkit.redis.prefix>* with ACL SETUSER"
)
TOO_LONG = "a session of this length is longer than it can keep: lower sessionkit.lifetime"

CURES = {
    "NOAUTH": "it wants a password: set it in sessionkit.redis.url",
    "WRONGPASS": "user and password are wrong: check sessionkit.redis.url",
    "NOPERM": FEW_RIGHTS,
    "The user executing the script": FEW_RIGHTS,
    "ACL failure in script": FEW_RIGHTS,
    "WRONGTYPE": "a key with the prefix of the sessions holds something else: set another sessionkit.redis.prefix",
    "unknown command 'SENTINEL'": "it is not a Sentinel: name those, or begin sessionkit.redis.url with redis://",
    "unknown command": "it does not know a command that sessions need: it takes Redis 5 or later with Lua, or Valkey",
    "CROSSSLOT": "it is a Cluster: sessionkit.redis.url has to begin with redis+cluster://",
    "Cluster mode is not enabled": "it is not a Cluster: sessionkit.redis.url has to begin with redis://",
    "DB index is out of range": "it has no database of this number: change the one in sessionkit.redis.url",
    "invalid expire": TOO_LONG,
    "out of range": TOO_LONG,
}


def is_lost(error: Exception) -> bool:
    """Whether the connection was lost, so that a new one may work."""
    return type(error) is exceptions.ConnectionError and not isinstance(error.__context__, Empty)


def is_read_only(error: Exception) -> bool:
    return isinstance(error, exceptions.ReadOnlyError) or _code(error) == "READONLY"


def is_wrong_type(error: Exception) -> bool:
    return str(error).startswith("WRONGTYPE")


def translated(error: Exception, where: str) -> StoreError:
    """Our error for one of redis-py's. ``where``: the servers, without a password."""
    cure = _cure(error)
    if cure is not None:
        return StoreError(f"Redis at {where} refused a command: {cure}")
    outage = _outage(error)
    if outage is not None:
        return StoreUnavailable(f"Redis at {where} is not available: {outage}")
    return StoreError(f"Redis at {where} refused a command: {type(error).__name__}, and its log may say why")


def _cure(error: Exception) -> str | None:
    text = str(error)
    if isinstance(error, exceptions.AuthenticationError):
        return CURES["NOAUTH" if "required" in text else "WRONGPASS"]
    if isinstance(error, exceptions.NoPermissionError):
        return CURES["NOPERM"]
    if isinstance(error, UnicodeEncodeError):
        return "a userid or a session key in it has a lone surrogate, which is not text"
    return next((cure for sign, cure in CURES.items() if sign in text), None)


def _outage(error: Exception) -> str | None:
    for kind, reason in OUTAGES.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, NoConnection, OSError)):
        return str(error) or type(error).__name__
    if isinstance(error, exceptions.RedisClusterException):
        return "no node of the Cluster answers"
    code = _code(error)
    return None if code is None else f"{code}: it cannot do this for the moment"


def _code(error: Exception) -> str | None:
    found = _momentary.search(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return found and found[1]
