"""A userid, which is text, as a value of the column that holds it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from sqlalchemy.types import NullType

from pyramid_sessionkit.exceptions import NotLoggedIn, NotOwned

OwnerId = int | str | UUID


def _to_int(userid: str) -> int:
    value = int(userid)
    if str(value) != userid:
        raise ValueError  # int("1_0"), int(" 7") and int("٣") are other spellings of somebody's id
    return value


def _to_uuid(userid: str) -> UUID:
    value = UUID(userid)
    if userid.lower() not in (str(value), value.hex):
        raise ValueError
    return value


CONVERTERS: dict[type, Callable[[str], OwnerId]] = {int: _to_int, str: str, UUID: _to_uuid}


def check_type(column: Column[Any]) -> None:
    """Raise TypeError unless a column of this type can hold a userid; a type not known yet is checked when used."""
    if not isinstance(column.type, NullType):
        _python_type(column)


@lru_cache(1024)
def to_owner_id(userid: str | None, column: Column[Any]) -> OwnerId:
    """The value of ``column`` in the rows of this user.

    Raises :class:`NotLoggedIn` for None, and :class:`NotOwned` for a userid that no such column can hold.
    """
    if userid is None:
        raise NotLoggedIn(f"Nobody is logged in who could own rows of {column.table.name!r}; log in first")
    wanted = _python_type(column)
    try:
        if not isinstance(userid, str) or not userid:
            raise ValueError
        return CONVERTERS[wanted](userid)
    except ValueError:
        raise NotOwned(
            f"The logged-in user's id is no {wanted.__name__} as {column} holds them, so no row there is theirs; "
            "remember() the id of the user that your models use, in its usual spelling"
        ) from None


def _python_type(column: Column[Any]) -> type:
    try:
        found = column.type.python_type
    except NotImplementedError:
        found = type(column.type)
    if found not in CONVERTERS:
        raise TypeError(
            f"{column} is of type {column.type!r}, which cannot hold a userid: use Integer, String or "
            "Uuid, or a type of yours with one of their python_type"
        )
    return found
