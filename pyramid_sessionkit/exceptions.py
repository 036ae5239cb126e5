"""Every error that an application may catch; all are importable from ``pyramid_sessionkit``.

A message names the cause and the cure, and never a secret or a session ID.
"""

import logging

from pyramid.httpexceptions import HTTPUnauthorized


class SessionError(Exception):
    """The base of all errors raised by pyramid_sessionkit."""


class SessionNotSerializable(SessionError):
    """The contents would not read back as they were written; the message has the path of the value."""


class SessionTooLarge(SessionError):
    """The serialized contents exceed ``sessionkit.max_size``; the message names the largest keys."""


class SessionClosed(SessionError):
    """The session was changed after the response callbacks ran, when it could no longer be saved."""


class SessionGone(SessionError):
    """Another request ended the session, or replaced its secret too long ago, while this one was writing to it."""


class StoreError(SessionError):
    """A store refused an operation, and trying again will not help."""


class StoreUnavailable(StoreError):
    """A store cannot be reached, timed out, or cannot write for the moment: a 503, never a logout."""

    retry_after = 5
    """Seconds: what the response recommends."""

    log_level = logging.ERROR
    """Of the line that the request which got it leaves in the log."""


class SessionConflict(StoreUnavailable):
    """Other requests kept changing the session faster than this one could merge its own changes."""


class SessionReplaced(StoreUnavailable):
    """The cookie of the request was replaced less than 30 seconds ago: it cannot change its session, nor, in most
    cases, end it.

    A 503: the browser is about to get the new cookie, and may then send the request again.
    """

    retry_after = 1


class TransactionFailed(StoreError):
    """The session is part of a transaction (``sessionkit.sql.dbsession``) that can only be rolled back."""


class NotSupported(StoreError):
    """The configured store cannot offer this operation; the message names the stores that can."""


class NotLoggedIn(SessionError, HTTPUnauthorized):  # type: ignore[misc]
    """Nobody is logged in, so that nobody can own the row: a 401, unless a view for this exception answers."""

    def __init__(self, message: str = "Nobody is logged in") -> None:
        # Not as the detail of the response: it names models, which are none of the visitor's business.
        HTTPUnauthorized.__init__(self)
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.args[0])


class NotOwned(SessionError):
    """A statement or a flush would touch rows that are not the logged-in user's; the message names their table."""
