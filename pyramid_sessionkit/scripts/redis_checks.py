"""What ``psessions check`` says about a Redis server: whether it may lose sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.scripts.result import OK, WARNING, Result


def redis_checks(client: Any) -> Iterator[Result]:
    """One Redis server, each primary of a Cluster. What INFO may not tell is left out."""
    try:
        servers = client.info()
    except StoreUnavailable:
        raise
    except StoreError:
        yield Result("redis", WARNING, "this user may not run INFO: whether Redis may lose sessions cannot be checked")
        return
    yield Result("redis", OK, _versions(servers))
    yield _eviction(servers)
    yield _persistence(servers)


def _versions(servers: list[dict[str, Any]]) -> str:
    versions = {_version(server) for server in servers}
    return " and ".join(sorted(versions))


def _version(server: dict[str, Any]) -> str:
    valkey = server.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {server.get('redis_version', 'of an unknown version')}"


def _eviction(servers: list[dict[str, Any]]) -> Result:
    # Sessions have a TTL, so that volatile-* evicts them as allkeys-* does.
    policies = {
        str(server.get("maxmemory_policy"))
        for server in servers
        if server.get("maxmemory") and server.get("maxmemory_policy", "noeviction") != "noeviction"
    }
    if not policies:
        return Result("eviction", OK, "Redis ends no session when its memory is full")
    return Result(
        "eviction",
        WARNING,
        f"maxmemory-policy {' and '.join(sorted(policies))} ends sessions when maxmemory is reached, logins too: "
        "set it to noeviction, and use another Redis for caches",
    )


def _persistence(servers: list[dict[str, Any]]) -> Result:
    # INFO says whether there is an append-only file. Whether there are snapshots only CONFIG says, which this user may
    # not be allowed to run: then there is no "save".
    if all(server.get("aof_enabled") or server.get("save") for server in servers):
        return Result("persistence", OK, "Redis saves the sessions")
    if any("save" not in server and not server.get("aof_enabled") for server in servers):
        return Result("persistence", WARNING, "this user may not run CONFIG GET save, so this cannot be checked")
    return Result(
        "persistence", WARNING, "Redis saves nothing, so that a restart ends all sessions: set appendonly yes"
    )
