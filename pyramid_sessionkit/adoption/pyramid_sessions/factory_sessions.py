"""The sessions of any Pyramid session factory: the old library itself reads them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.adoption.old_sessions import Adopted, OldSessions
from pyramid_sessionkit.adoption.pyramid_sessions.old_users import OldUsers, Who
from pyramid_sessionkit.adoption.pyramid_sessions.throw_away import throw_away

Find = Callable[[Any, MutableMapping[str, Any]], "tuple[Any, ...] | None"]


class FactorySessions(OldSessions):
    """The sessions of an old ``ISessionFactory``.

    It is called with a throw-away request, which has the cookies of the real one, and whose callbacks are never run: so
    nothing is stored or sent.

    ``userid``: who is logged in: a function ``(request, contents)`` that returns None or ``(userid, authenticated)``,
    where the latter is the time of the login or None; or what ``session_user`` and ``authtkt_user`` return.
    ``forget``: deletes an old record: a function of what :meth:`name` returned.
    """

    def __init__(
        self,
        factory: Callable[[Any], Any],
        cookie: str,
        userid: Find | OldUsers | None = None,
        forget: Callable[[str], None] | None = None,
        *,
        cookie_path: str = "/",
        cookie_domain: str | None = None,
        keep: bool = False,
    ) -> None:
        self.cookie = cookie
        self.cookie_path = cookie_path
        self.cookie_domain = cookie_domain
        self.keep = keep
        self.users = userid if isinstance(userid, OldUsers) else OldUsers(userid)
        self._factory = factory
        self._forget = forget
        self._last = threading.local()

    # What a library may do in another way.

    def name(self, request: Any) -> str | None:
        """What names the old session, without a look at any record. Here the value of its cookie, as Pyramid reads it.

        It must be the same however the cookie is written, or a made-up way to write it would undo a logout.
        """
        return throw_away(request, self.cookie).cookies.get(self.cookie) or None

    def contents(self, request: Any) -> dict[str, Any] | None:
        """What is in the old session; None if there is none."""
        session = self.session(request)
        return None if session is None or session.new else dict(session)

    # The same for all.

    def session(self, request: Any) -> Any:
        """The session object of the old library."""
        return self._factory(throw_away(request, self.cookie))

    def token(self, request: Any) -> str | None:
        """What names the login goes first: whoever still has it shall not get in with another old session, or none."""
        return self.users.token(request) or self.name(request)

    def read(self, request: Any, token: str) -> Adopted | None:
        self._last.read = token, self.name(request)
        return self.adopted(request, self.contents(request) or {})

    def adopted(self, request: Any, contents: dict[str, Any]) -> Adopted | None:
        """The old session; None where nothing is in it and nobody logged in."""
        who = self.users.who(request, contents) or Who(None)
        return Adopted(contents, *who) if contents or who.userid is not None else None

    def forget(self, token: str) -> None:
        """Delete the record of the session that was read with this token, which may name a login instead."""
        read, name = getattr(self._last, "read", (token, token))
        name = name if read == token else token
        if self._forget is not None and name is not None:
            self._forget(name)

    def deletions(self, request: Any) -> list[str]:
        return super().deletions(request) + self.users.deletions(request)


def arguments_of(old: Callable[..., Any], *args: Any, **arguments: Any) -> dict[str, Any]:
    """What a function of the old library is called with, its defaults among it."""
    try:
        given = inspect.signature(old).bind(*args, **arguments)
    except TypeError as error:
        raise ConfigurationError(f"{old.__name__} {error}: give what the old site gave it") from error
    given.apply_defaults()
    return given.arguments
