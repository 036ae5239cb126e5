"""What may name a user."""

from __future__ import annotations

from typing import Any
from uuid import UUID

LONGEST_USERID = 255
"""Characters."""


def as_userid(value: Any, what: str) -> str:
    """A userid as text. Anything but text, a number and a UUID is refused: a user object above all.

    ``what``: where it comes from, for the error: ``"remember() was given"``.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)) or not str(value):
        raise ValueError(
            f"{what} {type(value).__name__ if not isinstance(value, str) else 'empty text'} where the id of a user "
            "belongs: text, a number or a UUID, such as user.id"
        )
    return str(value)


def check_userid(userid: str) -> str:
    """The same userid; raises ValueError if a session cannot belong to it."""
    if not isinstance(userid, str):
        raise ValueError(
            f"session.login() was given {type(userid).__name__} where text belongs: pass str(user.id), or call "
            "pyramid.security.remember(), which takes a number too"
        )
    if not 0 < len(userid) <= LONGEST_USERID or not userid.isprintable():
        raise ValueError(f"A userid has 1 to {LONGEST_USERID} printable characters")
    return userid
