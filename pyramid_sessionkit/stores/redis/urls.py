"""The URL of ``sessionkit.redis.url``: what is allowed, and the client of redis-py that it stands for.

No message quotes the URL, nor a part of it: wherever it is wrong, that may be the password.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pyramid.exceptions import ConfigurationError
from redis import BlockingConnectionPool, ConnectionPool, Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import Sentinel

SETTING = "sessionkit.redis.url"

SCHEMES = {
    "redis": "redis://[user:password@]host[:6379][/0]",
    "rediss": "rediss://host, with TLS",
    "unix": "unix://[user:password@]/path/to/socket[?db=0]",
    "redis+sentinel": "redis+sentinel://host:26379,host2:26379/name-of-primary[/0]",
    "rediss+sentinel": "rediss+sentinel://..., with TLS",
    "redis+cluster": "redis+cluster://host:7000,host2:7001",
    "rediss+cluster": "rediss+cluster://..., with TLS",
}

OPTIONS: dict[str, Callable[[str], Any]] = {
    "db": int,
    "username": str,
    "password": str,
    "client_name": str,
    "max_connections": int,
}
SENTINEL_OPTIONS: dict[str, Callable[[str], Any]] = {"sentinel_username": str, "sentinel_password": str}
TLS_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_cert_reqs": lambda text: _one_of(text, ("required", "optional", "none")),
    "ssl_check_hostname": lambda text: _one_of(text.lower(), ("true", "false")) == "true",
    "ssl_ciphers": str,
}

MAX_CONNECTIONS = 50
"""Of each process, to each server. A request that finds all in use waits."""

PORTS = {"sentinel": 26379}
DEFAULT_PORT = 6379


@dataclass(frozen=True)
class Address:
    """What a URL says."""

    scheme: str
    kind: str
    """``sentinel``, ``cluster`` or empty."""
    hosts: tuple[tuple[str, int], ...]
    path: str
    """Of a socket, or the name of a primary."""
    options: dict[str, Any] = field(repr=False)

    @property
    def shown(self) -> str:
        """Where it is, without a password: for messages."""
        return ",".join(f"{host}:{port}" for host, port in self.hosts) or self.path


def parse(url: str) -> Address:
    """What the URL says; a :exc:`ConfigurationError` names what is allowed."""
    try:
        split = urlsplit(url)
    except ValueError:
        raise _wrong("is not a URL") from None
    if split.scheme not in SCHEMES:
        raise _wrong("has an unknown scheme, or none")
    kind = split.scheme.partition("+")[2]
    credentials, _, hosts = split.netloc.rpartition("@")
    options = {**_options(split, kind), **_credentials(credentials)}
    if split.scheme == "unix":
        if not split.path or hosts:
            raise _wrong("needs the path of a socket, as in unix:///run/redis/redis.sock")
        return Address(split.scheme, kind, (), unquote(split.path), options)
    found = tuple(_host(text, PORTS.get(kind, DEFAULT_PORT)) for text in hosts.split(","))
    if len(found) > 1 and not kind:
        raise _wrong("names several hosts: that needs redis+sentinel:// or redis+cluster://")
    name, database = _path(split, kind)
    if database:
        options["db"] = int(database)
    return Address(split.scheme, kind, found, name, options)


def _path(split: SplitResult, kind: str) -> tuple[str, str]:
    """The name of a primary, and the number of a database."""
    parts = split.path.strip("/").split("/")
    name = unquote(parts.pop(0)) if kind == "sentinel" else ""
    database = "/".join(parts)
    if kind == "sentinel" and not name:
        raise _wrong("needs the name of the primary after the hosts, as in redis+sentinel://host:26379/mymaster/0")
    if database and not (database.isascii() and database.isdigit()):
        raise _wrong("has something other than the number of a database in its path")
    if kind == "cluster" and database.strip("0"):
        raise _wrong("names a database: a Cluster has only the one")
    return name, database


def _host(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default)
    host = unquote(host.removeprefix("[").removesuffix("]"))
    if not host:
        raise _wrong(f"names no host{ESCAPES}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _wrong(f"has a port that is not a number from 1 to 65535{ESCAPES}")
    return host, int(port)


def _credentials(text: str) -> dict[str, str]:
    user, _, password = text.partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in found.items() if value}


def _options(split: SplitResult, kind: str) -> dict[str, Any]:
    allowed = {
        **OPTIONS,
        **(TLS_OPTIONS if split.scheme.startswith("rediss") else {}),
        **(SENTINEL_OPTIONS if kind == "sentinel" else {}),
    }
    if kind == "cluster":
        del allowed["db"]
    options = {}
    for name, text in parse_qsl(split.query, keep_blank_values=True):
        if name not in allowed:
            raise _wrong(f"has an unknown option; its options are {', '.join(allowed)}", shows_schemes=False)
        try:
            options[name] = allowed[name](text)
        except ValueError:
            raise _wrong(f"has a bad value for its option {name}", shows_schemes=False) from None
    for name in ("db", "max_connections"):
        if options.get(name, 1) < (name == "max_connections"):
            raise _wrong(f"has a bad value for its option {name}", shows_schemes=False)
    return options


def _one_of(text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise ValueError
    return text


ESCAPES = " (in a password / ? # % @ : are written %2F %3F %23 %25 %40 %3A)"


def _wrong(what: str, shows_schemes: bool = True) -> ConfigurationError:
    allowed = f". It takes {'; '.join(SCHEMES.values())}" if shows_schemes else ""
    return ConfigurationError(f"{SETTING} {what}{allowed}")


def connect(address: Address, timeout: float) -> Any:
    """A client of redis-py, which repeats nothing by itself: we decide whether a command may be repeated.

    No connection is made yet, except to a Cluster, which is asked for its nodes.
    """
    common = {
        **{name: value for name, value in address.options.items() if name not in SENTINEL_OPTIONS},
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "protocol": 2,
    }
    if address.kind == "sentinel":
        return _sentinel(address, timeout, common)
    if address.kind == "cluster":
        return _cluster(address, timeout, common)
    if address.scheme == "unix":
        where: dict[str, Any] = {"path": address.path, "connection_class": UnixDomainSocketConnection}
    else:
        ((host, port),) = address.hosts
        where = {"host": host, "port": port}
        if address.scheme == "rediss":
            where["connection_class"] = SSLConnection
    return Redis.from_pool(ConnectionPool(**where, **common, retry=_no_retry()))


def _sentinel(address: Address, timeout: float, common: dict[str, Any]) -> Any:
    tls = address.scheme == "rediss+sentinel"
    own = {
        name.removeprefix("sentinel_"): address.options[name] for name in SENTINEL_OPTIONS if name in address.options
    }
    if tls:
        own |= {"ssl": True, **{name: value for name, value in common.items() if name in TLS_OPTIONS}}
        common |= {"ssl": True}
    sentinel = Sentinel(
        address.hosts,
        sentinel_kwargs={
            **own,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "protocol": 2,
            "retry": _no_retry(),
        },
    )
    return sentinel.master_for(address.path, **common, retry=_no_retry())


def _cluster(address: Address, timeout: float, common: dict[str, Any]) -> Any:
    host, port = address.hosts[0]
    bracketed = f"[{host}]" if ":" in host else host
    return RedisCluster(
        # Only with a URL are the connections to its nodes those of a pool that can be named.
        url=f"{address.scheme.partition('+')[0]}://{bracketed}:{port}",
        startup_nodes=[ClusterNode(*node) for node in address.hosts],
        connection_pool_class=BlockingConnectionPool,
        timeout=timeout,  # of a request that finds all connections in use
        retry=_no_retry(),
        require_full_coverage=False,
        **common,
    )


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)
