"""Who was logged in, for the session libraries that do not know it: in their contents, or in an AuthTkt cookie."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple, cast

from pyramid.authentication import AuthTktCookieHelper
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.adoption.old_sessions import Adopted, OldSessions, check_secret, cookie_values
from pyramid_sessionkit.adoption.pyramid_sessions.throw_away import throw_away
from pyramid_sessionkit.arguments import check_arguments


class Who(NamedTuple):
    """Who was logged in, since when, and when that ends even if the old session is used; in epoch seconds."""

    userid: Any
    authenticated: float | None = None
    expires: float | None = None


class OldUsers:
    """Says who was logged in. A function of the application's is made one with ``find``."""

    def __init__(self, find: Callable[[Any, MutableMapping[str, Any]], tuple[Any, ...] | None] | None = None) -> None:
        if find is not None:
            if not callable(find):
                raise ConfigurationError(
                    f"userid = {find!r} is no function (request, contents): "
                    "for a key of the session give session_user(key)"
                )
            check_arguments("userid", find)
        self._find = find

    def who(self, request: Any, contents: MutableMapping[str, Any]) -> Who | None:
        """Who was logged in. What it removes from the contents does not go into the new session."""
        found = self._find(request, contents) if self._find is not None else None
        return None if found is None or found[0] in (None, "") else Who(*found)

    def token(self, request: Any) -> str | None:
        """What names the login, if the old session does not."""
        return None

    def deletions(self, request: Any) -> list[str]:
        """The values of the ``Set-Cookie`` headers that delete its cookies."""
        return []


def session_user(key: str = "auth.userid") -> OldUsers:
    """The user is in the session, where ``SessionAuthenticationPolicy`` and ``SessionAuthenticationHelper`` put it."""

    def find(request: Any, contents: MutableMapping[str, Any]) -> tuple[Any, ...] | None:
        userid = contents.pop(key, None)
        return (userid,)

    return OldUsers(find)


def authtkt_user(secret: str, **arguments: Any) -> OldUsers:
    """The user is in an AuthTkt cookie. ``arguments``: those of ``AuthTktCookieHelper``, or of the old policy."""
    check_secret(secret)
    # What AuthTktAuthenticationPolicy takes beside them says nothing about the cookie.
    return TicketUsers(
        AuthTktCookieHelper(
            secret, **{name: arguments[name] for name in arguments if name not in ("callback", "debug")}
        )
    )


def authtkt_sessions(secret: str, keep: bool = False, **arguments: Any) -> OldSessions:
    """A site that had AuthTkt cookies and no sessions, or none whose contents matter."""
    return TicketSessions(authtkt_user(secret, **arguments), keep)


class TicketUsers(OldUsers):
    """Tickets in the cookies of ``AuthTktCookieHelper``, which reads them itself."""

    def __init__(self, helper: AuthTktCookieHelper) -> None:
        super().__init__()
        self._helper = helper

    def who(self, request: Any, contents: MutableMapping[str, Any]) -> Who | None:
        ticket = self._ticket(request)
        if ticket is None:
            return None
        at, helper = ticket["timestamp"], self._helper
        # A ticket that is renewed says nothing of the login, and has no end while it is used.
        renewed = helper.reissue_time is not None
        expires = at + helper.timeout if helper.timeout and not renewed else None
        return Who(ticket["userid"], None if renewed else at, expires)

    def token(self, request: Any) -> str | None:
        ticket = self._ticket(request)
        return None if ticket is None else f"ticket {ticket['timestamp']} {ticket['userid']!r}"

    def deletions(self, request: Any) -> list[str]:
        name, path = self._helper.cookie_name, self._helper.cookie_profile.path
        if not cookie_values(request, name):
            return []
        values = [f"{name}=; Max-Age=0; Path={path}; expires=Thu, 01 Jan 1970 00:00:00 GMT"]
        for domain in dict.fromkeys([*self._domains(request), request.domain]):
            values.append(f"{values[0]}; Domain={domain}")
        return values

    def _domains(self, request: Any) -> list[str]:
        """The domains that are configured, beside that of the request."""
        if self._helper.domain:
            return [self._helper.domain]
        if self._helper.parent_domain and request.domain.count(".") > 1:
            return [request.domain.partition(".")[2]]
        return []

    def _ticket(self, request: Any) -> dict[str, Any] | None:
        """The ticket of this browser, if its signature and its time are good; the user as text or as a number."""
        ticket = cast("dict[str, Any] | None", self._helper.identify(throw_away(request, self._helper.cookie_name)))
        if ticket is not None and isinstance(ticket["userid"], bytes):
            ticket["userid"] = ticket["userid"].decode(errors="replace")
        return ticket


class TicketSessions(OldSessions):
    """Tickets alone: the new sessions are empty, and their users are logged in."""

    def __init__(self, users: OldUsers, keep: bool) -> None:
        self.users = users
        self.keep = keep

    def token(self, request: Any) -> str | None:
        return self.users.token(request)

    def read(self, request: Any, token: str) -> Adopted | None:
        who = self.users.who(request, {})
        return None if who is None else Adopted({}, *who)

    def deletions(self, request: Any) -> list[str]:
        return self.users.deletions(request)
