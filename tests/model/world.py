"""What the model of the session ID is about: records, cookies, requests, and all of it at one moment."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, NamedTuple


class Cookie(NamedTuple):
    key: str
    secret: str


Contents = tuple[tuple[str, str], ...]


class Record(NamedTuple):
    secret: str
    life: str
    """The salt of derived secrets: made at creation, so that it tells two lives of one key apart."""
    since: int
    """The clock when the secret was made."""
    user: str = ""
    authenticated: int = 0
    credentials: int = 0
    contents: Contents = ()
    version: str | int = "first"


# Requests that log somebody in, and whom.
USERS = {"login": "anna", "limit": "anna", "password": "anna", "other": "bert", "thief's login": "thief"}


class Found(IntEnum):
    LIVE, REPLACED, CLOSED, NOTHING = range(4)  # CLOSED: blank, dead, or replaced long ago


class Request(NamedTuple):
    name: str
    kind: str
    step: str = "load"
    cookie: Cookie | None = None
    """What it presented; for another browser's request, what that browser holds."""
    in_browser: bool = False
    found: Found = Found.NOTHING
    loaded: Record | None = None
    base: Record | None = None
    """What the next compare-and-set expects; None: create."""
    key: str = ""
    as_user: str = ""
    authenticated: int = 0
    credentials: int = 0
    clock: int = 0
    """When it loaded. Half a minute is counted back from there, however long the request takes."""
    attempt: int = 0
    stale: bool = False
    status: int = 0
    answer: Cookie | Literal["keep", "delete"] = "keep"
    saved: str = ""
    """The life of the session that its changes went to."""
    token: str = ""
    victims: tuple[tuple[str, Record], ...] = ()

    @property
    def is_thief(self) -> bool:
        return self.name == "thief"

    @property
    def logged_in(self) -> bool:
        return self.kind in USERS and self.status == 200


class World(NamedTuple):
    store: tuple[tuple[str, Record], ...]
    jar: Cookie | None
    requests: tuple[Request, ...] = ()
    jar_by: str = ""
    password: int = 1
    logins: int = 9
    clock: int = 0
    ended: frozenset[str] = frozenset()
    crossed: frozenset[tuple[str, str]] = frozenset()
    """Logins, and answers that were decided before the login was stored and had not arrived by then."""
    evils: frozenset[str] = frozenset()

    def get(self, key: str) -> Record | None:
        return next((record for at, record in self.store if at == key), None)

    def put(self, key: str, record: Record) -> World:
        return self._replace(store=tuple(sorted((*(p for p in self.store if p[0] != key), (key, record)))))

    def delete(self, key: str) -> World:
        record = self.get(key)
        ended = self.ended | {record.life} if record else self.ended
        return self._replace(store=tuple(p for p in self.store if p[0] != key), ended=ended)

    def having(self, request: Request) -> World:
        return self._replace(requests=tuple(request if r.name == request.name else r for r in self.requests))

    def evil(self, what: str) -> World:
        return self._replace(evils=self.evils | {what})

    def opens(self, cookie: Cookie | None) -> Record | None:
        record = self.get(cookie.key) if cookie else None
        return record if record and cookie and record.secret == cookie.secret else None


def is_blank(cookie: Cookie) -> bool:
    return cookie.key.startswith("blank")


def heir(cookie: Cookie, number: int = 0) -> str:
    """The key of what is created with a cookie that opens nothing."""
    return f"H({cookie.key} {cookie.secret}{' again' * number})"


def of_login(old: str, key: str, user: str, life: str) -> str:
    return f"H({old} {key} {user} {life})"
