"""The session that views use: a dict that is read on first use, and what can be done with it as a whole."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, MutableMapping, ValuesView
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyramid.interfaces import ISession
from zope.interface import implementer

from pyramid_sessionkit.contents.compare import MISSING
from pyramid_sessionkit.contents.merge import Applied
from pyramid_sessionkit.contents.refused import FLASH_KEY, SCALARS
from pyramid_sessionkit.contents.serializer import Contents
from pyramid_sessionkit.csrf.tokens import new_token_of, token_of
from pyramid_sessionkit.exceptions import NotSupported
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.settings import LONGEST_DURATION
from pyramid_sessionkit.unit_of_work import Carrier, UnitOfWork
from pyramid_sessionkit.userid import check_userid

_UNSET: Final = type("UNSET", (), {"__repr__": lambda self: "unchanged"})()

Value = TypeVar("Value")


@implementer(ISession)
class Session(MutableMapping[str, Any]):
    """The contents of one visitor's session, and what is known about it.

    Nothing is read before the contents are used and nothing stored before something is put into them. Changes are
    saved after the view, with those of other requests that ran meanwhile; see :meth:`save` to do so earlier.
    """

    __slots__ = ("work",)

    work: UnitOfWork

    def __init__(self, persistence: Persistence, carrier: Carrier, closed: bool = False) -> None:
        _set_work(self, UnitOfWork(persistence, carrier, closed))

    # Reading and writing the contents.

    def __getitem__(self, name: str) -> Any:
        work = self.work
        contents = work.contents
        value = (work.read() if contents is None else contents)[name]
        if type(value) not in SCALARS:
            work.may_be_mutated()
        return value

    def get(self, name: str, default: Any = None) -> Any:
        work = self.work
        contents = work.contents
        value = (work.read() if contents is None else contents).get(name, default)
        if type(value) not in SCALARS:
            work.may_be_mutated()
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
        self.work.may_be_mutated()
        return self.work.read().values()

    def items(self) -> ItemsView[str, Any]:
        self.work.may_be_mutated()
        return self.work.read().items()

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"The keys of a session are text, not {type(name).__name__}")
        work = self.work
        contents = work.write()
        # Here, so that the traceback shows the line of the view. What changes inside of it is checked when it is saved.
        work.persistence.serializer.check(name, value)
        contents[name] = value
        if type(value) not in SCALARS:
            work.may_be_mutated()

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

    # Hidden from type checkers, which would otherwise accept every attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):
                return super().__getattribute__(name)  # its own error, which brought us here, is raised again
            raise AttributeError(no_attribute(name))

        def __setattr__(self, name: str, value: Any) -> None:
            # A subclass may have no __slots__, and would keep for this request what nobody saves.
            if not hasattr(type(self), name):
                raise AttributeError(no_attribute(name))
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        if self.work.contents is None:
            return "<Session, not used yet>"
        return f"<Session {'new' if self.work.stored is None else self.work.stored.key[:8]}>"

    def changed(self) -> None:
        """Never needed: changes inside lists and dicts are found. Here since :class:`ISession` has it."""
        self.work.write()

    def apply(self, name: str, function: Callable[[Any], Value], default: Any = None) -> Value:
        """Set ``name`` to ``function(value)`` and return it: for what requests that run at once must not lose.

        The function runs again on what is stored where another request changed it meanwhile, so it should do
        nothing but compute. ``session.apply("views", lambda n: n + 1, 0)`` counts every view. ``default`` is what
        it is given where there is no value.
        """
        contents, read_back = self.work.write(), self.work.persistence.serializer.read_back
        before = read_back(name, contents[name]) if name in contents else MISSING
        after = function(deepcopy(default) if before is MISSING else contents[name])
        self[name] = after
        self.work.applied(Applied(name, function, deepcopy(default), before, read_back(name, after)))
        return after

    # Flash messages, stored as Pyramid's own sessions do.

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Add a message to a queue; not again what is there if ``allow_duplicate`` is false."""
        messages = self.get(FLASH_KEY + queue, [])
        if allow_duplicate or msg not in messages:
            self[FLASH_KEY + queue] = [*messages, msg]

    def pop_flash(self, queue: str = "") -> list[Any]:
        """Take all messages out of a queue."""
        name = FLASH_KEY + queue
        messages: list[Any] = self.pop(name) if name in self else []
        return messages

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of a queue, which stay there."""
        messages: list[Any] = self.get(FLASH_KEY + queue, [])
        return messages

    # The CSRF token, which is derived: nothing is stored for it.

    def get_csrf_token(self) -> str:
        """The token of this session. Nothing is stored for it. A visitor without a session gets a cookie for it."""
        return token_of(self.work)

    def new_csrf_token(self) -> str:
        """Another token. The old one is refused from now on. This stores something."""
        return new_token_of(self.work)

    # What is known about the session. All times are in epoch seconds.

    @property
    def key(self) -> str:
        """The name of the session from its creation to its end, in stores, logs and lists. It opens nothing.

        Of a new session it is the key that it will get, unless another request takes that first.
        """
        return self.work.key

    @property
    def new(self) -> bool:
        """Whether nothing is stored for this visitor."""
        return self.work.new

    @property
    def userid(self) -> str | None:
        """Who is logged in; None for an anonymous visitor."""
        return self.work.login_field("userid")  # type: ignore[no-any-return]

    @property
    def authenticated(self) -> int | None:
        """When the last login was; None for an anonymous visitor."""
        microseconds = self.work.login_field("authenticated")
        return None if microseconds is None else int(microseconds // 1_000_000)

    @property
    def credentials(self) -> str | None:
        """What the security policy kept at the login to compare with later."""
        return self.work.login_field("credentials")  # type: ignore[no-any-return]

    @property
    def created(self) -> int:
        """When the session was created or, after a login, logged in."""
        return self.work.metadata().created

    @property
    def renewed(self) -> int:
        """When its idle timeout was last restarted."""
        return self.work.metadata().renewed

    @property
    def expires(self) -> int | None:
        """When it ends unless it is renewed; None for never."""
        return self.work.metadata().expires

    @property
    def timeout(self) -> int | None:
        """The idle timeout in seconds; None for no limit."""
        return self.work.metadata().timeout

    @property
    def persistent(self) -> bool:
        """Whether the cookie outlives the browser."""
        return self.work.metadata().persistent

    # What can be done with the session as a whole.

    def invalidate(self, reason: str = "logout") -> None:
        """End the session, on the server and in the browser. Afterwards this is a new and empty one.

        Carried out after the view, whatever its response is, and under whatever secret the session has by then. It logs
        out: the new one belongs to nobody.
        ``reason`` is what :class:`~pyramid_sessionkit.SessionEnded` will say.
        """
        self.work.invalidate(reason)

    def regenerate_id(self) -> None:
        """Give the session a new secret, so that the old cookie opens nothing. Its key and its contents stay."""
        self.work.regenerate_id()

    def login(self, userid: str, credentials: str | None = None, persistent: bool | None = None) -> None:
        """Make this the session of a user who has just proven who they are.

        For security policies: views call :func:`pyramid.security.remember`. The session gets a new secret, another
        CSRF token and a new lifetime, :attr:`userid` and :attr:`authenticated`; its key stays. The contents stay,
        unless they were another user's.

        - ``userid``: text of 1 to 255 printable characters, or ValueError is raised.
        - ``credentials``: kept as :attr:`credentials`, for a policy that compares it later, such as a hash of the
          password's hash.
        - ``persistent``: whether the cookie outlives the browser; None: as ``sessionkit.persistent`` says.
        """
        self.work.login(check_userid(userid), credentials, persistent)

    def touch(self) -> None:
        """Restart the idle timeout now."""
        self.work.renew()

    def do_not_renew(self) -> None:
        """Do not restart the idle timeout in this request, even if it reads the session or puts something into it.

        For a request that a page sends by itself, such as a poll: so a user who has left is still logged out. Call it
        anywhere in the request. It reads nothing, and stores and sends nothing. :meth:`touch` and a login that come
        after it still restart the idle timeout.
        """
        self.work.do_not_renew()

    def set_expiry(self, *, timeout: Any = _UNSET, lifetime: Any = _UNSET, persistent: Any = _UNSET) -> None:
        """Set other limits for this session: seconds, or None for no limit.

        ``lifetime`` counts from its creation or login. They stay also where a setting is lowered. A later login starts
        with the limits of the settings again.
        """
        for name, value in (("timeout", timeout), ("lifetime", lifetime)):
            if value not in (_UNSET, None) and (type(value) is not int or not 0 < value <= LONGEST_DURATION):
                raise ValueError(f"{name} is a whole number of seconds above zero, or None for no limit: {value!r}")
        limits = {"timeout": timeout, "lifetime": lifetime}
        if persistent is not _UNSET:
            limits["persistent"] = bool(persistent)
        self.work.set_limits(**{name: value for name, value in limits.items() if value is not _UNSET})

    def reload(self) -> None:
        """Drop what this request did to the session and read again what is stored.

        Raises :exc:`SessionGone` if another request replaced the secret meanwhile.
        """
        self.work.reload()

    def save(self) -> None:
        """Save now, rather than after the view.

        Raises :exc:`SessionGone` if the session was ended meanwhile, :exc:`~pyramid_sessionkit.SessionReplaced` if its
        cookie was replaced before this request came, and :exc:`~pyramid_sessionkit.StoreError` if the
        store refused.
        """
        self.work.save()


class SecondSession(Session):
    """A session that ``config.add_session`` has added. It belongs to nobody: nobody logs in with it."""

    __slots__ = ()

    def login(self, userid: str, credentials: str | None = None, persistent: bool | None = None) -> None:
        raise NotSupported(
            "A second session logs nobody in: call pyramid.security.remember(), or request.session.login()"
        )


# Past our own __setattr__, in a third of the time: each session that a request uses pays for it.
_set_work = vars(Session)["work"].__set__


def no_attribute(name: str) -> str:
    """What an error says about a name that sessions do not have."""
    return f'A session has no attribute {name}. What it contains is reached by its key: session["{name}"]'
