"""The ``sessionkit.*`` settings of an ini file, as frozen dataclasses.

Each option is declared once, with its default, how its text is read, and what it does. Every unknown key, bad value
or contradiction raises :exc:`pyramid.exceptions.ConfigurationError` at start-up.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

from pyramid.exceptions import ConfigurationError
from pyramid.settings import falsey, truthy

PREFIX = "sessionkit."
CUSTOM = PREFIX + "custom."
MINIMUM_SECRET = 32
LONGEST_DURATION = 100 * 366 * 86400
"""Seconds: what every database and clock can add to the time."""
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

MAKE_SEAL_KEY = "python -c 'import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())'"
FEW_BYTES = 8
"""A random generator does not make keys with fewer different bytes, nor with fewer different steps between them."""

_put_for_prefix = re.compile(rf"(?<!\w){re.escape(PREFIX)}").sub

Parser = Callable[[Any], Any]


def _text(value: Any) -> str:
    text = str(value).strip()
    if not text:
        raise ValueError("must not be empty")
    return text


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in truthy:
        return True
    if text in falsey and text:
        return False
    raise ValueError("must be true or false")


def _duration(value: Any) -> int:
    """Seconds out of ``90``, ``45s``, ``20m``, ``12h`` or ``30d``."""
    match = re.fullmatch(r"(\d+)\s*([smhd]?)", str(value).strip().lower())
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if seconds > LONGEST_DURATION:
        raise ValueError("must be a hundred years or less; none means no limit")
    if seconds <= 0:
        raise ValueError("must be a duration above zero: seconds, or a number with s, m, h or d, such as 20m")
    return seconds


def _whole(value: Any) -> int:
    if not re.fullmatch(r"[1-9]\d*", str(value).strip()):
        raise ValueError("must be a whole number above zero")
    return int(value)


def _or_none(parse: Parser) -> Parser:
    def optional(value: Any) -> Any:
        return None if value is None or str(value).strip().lower() == "none" else parse(value)

    optional.__doc__ = parse.__doc__
    return optional


def _one_of(*choices: str) -> Parser:
    def choose(value: Any) -> str:
        for choice in choices:
            if str(value).strip().lower() == choice.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return choose


def _auto_or_boolean(value: Any) -> bool | None:
    try:
        return None if str(value).strip().lower() == "auto" else _boolean(value)
    except ValueError:
        raise ValueError("must be auto, true or false") from None


def _dotted(value: Any) -> Any:
    """A dotted name, resolved later by the configurator; or the object itself."""
    return value if callable(value) else _text(value)


def _cookie_path(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"/[!-:<-~]*", text):
        raise ValueError("must be an absolute path, such as /, of printable ASCII without ;")
    return text


def _cookie_domain(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text):
        raise ValueError("must be a host name, such as example.com")
    return text


def _cookie_name(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text):
        raise ValueError("must be a token of RFC 6265: letters, digits and !#$%&'*+-.^_`|~")
    return text


def _header_name(value: Any) -> str:
    text = _text(value)
    # Servers and proxies drop names with other characters that RFC 9110 allows, or do not tell them apart.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", text):
        raise ValueError("must be a header name of letters, digits and hyphens, such as X-Session")
    if _is_taken(text):
        raise ValueError("has a meaning of its own: choose another name, such as X-Session")
    return text


_is_taken = re.compile(
    "age|allow|alt-svc|authorization|connection|date|dnt|downlink|dpr|ect|etag|expect|expires|forwarded|from|host|"
    "keep-alive|last-modified|link|location|max-forwards|origin|pragma|prefer|priority|purpose|range|referer|"
    "referrer-policy|refresh|retry-after|rtt|save-data|server|te|trailer|transfer-encoding|upgrade|"
    "upgrade-insecure-requests|user-agent|vary|via|viewport-width|warning|width|x-csrf-token|x-http-method-override|"
    "x-powered-by|x-real-ip|x-request-id|x-requested-with|x-xsrf-token|(accept|access-control|cache|cdn|cf|content|"
    "cookie|cross-origin|if|proxy|sec|set-cookie|strict|surrogate|www|x-content|x-forwarded|x-frame)(-.*)?|cookie2|"
    "set-cookie2",
    re.IGNORECASE,
).fullmatch
"""Headers that browsers send by themselves, or that clients, servers and proxies understand already."""


def _identifier(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", text, re.ASCII):
        raise ValueError("must be a plain SQL name: letters, digits and _")
    return text


def _attribute(value: Any) -> str:
    text = _text(value)
    if not text.isidentifier():
        raise ValueError("must be the name of an attribute of the request, such as dbsession")
    return text


def _secrets(value: Any) -> tuple[bytes, ...]:
    listed = value if isinstance(value, (list, tuple)) else [value]
    words = [word for item in listed for word in _as_text(item).split()]
    secrets = [secret for word in words for secret in _resolve_secret(word)]
    if not secrets:
        raise ValueError("must not be empty")
    if any(len(secret) < MINIMUM_SECRET for secret in secrets):
        raise ValueError(
            f"every secret must have {MINIMUM_SECRET} characters or more; "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        )
    return tuple(secret.encode() for secret in secrets)


def _as_text(value: Any) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise ValueError("must be text") from None


def _resolve_secret(item: str) -> list[str]:
    kind, _, name = item.partition(":")
    if kind == "env":
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name].split()
    if kind == "file":
        try:
            return Path(name).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ValueError(f"the file {name} cannot be read: {reason}") from None
    return [item]


def _seal_keys(value: Any) -> tuple[bytes, ...]:
    listed = value if isinstance(value, (list, tuple)) else [value]
    words = [word for item in listed for word in _as_text(item).split()]
    keys = [_seal_key(found) for word in words for found in _resolve_secret(word)]
    if not keys:
        raise ValueError(f"must not be empty; {MAKE_SEAL_KEY} makes a key")
    if len(set(keys)) < len(keys):
        raise ValueError("has the same key twice; name each key once")
    return tuple(keys)


def _seal_key(text: str) -> bytes:
    key = b64decode(f"{text}=", b"-_") if re.fullmatch("[A-Za-z0-9_-]{43}=?", text) else b""
    if urlsafe_b64encode(key).rstrip(b"=") != text.rstrip("=").encode():
        raise ValueError(f"every key must be 32 bytes in URL-safe base64, 43 characters; {MAKE_SEAL_KEY} makes one")
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if min(len(set(key)), len(steps)) < FEW_BYTES or key.isascii():
        raise ValueError(f"every key must be random, and one of these is not; {MAKE_SEAL_KEY} makes one")
    return key


def _migrate(value: Any) -> bool | str:
    try:
        return "read" if str(value).strip().lower() == "read" else _boolean(value)
    except ValueError:
        raise ValueError("must be true, false or read") from None


def _url(value: Any) -> str:
    render = getattr(value, "render_as_string", None)
    return str(render(hide_password=False)) if render else _text(value)


def _servers(value: Any) -> tuple[str, ...]:
    servers = tuple(value if isinstance(value, (list, tuple)) else str(value).split())
    address = re.compile(r"unix:/.+|/.+|\[[0-9A-Fa-f:.]+\](:\d{1,5})?|[A-Za-z0-9._-]+(:\d{1,5})?")
    for server in servers:
        if not address.fullmatch(server):
            raise ValueError(f"{server} is not host:port, [IPv6]:port or unix:/path")
        port = re.search(r"[^/]:(\d+)$", server)
        if port and not 0 < int(port[1]) < 65536:
            raise ValueError(f"{server}: a port is a number from 1 to 65535")
    if not servers or len(set(servers)) < len(servers):
        raise ValueError("must name one server or more, each once")
    return servers


def _memcached_prefix(value: Any) -> str:
    text = str(value)
    if not re.fullmatch(r"[!-~]{0,100}", text):
        raise ValueError("must be up to 100 characters of printable ASCII without spaces")
    return text


def _redis_prefix(value: Any) -> str:
    text = str(value)
    if not re.fullmatch(r"[!-~]{0,99}:", text):
        # Whoever removes all sessions must not remove the keys of others, whose prefix may begin with this one.
        raise ValueError("must be 1 to 100 characters of printable ASCII without spaces, and end with a colon")
    return text


def _option(default: Any, parse: Parser, doc: str) -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True)
class CookieSettings:
    """``sessionkit.cookie_*``: the attributes of the cookie (RFC 6265bis)."""

    name: str = _option(
        "session", _cookie_name, "Its name. The rules of the prefixes __Host- and __Secure- are checked."
    )
    path: str = _option("/", _cookie_path, "Where the browser sends it. On other paths no cookie is set.")
    domain: str | None = _option(None, _or_none(_cookie_domain), "Also send it to the subdomains of this domain.")
    secure: bool | None = _option(
        None,
        _auto_or_boolean,
        "auto follows the scheme of the request. true over plain HTTP sends no cookie and warns.",
    )
    httponly: bool = _option(True, _boolean, "Keep it from scripts (OWASP ASVS 3.4.2).")
    samesite: str = _option(
        "Lax",
        _one_of("Lax", "Strict", "None", "auto", "off"),
        "auto: None with Secure, else Lax. None is refused without Secure. off: leave the attribute out.",
    )
    partitioned: bool = _option(False, _boolean, "One cookie jar for each top-level site (CHIPS).")
    priority: str | None = _option(
        None, _or_none(_one_of("Low", "Medium", "High")), "Which cookies a browser that runs out of room drops first."
    )

    def __post_init__(self) -> None:
        for problem in self._contradictions():
            raise ConfigurationError(problem)

    @property
    def always_secure(self) -> bool:
        """Whether the cookie is never sent over plain HTTP: for some names and attributes auto means true."""
        return self.secure is True or self._must_be_secure

    @property
    def _must_be_secure(self) -> bool:
        # Browsers compare the prefixes without regard to case (RFC 6265bis, 4.1.3).
        return self.partitioned or self.name.lower().startswith(("__host-", "__secure-"))

    def _contradictions(self) -> Iterator[str]:
        key = PREFIX + "cookie_"
        if self._must_be_secure and self.secure is False:
            yield f"{key}secure = false: the prefixes __Host- and __Secure- and {key}partitioned need true or auto"
        if self.name.lower().startswith("__host-") and (self.path != "/" or self.domain is not None):
            yield f"{key}name = {self.name}: the prefix __Host- needs {key}path = / and no {key}domain"
        if self.samesite == "None" and self.secure is False:
            yield f"{key}samesite = None: browsers refuse it without {key}secure = true or auto"


@dataclass(frozen=True)
class MemorySettings:
    """``sessionkit.memory.*``"""

    max_sessions: int = _option(
        100_000, _whole, "Beyond it the expired sessions go first, then the anonymous, then those unused for longest."
    )


@dataclass(frozen=True)
class MemcachedSettings:
    """``sessionkit.memcached.*``"""

    servers: tuple[str, ...] = _option(
        ("127.0.0.1:11211",),
        _servers,
        "host:port, [IPv6]:port or unix:/path, by whitespace. Keys are spread over them.",
    )
    timeout: int = _option(1, _duration, "How long connecting, and each answer, may take.")
    prefix: str = _option("sessionkit:", _memcached_prefix, "What the name of every item begins with.")


@dataclass(frozen=True)
class RedisSettings:
    """``sessionkit.redis.*``"""

    url: str = field(
        default="redis://127.0.0.1:6379/0",
        repr=False,
        metadata={
            "parse": _text,
            "doc": "redis://, rediss://, unix://, redis+sentinel://host:26379,host2:26379/name-of-primary/0 or "
            "redis+cluster://host:7000,host2:7001. Default: redis://127.0.0.1:6379/0.",
        },
    )
    timeout: int = _option(1, _duration, "How long connecting, and each answer, may take.")
    prefix: str = _option("sessionkit:", _redis_prefix, "What the name of every key begins with; it ends with a colon.")


@dataclass(frozen=True)
class CachedSQLSettings:
    """``sessionkit.cached_sql.*``"""

    ttl: int = _option(
        60,
        _duration,
        "How long a copy stays in memcached: the longest it can be behind the database if the process that changed the "
        "session died before it could tell memcached.",
    )


@dataclass(frozen=True)
class SQLSettings:
    """``sessionkit.sql.*``"""

    url: str | None = field(
        default=None,
        repr=False,
        metadata={"parse": _url, "doc": "A SQLAlchemy URL. Default: the setting sqlalchemy.url."},
    )
    table: str = _option("sessions", _identifier, "The table's name; schema.table where the database has schemas.")
    create_table: bool = _option(False, _boolean, "Make the table at start-up where it is missing.")
    timeout: int = _option(5, _duration, "How long connecting, and each answer, may take.")
    pool_size: int = _option(
        15,
        _whole,
        "How many connections each process keeps at most. A request that finds all in use waits for timeout at most.",
    )
    max_age: int | None = _option(
        600,
        _or_none(_duration),
        "How long a connection is kept before another takes its place: after a failover, the longest that a process "
        "still reads from a server that was the primary. none: for as long as it works.",
    )
    prepare: bool = _option(
        True,
        _boolean,
        "Prepare statements, and have the server give up shortly before timeout passes. false behind a pooler, such "
        "as PgBouncer.",
    )
    dbsession: str | None = _option(
        None,
        _or_none(_attribute),
        "The attribute of a request that holds the application's SQLAlchemy session, such as dbsession: sessions "
        "commit and roll back with it (store = sql only). Default: they are saved after the request's transaction.",
    )


@dataclass(frozen=True)
class Settings:
    """``sessionkit.*``"""

    secret: tuple[bytes, ...] = field(
        repr=False,
        metadata={
            "parse": _secrets,
            "doc": "Required. One or more, by whitespace: the first signs, all verify. 32 characters or more each; "
            "env:NAME and file:PATH are read at start-up.",
        },
    )
    seal_key: tuple[bytes, ...] = field(
        default=(),
        repr=False,
        metadata={
            "parse": _seal_keys,
            "doc": "Seal what is stored: a session that was changed in the store is refused. One key or more, by "
            "whitespace: the first seals, and all open. 32 random bytes each, in URL-safe base64; env:NAME and "
            "file:PATH are read at start-up. Default: none. It needs the extra `seal`.",
        },
    )
    seal_migrate: bool | str = _option(
        False,
        _migrate,
        "true: also accept sessions that are not sealed, and seal them when they are next written. read: accept them, "
        "and seal none yet. For turning seal_key on, and no longer.",
    )
    store: Any = _option(
        "memory",
        _dotted,
        "memory, memcached, redis, sql, cached_sql, or the dotted name of a store factory (settings) -> ISessionStore.",
    )
    session_class: Any = _option(
        None,
        _or_none(_dotted),
        "The class of sessions: a subclass of pyramid_sessionkit.Session, or its dotted name.",
    )
    timeout: int | None = _option(
        1200, _or_none(_duration), "The idle timeout. If you lower it, it also holds for the sessions that are stored."
    )
    lifetime: int | None = _option(43200, _or_none(_duration), "Ends a session this long after its creation or login.")
    reissue_time: int | None = _option(
        None, _or_none(_duration), "Renew at most this often. Default: a tenth of timeout. none: only writes renew."
    )
    persistent: bool = _option(
        False, _boolean, "Let the cookie outlive the browser, until the session's lifetime ends."
    )
    rolling: bool = _option(False, _boolean, "Renew on every request that uses the session.")
    save_uninitialized: bool = _option(False, _boolean, "Store a session that was used though nothing was put into it.")
    delete_empty: bool = _option(
        False,
        _boolean,
        "Remove a session, with its cookie, when a request has emptied it and nobody is logged in. If another request "
        "of the browser puts something into it or logs in at that moment, and its response arrives first, the browser "
        "loses the cookie.",
    )
    resave: bool = _option(False, _boolean, "Write a session that was used though nothing in it changed.")
    save_on_error: bool = _option(False, _boolean, "Save also when the response is a 5xx.")
    max_size: int = _option(262_144, _whole, "The most bytes that serialized contents may take.")
    cookie_options: Any = _option(
        None, _or_none(_dotted), "(request) -> dict that overrides cookie_* settings for one request."
    )
    key_prefix: Any = _option(
        None, _or_none(_dotted), "(request) -> str: what new session keys begin with, such as a tenant or a shard."
    )
    adopt: Any = _option(
        None,
        _or_none(_dotted),
        "The sessions of the library that the site comes from, so that nobody is logged out: an OldSessions, or a "
        "function (settings) that returns one.",
    )
    header_name: str | None = _option(
        None,
        _or_none(_header_name),
        "A client that sends this header, empty at first, gets its session ID in the same header of the response, and "
        "no cookie: for apps and other clients that keep no cookies. Such as X-Session.",
    )
    trust_proxy: bool = _option(
        False, _boolean, "Believe X-Forwarded-Proto. Leave off where the WSGI server already does."
    )
    security_policy: bool = _option(True, _boolean, "false: register no security policy.")
    identity: Any = _option(None, _or_none(_dotted), "(request, userid) -> object or None: loads the logged-in user.")
    principals: Any = _option(None, _or_none(_dotted), "(request, identity) -> iterable of str, for ACLs.")
    credentials_hash: Any = _option(
        None, _or_none(_dotted), "(request, identity) -> str: a login ends when this changes, as with the password."
    )
    login_route: str | None = _option(
        None, _or_none(_text), "The route that visitors are sent to whom logged_in or fresh_login turns away."
    )
    confirm_route: str | None = _option(
        None,
        _or_none(_text),
        "The route of a page that asks for the password again: fresh_login sends users who are logged in "
        "there, and not to login_route. Both have to be set.",
    )
    max_sessions_per_user: int | None = _option(
        None, _or_none(_whole), "The oldest sessions of a user beyond it end at login."
    )
    cookie: CookieSettings = field(default_factory=CookieSettings, metadata={"prefix": "cookie_"})
    memory: MemorySettings = field(default_factory=MemorySettings, metadata={"prefix": "memory."})
    memcached: MemcachedSettings = field(default_factory=MemcachedSettings, metadata={"prefix": "memcached."})
    redis: RedisSettings = field(default_factory=RedisSettings, metadata={"prefix": "redis."})
    sql: SQLSettings = field(default_factory=SQLSettings, metadata={"prefix": "sql."})
    cached_sql: CachedSQLSettings = field(default_factory=CachedSQLSettings, metadata={"prefix": "cached_sql."})
    begin_with: str = PREFIX
    """What the names of these settings begin with. It is not a setting itself: errors need it."""

    def name_of(self, setting: str) -> str:
        """The full name of a setting, for an error: ``sessionkit.max_size``, or that of a second session."""
        return self.begin_with + setting

    def renamed(self, text: str) -> str:
        """A text that names ``sessionkit.*`` as if there were no other session, with the names of these settings."""
        return renamed(text, self.begin_with)

    def __post_init__(self) -> None:
        if self.timeout and self.reissue_time and self.reissue_time > self.timeout:
            raise ConfigurationError(
                f"{PREFIX}reissue_time = {self.reissue_time}s is above {PREFIX}timeout = {self.timeout}s: "
                "the session would end before it could be renewed"
            )
        if self.delete_empty and self.save_uninitialized:
            raise ConfigurationError(
                f"{PREFIX}delete_empty and {PREFIX}save_uninitialized contradict each other: one removes the sessions "
                "that the other stores"
            )
        if any(urlsafe_b64encode(key).rstrip(b"=") in self.secret for key in self.seal_key):
            raise ConfigurationError(
                f"{PREFIX}seal_key and {PREFIX}secret are the same: whoever finds out one must not have the other"
            )
        if self.seal_migrate and not self.seal_key:
            raise ConfigurationError(
                f"{PREFIX}seal_migrate is set and {PREFIX}seal_key is not: set the key too, or remove seal_migrate"
            )
        if self.confirm_route and not self.login_route:
            raise ConfigurationError(
                f"{PREFIX}confirm_route = {self.confirm_route} needs {PREFIX}login_route too: a page that asks for the "
                "password again is of no use to visitors who are not logged in"
            )
        if self.sql.dbsession and self.store != "sql":
            raise ConfigurationError(
                f"{PREFIX}sql.dbsession = {self.sql.dbsession} needs {PREFIX}store = sql: no other store can take part "
                "in the application's transactions"
            )


def renamed(text: str, begin_with: str) -> str:
    """A text that names ``sessionkit.*``, with the names of settings that begin otherwise."""
    return text if begin_with == PREFIX else _put_for_prefix(begin_with, text)


def options(cls: type = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, Field[Any]]]:
    """The full name and the declaration of every option."""
    for declared in fields(cls):
        if "prefix" in declared.metadata:
            yield from options(_group(declared), prefix + declared.metadata["prefix"])
        elif "parse" in declared.metadata:
            yield prefix + declared.name, declared


def _is_for_us(name: str, known: Collection[str]) -> bool:
    """Also with a misspelled prefix, where the rest is a setting of ours."""
    prefix, dot, rest = name.partition(".")
    if prefix + dot == PREFIX:
        return True
    return PREFIX + rest in known and bool(get_close_matches(prefix.lower() + dot, [PREFIX], cutoff=0.9))


def parse_settings(settings: Mapping[str, Any]) -> Settings:
    """Read the ``sessionkit.*`` keys of an application's settings."""
    known = dict(options())
    for name in settings:
        if _is_for_us(name, known) and name not in known and not name.startswith(CUSTOM):
            raise ConfigurationError(f"{name} is not a setting of pyramid_sessionkit{_suggestion(name, list(known))}")
    if not str(settings.get(PREFIX + "secret", "")).strip():
        raise ConfigurationError(
            f"{PREFIX}secret is missing: it signs the cookie. Set it to {MINIMUM_SECRET} random characters or more, "
            "or to env:NAME or file:PATH"
        )
    parsed: Settings = _parse(Settings, PREFIX, settings)
    _check_limits(parsed, settings)
    return parsed


def _check_limits(parsed: Settings, settings: Mapping[str, Any]) -> None:
    """A default must not silently win over what was set."""
    lifetime = Settings.lifetime
    if parsed.timeout and lifetime and parsed.timeout > lifetime and PREFIX + "lifetime" not in settings:
        raise ConfigurationError(
            f"{PREFIX}timeout = {settings[PREFIX + 'timeout']} is above the default of {PREFIX}lifetime, "
            f"{lifetime // 3600}h, which would end every session before: set {PREFIX}lifetime too, or to none"
        )


def override_cookie(settings: CookieSettings, overrides: Mapping[str, Any]) -> CookieSettings:
    """``settings`` with what ``sessionkit.cookie_options`` returned for one request."""
    declared = {f"cookie_{option.name}": option for option in fields(CookieSettings) if option.name != "name"}
    changes = {}
    for name, value in overrides.items():
        if name not in declared:
            known = ", ".join(declared)
            raise ConfigurationError(f"{PREFIX}cookie_options returned {name}, which is none of {known}")
        changes[declared[name].name] = _parse_one(name, declared[name], value)
    return replace(settings, **changes)


def _parse(cls: type, prefix: str, settings: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for declared in fields(cls):
        name = prefix + declared.name
        if "prefix" in declared.metadata:
            values[declared.name] = _parse(_group(declared), prefix + declared.metadata["prefix"], settings)
        elif name in settings and "parse" in declared.metadata:
            values[declared.name] = _parse_one(name, declared, settings[name])
    if cls is Settings and "reissue_time" not in values:
        timeout = values.get("timeout", Settings.timeout)
        values["reissue_time"] = timeout and max(1, timeout // 10)
    if cls is SQLSettings and "url" not in values:
        values["url"] = settings.get("sqlalchemy.url")
    return cls(**values)


def _parse_one(name: str, declared: Field[Any], value: Any) -> Any:
    try:
        return declared.metadata["parse"](value)
    except ValueError as error:
        shown = "" if declared.name in ("secret", "seal_key", "url") else f" = {value}"
        raise ConfigurationError(f"{name}{shown}: {error}") from None


def _group(declared: Field[Any]) -> type:
    factory = declared.default_factory
    assert isinstance(factory, type)
    return factory


_REPLACED_BY = {
    PREFIX + "generate_id": f"{PREFIX}key_prefix for what keys begin with; the rest of an ID is made here",
    PREFIX + "genid": f"{PREFIX}key_prefix for what keys begin with; the rest of an ID is made here",
    PREFIX + "max_age": f"{PREFIX}persistent = true, and {PREFIX}lifetime for how long",
    PREFIX + "cookie_max_age": f"{PREFIX}persistent = true, and {PREFIX}lifetime for how long",
    PREFIX + "cookie_expires": f"{PREFIX}persistent = true, and {PREFIX}lifetime for how long",
}
"""Names that people try, and what to use instead."""


def _suggestion(name: str, known: list[str]) -> str:
    if name in _REPLACED_BY:
        return f"; use {_REPLACED_BY[name]}"
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
