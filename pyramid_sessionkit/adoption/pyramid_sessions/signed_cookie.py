"""Pyramid's own sessions, which are in a signed cookie: ``SignedCookieSessionFactory``."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

from pyramid.session import JSONSerializer, SignedCookieSessionFactory

from pyramid_sessionkit.adoption.old_sessions import check_secret
from pyramid_sessionkit.adoption.pickles import warn_of_pickles
from pyramid_sessionkit.adoption.pyramid_sessions.factory_sessions import FactorySessions, Find, arguments_of
from pyramid_sessionkit.adoption.pyramid_sessions.old_users import OldUsers


class Pickles:
    """The serializer that Pyramid had before version 2."""

    def loads(self, data: bytes) -> Any:
        """Only what was signed by the application comes here."""
        try:
            return pickle.loads(data)  # noqa: S301  asked for by name
        except Exception as error:
            raise ValueError(f"A pickled session cannot be read: {type(error).__name__}") from error

    def dumps(self, value: Any) -> bytes:
        """For the name of a session, and its cookie is never sent."""
        return pickle.dumps(value)


def signed_cookie_sessions(
    secret: str | bytes,
    *,
    userid: Find | OldUsers | None,
    pickle: bool = False,
    keep: bool = False,
    **arguments: Any,
) -> SignedCookieSessions:
    """The sessions of ``SignedCookieSessionFactory``, whose ``arguments`` these are.

    ``pickle``: their contents are pickles, as they were before Pyramid 2.
    """
    if pickle:
        warn_of_pickles("Whoever knows its secret can run code here.")
        arguments["serializer"] = Pickles()
    return SignedCookieSessions(secret, userid, keep, arguments)


class SignedCookieSessions(FactorySessions):
    """Sessions that are in the cookie alone: there is no record to delete, and old copies of the cookie stay good.

    So a session is named by what all its cookies have in common: the time when it began, and its user. Of sessions of
    nobody many may have begun at one time: the contents go in.
    """

    def __init__(
        self, secret: str | bytes, userid: Find | OldUsers | None, keep: bool, arguments: dict[str, Any]
    ) -> None:
        check_secret(secret)
        named = arguments_of(SignedCookieSessionFactory, secret, **arguments)
        super().__init__(
            SignedCookieSessionFactory(secret, **arguments),
            named["cookie_name"],
            userid,
            cookie_path=named["path"],
            cookie_domain=named["domain"],
            keep=keep,
        )
        self._serializer = named["serializer"] or JSONSerializer()

    def name(self, request: Any) -> str | None:
        session = self.session(request)
        if session.new:
            return None
        contents = dict(session)
        who = self.users.who(request, contents)
        of = repr(who.userid).encode() if who is not None else self._serializer.dumps(contents)
        return f"{session.created!r} {'of' if who is not None else 'with'} {hashlib.sha256(of).hexdigest()}"
