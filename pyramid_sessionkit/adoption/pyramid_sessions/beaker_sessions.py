"""The sessions of pyramid_beaker: in files, in memcached, in a database, or in the cookie."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.adoption.old_sessions import Adopted
from pyramid_sessionkit.adoption.pickles import warn_of_pickles
from pyramid_sessionkit.adoption.pyramid_sessions.factory_sessions import FactorySessions, Find
from pyramid_sessionkit.adoption.pyramid_sessions.old_users import OldUsers, TicketUsers
from pyramid_sessionkit.adoption.pyramid_sessions.throw_away import made_up, throw_away
from pyramid_sessionkit.exceptions import NotSupported

log = logging.getLogger("pyramid_sessionkit")

OF_BEAKER = ("_creation_time", "_accessed_time", "_id", "_domain", "_path")


def beaker_sessions(
    settings: Mapping[str, Any] | None = None,
    *,
    userid: Find | OldUsers | None,
    pickle: bool = False,
    keep: bool = False,
    **options: Any,
) -> BeakerSessions:
    """The sessions of ``pyramid_beaker``.

    ``settings``: those of the application, of which ``session.*`` and ``beaker.session.*`` count; or ``options``: what
    ``BeakerSessionFactoryConfig`` took. ``pickle``: their contents are pickles, as they are unless ``data_serializer``
    was set; and its files are, whatever is in them.
    """
    try:
        import pyramid_beaker
    except ImportError as error:
        raise ConfigurationError("beaker_sessions needs the old library: pip install beaker pyramid_beaker") from error
    factory = (
        pyramid_beaker.BeakerSessionFactoryConfig(**options)
        if settings is None
        else pyramid_beaker.session_factory_from_settings(settings)
    )
    found = factory._options
    if found.get("type", "memory") == "memory" and "data_dir" not in found:
        raise ConfigurationError(
            "These sessions of Beaker were in the memory of the old processes: give beaker_sessions what says where "
            "others are, the settings session.type and so on, or type= and so on"
        )
    in_files = found.get("type") in ("file", "dbm") or ("type" not in found and "data_dir" in found)
    if found.get("data_serializer", "pickle") == "pickle" or in_files:
        if not pickle:
            raise ConfigurationError(
                "Beaker pickles these sessions, and to unpickle them runs whatever code somebody wrote there: give "
                "beaker_sessions(pickle=True) if nobody else can write there, or knows the key they are signed with"
            )
        warn_of_pickles("Whoever can write where Beaker keeps them can run code here, or who knows its validate_key.")
    sessions = CookieSessions if found.get("type") == "cookie" else BeakerSessions
    return sessions(factory, userid, keep)


class Readable:
    """The old serializer. What it cannot read now it never can: it would be an outage that does not end."""

    def __init__(self, named: Any) -> None:
        from beaker.util import JsonSerializer, PickleSerializer

        self._old = {"pickle": PickleSerializer, "json": JsonSerializer}[named]() if isinstance(named, str) else named

    def loads(self, data: bytes) -> Any:
        """The contents; none where they cannot be read."""
        try:
            return self._old.loads(data)
        except Exception as error:
            log.warning("An old session of Beaker cannot be read: %s: %s", type(error).__name__, error)
            return {}

    def dumps(self, value: Any) -> Any:
        """As the old one."""
        return self._old.dumps(value)


class BeakerSessions(FactorySessions):
    """Sessions on a server. A session is named by its ID."""

    def __init__(self, factory: Any, userid: Find | OldUsers | None, keep: bool) -> None:
        self._options = factory._options
        self._options["data_serializer"] = Readable(self._options.get("data_serializer", "pickle"))
        self._options["invalidate_corrupt"] = False
        super().__init__(
            factory,
            self._options.get("key", "beaker.session.id"),
            userid,
            self._delete,
            cookie_path=self._options.get("cookie_path", "/"),
            cookie_domain=self._options.get("cookie_domain"),
            keep=keep,
        )

    def name(self, request: Any) -> str | None:
        from beaker.cookie import SimpleCookie
        from beaker.session import InvalidSignature, SignedCookie

        secret = self._options.get("secret")
        header = throw_away(request, self.cookie).environ["HTTP_COOKIE"]
        found = (SignedCookie(secret, input=header) if secret else SimpleCookie(input=header)).get(self.cookie)
        if found is None or found.value is InvalidSignature:
            return None
        # Beaker finds the file of "abc" also by "x/a.bc": of one that is not signed there would be many names.
        return found.value if re.fullmatch("[0-9a-f]+", found.value or "") else None

    def contents(self, request: Any) -> dict[str, Any] | None:
        name = self.name(request)
        return None if name is None else self._contents_of(name)

    def _contents_of(self, name: str) -> dict[str, Any] | None:
        session = self._opened(name)
        return None if session.is_new else without_times(session)

    def _opened(self, name: str) -> Any:
        """The session of this ID, which is read and never saved."""
        from beaker.session import Session

        return Session({}, id=name, **{**self._options, "use_cookies": False})

    def _delete(self, name: str) -> None:
        """Beaker itself empties a record, and leaves its file; what it calls "remove" empties all of memcached."""
        from beaker.container import FileNamespaceManager

        space = self._opened(name).namespace
        if isinstance(space, FileNamespaceManager):
            space.remove()
            return
        space.acquire_write_lock()
        try:
            del space["session"]
        finally:
            space.release_write_lock()

    def all(self) -> Iterator[tuple[str, Adopted]]:
        folder = self._options.get("file_dir") or os.path.join(self._options.get("data_dir") or "", "container_file")
        if isinstance(self.users, TicketUsers) or self._options.get("type", "file") != "file":
            raise NotSupported("Only Beaker's files can be listed: others are adopted when their visitors come")
        for file in Path(folder).rglob("*.cache"):
            contents = self._contents_of(file.stem)
            adopted = None if contents is None else self.adopted(made_up(), contents)
            if adopted is not None:
                yield file.stem, adopted


class CookieSessions(BeakerSessions):
    """Sessions that are in the cookie alone. What all cookies of one have in common is an ID that is in there.

    The user goes into the name: a cookie from before the login has the same ID. Without a user the contents do.
    """

    def __init__(self, factory: Any, userid: Find | OldUsers | None, keep: bool) -> None:
        super().__init__(factory, userid, keep)
        self._forget = None
        # A wrong configuration is told at start-up. Later any error is one of the cookie.
        factory(made_up())._session()

    def name(self, request: Any) -> str | None:
        found = self._found(request)
        if found is None:
            return None
        contents = without_times(found)
        who = self.users.who(request, contents)
        serializer = self._options["data_serializer"]
        of = repr(who.userid).encode() if who is not None else serializer.dumps(contents)
        return f"{found['_id']} {'of' if who is not None else 'with'} {hashlib.sha256(of).hexdigest()}"

    def contents(self, request: Any) -> dict[str, Any] | None:
        found = self._found(request)
        return None if found is None else without_times(found)

    def _found(self, request: Any) -> dict[str, Any] | None:
        """What was in the cookie; None where it was not signed as it should, or has ended."""
        try:
            found = self.session(request).accessed_dict
        except Exception:
            return None
        return found if "_creation_time" in found else None

    def all(self) -> Iterator[tuple[str, Adopted]]:
        raise NotSupported("Sessions in cookies cannot be listed: each is adopted when its visitor comes")


def without_times(session: Mapping[str, Any]) -> dict[str, Any]:
    """The contents, without what Beaker keeps among them."""
    return {name: value for name, value in session.items() if name not in OF_BEAKER}
