"""The session that views use: a dict that is read on first use, and what can be done with it as a whole."""

from __future__ import annotations

import secrets
from collections.abc import Callable, ItemsView, Iterator, KeysView, MutableMapping, Sequence, ValuesView
from copy import deepcopy
from time import time
from typing import Any, Final

from pyramid.interfaces import ISession
from zope.interface import implementer

from pyramid_sessionkit.merge import MISSING, Applied, Function, as_read_back
from pyramid_sessionkit.persistence import Persistence, key_of
from pyramid_sessionkit.serializer import Contents
from pyramid_sessionkit.settings import LONGEST_DURATION
from pyramid_sessionkit.unit_of_work import UnitOfWork, generate_id

_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_UNSET: Final = type("UNSET", (), {"__repr__": lambda self: "unchanged"})()

CSRF_KEY = "_csrft_"

LONGEST_USERID = 255
"""Characters."""

_FLASH_KEY = "_f_"


@implementer(ISession)
class Session(MutableMapping[str, Any]):
    """The contents of one visitor's session, and what is known about it.

    Nothing is read before the contents are used and nothing stored before something is put into them. Changes are
    saved after the view, with those of other requests that ran meanwhile; see :meth:`save` to do so earlier.
    """

    __slots__ = ("work",)

    def __init__(
        self,
        persistence: Persistence,
        find_ids: Callable[[], Sequence[str]] = tuple,
        new_id: Callable[[], str] | None = None,
        closed: bool = False,
    ) -> None:
        self.work = UnitOfWork(persistence, find_ids, new_id or generate_id, closed)

    # Reading and writing the contents.

    def __getitem__(self, name: str) -> Any:
        work = self.work
        contents = work.contents
        value = (work.read() if contents is None else contents)[name]
        if type(value) not in _SCALARS:
            work.exposed = True
        return value

    def get(self, name: str, default: Any = None) -> Any:
        work = self.work
        contents = work.contents
        value = (work.read() if contents is None else contents).get(name, default)
        if type(value) not in _SCALARS:
            work.exposed = True
        return value

    def __contains__(self, name: object) -> bool:
        return name in self.work.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self.work.read())

    def __len__(self) -> int:
        return len(self.work.read())

    def keys(self) -> KeysView[str]:
        return self.work.read().keys()

    def values(self) -> ValuesView[Any]:
        self.work.exposed = True
        return self.work.read().values()

    def items(self) -> ItemsView[str, Any]:
        self.work.exposed = True
        return self.work.read().items()

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"The keys of a session are text, not {type(name).__name__}")
        self.work.write()[name] = value
        if type(value) not in _SCALARS:
            self.work.exposed = True

    def __delitem__(self, name: str) -> None:
        del self.work.write()[name]

    def clear(self) -> None:
        """Remove the contents. This logs nobody out: see :meth:`invalidate`."""
        self.work.write().clear()

    def popitem(self) -> tuple[str, Any]:
        return self.work.write().popitem()

    def copy(self) -> Contents:
        """The contents as a dict of their own, to the innermost list."""
        return deepcopy(self.work.read())

    def __or__(self, other: Any) -> Contents:
        return self.copy() | dict(other)

    def __ror__(self, other: Any) -> Contents:
        return dict(other) | self.copy()

    def __ior__(self, other: Any) -> Session:
        self.update(other)
        return self

    def __repr__(self) -> str:
        if self.work.contents is None:
            return "<Session, not used yet>"
        return f"<Session {'new' if self.work.new else self.work.stored_key[:8]}>"

    def changed(self) -> None:
        """Never needed: changes inside lists and dicts are found. Here since :class:`ISession` has it."""
        self.work.write()

    def apply(self, name: str, function: Function, default: Any = None) -> Any:
        """Set ``name`` to ``function(value)`` and return it: for what requests that run at once must not lose.

        The function runs again on what is stored where another request changed it meanwhile, so it should do
        nothing but compute. ``session.apply("views", lambda n: n + 1, 0)`` counts every view. ``default`` is what
        it is given where there is no value.
        """
        contents = self.work.open()
        before = as_read_back(contents[name]) if name in contents else MISSING
        after = function(deepcopy(default) if before is MISSING else contents[name])
        self[name] = after
        self.work.applied += (Applied(name, function, deepcopy(default), before, as_read_back(after)),)
        return after

    # Flash messages and the CSRF token, stored as Pyramid's own sessions do.

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Add a message to a queue; not again what is there if ``allow_duplicate`` is false."""
        messages = self.get(_FLASH_KEY + queue, [])
        if allow_duplicate or msg not in messages:
            self[_FLASH_KEY + queue] = [*messages, msg]

    def pop_flash(self, queue: str = "") -> list[Any]:
        """Take all messages out of a queue."""
        name = _FLASH_KEY + queue
        messages: list[Any] = self.pop(name) if name in self else []
        return messages

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of a queue, which stay there."""
        messages: list[Any] = self.get(_FLASH_KEY + queue, [])
        return messages

    def new_csrf_token(self) -> str:
        """A new token, which replaces the old one."""
        token = secrets.token_urlsafe(32)
        self[CSRF_KEY] = token
        return token

    def get_csrf_token(self) -> str:
        """The token of this session, made on first use."""
        return self.get(CSRF_KEY) or self.new_csrf_token()

    # What is known about the session. All times are in epoch seconds.

    @property
    def id(self) -> str:
        """The session ID, a bearer secret: whoever has it has the session. Log :attr:`key` instead."""
        return self.work.id

    @property
    def key(self) -> str:
        """SHA-256 of the session ID in hex: what stores, logs and lists show."""
        return key_of(self.id)

    @property
    def new(self) -> bool:
        """Whether nothing is stored for this visitor yet."""
        return self.work.new

    @property
    def userid(self) -> str | None:
        """Who is logged in; None for an anonymous visitor."""
        return self.work.of_login("userid")  # type: ignore[no-any-return]

    @property
    def authenticated(self) -> int | None:
        """When the last login was; None for an anonymous visitor."""
        return self.work.of_login("authenticated")  # type: ignore[no-any-return]

    @property
    def credentials(self) -> str | None:
        """What the security policy kept at the login to compare with later."""
        return self.work.of_login("credentials")  # type: ignore[no-any-return]

    @property
    def created(self) -> int:
        """When the session was created or, after a login, logged in."""
        return self.work.metadata().created

    @property
    def renewed(self) -> int:
        """When its idle timeout last began again."""
        return self.work.metadata().renewed

    @property
    def expires(self) -> int | None:
        """When it ends unless it is renewed; None for never."""
        return self.work.metadata().expires

    @property
    def persistent(self) -> bool:
        """Whether the cookie outlives the browser."""
        return self.work.metadata().persistent

    # What can be done with the session as a whole.

    def invalidate(self, reason: str = "logout") -> None:
        """End the session, on the server and in the browser. Afterwards this is a new and empty one.

        Carried out after the view, and whatever its response is. It logs out: the user is no part of the new one.
        ``reason`` is what :class:`~pyramid_sessionkit.SessionEnded` will say.
        """
        self.work.invalidate(reason)

    def regenerate_id(self) -> None:
        """Give the session a new ID, so that the old one opens nothing. The contents stay."""
        self.work.regenerate_id()

    def login(self, userid: str, credentials: str | None = None, persistent: bool | None = None) -> None:
        """Make this the session of a user who has just proven who he is: a new ID and a new lifetime.

        The contents stay, unless they were another user's. For security policies: views call
        :func:`pyramid.security.remember`.
        """
        if not 0 < len(userid) <= LONGEST_USERID or not userid.isprintable():
            raise ValueError(f"A userid has 1 to {LONGEST_USERID} printable characters")
        work = self.work
        if work.gone:
            work.begin_anew()
        if self.userid not in (None, userid):
            self.invalidate()
        self.regenerate_id()
        now = int(time())
        settings = work.persistence.settings
        work.fields |= {
            "userid": userid,
            "authenticated": now,
            "credentials": credentials,
            "created": now,
            "timeout": settings.timeout,
            "deadline": None if settings.lifetime is None else now + settings.lifetime,
            "persistent": settings.persistent if persistent is None else persistent,
        }

    def touch(self) -> None:
        """Let the idle timeout begin again now."""
        self.work.open()
        self.work.renew = True

    def set_expiry(self, *, timeout: Any = _UNSET, lifetime: Any = _UNSET, persistent: Any = _UNSET) -> None:
        """Other limits for this session alone: seconds, or None for no limit; ``lifetime`` counts from its creation."""
        for name, value in (("timeout", timeout), ("lifetime", lifetime)):
            if value not in (_UNSET, None) and (type(value) is not int or not 0 < value <= LONGEST_DURATION):
                raise ValueError(f"{name} is a whole number of seconds above zero, or None for no limit: {value!r}")
        self.work.open()
        fields = self.work.fields
        if timeout is not _UNSET:
            fields["timeout"] = timeout
        if lifetime is not _UNSET:
            fields["deadline"] = None if lifetime is None else self.created + lifetime
        if persistent is not _UNSET:
            fields["persistent"] = bool(persistent)

    def reload(self) -> None:
        """Drop what this request did to the session and read again what is stored."""
        self.work.reload()

    def save(self) -> None:
        """Save now, rather than after the view.

        Raises :exc:`SessionGone` if the session was ended or regenerated meanwhile, and
        :exc:`~pyramid_sessionkit.StoreError` if the store refused.
        """
        self.work.save()
