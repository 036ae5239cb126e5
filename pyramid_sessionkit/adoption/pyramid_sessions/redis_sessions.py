"""The sessions of pyramid_session_redis."""

from __future__ import annotations

import logging
import pickle as pickles
from collections.abc import Callable, Iterator
from typing import Any

from pyramid.exceptions import ConfigurationError
from pyramid.registry import Registry
from webob.cookies import SignedSerializer

from pyramid_sessionkit.adoption.old_sessions import Adopted, check_secret
from pyramid_sessionkit.adoption.pickles import warn_of_pickles
from pyramid_sessionkit.adoption.pyramid_sessions.factory_sessions import FactorySessions, Find, arguments_of
from pyramid_sessionkit.adoption.pyramid_sessions.old_users import OldUsers, TicketUsers
from pyramid_sessionkit.adoption.pyramid_sessions.throw_away import made_up, throw_away
from pyramid_sessionkit.exceptions import NotSupported

log = logging.getLogger("pyramid_sessionkit")


def redis_sessions(
    secret: str | None = None,
    *,
    userid: Find | OldUsers | None,
    pickle: bool = False,
    keep: bool = False,
    keys: str = "*",
    **arguments: Any,
) -> RedisSessions:
    """The sessions of ``pyramid_session_redis.RedisSessionFactory``, whose ``arguments`` these are.

    ``pickle``: their contents are pickles, as they are unless the factory was given ``deserialize``. ``keys``: the
    pattern of the keys of sessions, for ``psessions import``, if other things are in the same database.
    """
    if arguments.get("deserialize", pickles.loads) is pickles.loads:
        if not pickle:
            raise ConfigurationError(
                "pyramid_session_redis pickles its sessions, and to unpickle them runs whatever code somebody wrote "
                "into that Redis: give redis_sessions(pickle=True) if nobody else can, or the deserialize= of old"
            )
        warn_of_pickles("Whoever can write to their Redis can run code here.")
    return RedisSessions(userid, keep, keys, {"secret": secret, **arguments})


class Text:
    """The session ID in a cookie of pyramid_session_redis."""

    def loads(self, data: bytes) -> str:
        """As it was signed."""
        return data.decode()

    def dumps(self, value: str) -> bytes:
        """As it is signed."""
        return value.encode()


class RedisSessions(FactorySessions):
    """Sessions in Redis. A session is named by its ID, which is its key too."""

    def __init__(self, userid: Find | OldUsers | None, keep: bool, keys: str, arguments: dict[str, Any]) -> None:
        try:
            from pyramid_session_redis import RedisSessionFactory
        except ImportError as error:
            raise ConfigurationError(
                "redis_sessions needs the old library: pip install pyramid_session_redis"
            ) from error
        named = arguments_of(RedisSessionFactory, **arguments)
        if not named["cookie_signer"]:
            check_secret(named["secret"])
        self._keys = keys
        self._deserialize = named["deserialize"]
        self._connect = named["redis_client_callable"] or default_client(named)
        self._client: Any = None
        self._signer = named["cookie_signer"] or SignedSerializer(
            named["secret"], "pyramid_session_redis.", "sha512", serializer=Text()
        )
        old = {
            "deserialize": self._loads,
            "deserialized_fails_new": True,
            "redis_client_callable": self._connected,
        }
        super().__init__(
            RedisSessionFactory(**{**arguments, **old}),
            named["cookie_name"],
            userid,
            self._delete,
            cookie_path=named["cookie_path"],
            cookie_domain=named["cookie_domain"],
            keep=keep,
        )

    def name(self, request: Any) -> str | None:
        value = throw_away(request, self.cookie).cookies.get(self.cookie)
        try:
            return None if value is None else str(self._signer.loads(value.encode()))
        except ValueError:
            return None

    def all(self) -> Iterator[tuple[str, Adopted]]:
        if isinstance(self.users, TicketUsers):
            raise NotSupported("Who is logged in is in the cookies of the visitors: each is adopted when they come")
        for key in self._any_client().scan_iter(match=self._keys, count=1000, _type="string"):
            name = key.decode() if isinstance(key, bytes) else key
            request = made_up(f"{self.cookie}={self._signer.dumps(name).decode()}")
            adopted = self.read(request, name)
            if adopted is not None:
                yield name, adopted

    def _connected(self, request: Any, **options: Any) -> Any:
        self._client = self._connect(request, **options)
        return self._client

    def _any_client(self) -> Any:
        """The client of the last request, for where there is none."""
        if self._client is None:
            self.session(made_up())
        return self._client

    def _loads(self, data: bytes) -> Any:
        """What cannot be read now can never be: it would be an outage for its visitor that does not end."""
        try:
            payload = self._deserialize(data)
            return {"m": payload["m"], "c": payload["c"], "v": payload["v"], **payload}
        except Exception as error:
            log.warning("An old session in Redis cannot be read: %s: %s", type(error).__name__, error)
            raise

    def _delete(self, name: str) -> None:
        self._any_client().delete(name)


def default_client(named: dict[str, Any]) -> Callable[..., Any]:
    """The client of a factory that was not given one."""
    from pyramid_session_redis.connection import get_default_connection

    # It keeps its client on the registry, where there may be one of another configuration.
    alone = made_up()
    alone.registry = Registry()
    return lambda request, **options: get_default_connection(alone, url=named["redis_url"], **options)
