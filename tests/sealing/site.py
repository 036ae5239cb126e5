"""An application with a login, and somebody who can write to its table and to memcached, and knows no secret."""

from __future__ import annotations

import sqlite3
import sys
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import orjson
import pymemcache
import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.security import forget, remember
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import NullPool
from webtest import TestApp

from pyramid_sessionkit import SessionEvent, SessionTampered, user_sessions
from pyramid_sessionkit.interfaces import Record
from tests.conftest import SECRET


def seal_key(number: int) -> str:
    """A random key for each number, the same in each run."""
    return urlsafe_b64encode(Random(number).randbytes(32)).decode()


KEY, OTHER_KEY, UNKNOWN_KEY = map(seal_key, (1, 2, 3))

COLUMNS = (*Record._fields, "expires")

COPY_MAC = 16
COPY_TIME = 8
COPIED = [name for name in Record._fields if name != "version"]
"""The fields in the line of a copy, where the version has the place of the data."""
PREFIX = "sessionkit:"


def who(request: Any) -> Any:
    session = request.session
    return {"user": request.authenticated_userid, "note": session.get("note"), "login": session.authenticated}


def put(request: Any) -> Any:
    request.session["note"] = request.params["note"]
    return {}


def login(request: Any) -> Any:
    request.response.headers.extend(remember(request, request.params["user"]))
    return {}


def logout(request: Any) -> Any:
    request.response.headers.extend(forget(request))
    return {}


def devices(request: Any) -> Any:
    return [info.key for info in user_sessions(request).list()]


VIEWS = (who, put, login, logout, devices)


class Site:
    """``kind``: ``sql``, ``joined`` or ``cached_sql``."""

    def __init__(
        self, kind: str, path: Path, memcached: str | None, patch: pytest.MonkeyPatch, settings: dict[str, Any]
    ) -> None:
        self.kind = kind
        self.passwords = {"ada": "a", "mallory": "m"}
        self.told: list[SessionEvent] = []
        self._path, self._memcached, self._patch = path, memcached, patch
        self._database = sqlite3.connect(path, isolation_level=None, timeout=20)
        self._database.row_factory = sqlite3.Row
        self._cache = None if memcached is None else pymemcache.Client(memcached)
        self._engines: list[Any] = []
        self.settings: dict[str, Any] = {}
        self.restart(**settings)

    def restart(self, **settings: Any) -> None:
        """With other settings, as a new process; browsers keep their cookies."""
        self.settings.update(settings)
        self.wsgi = self._application(self.settings)
        self.browsers = [self.browser(browser) for browser in getattr(self, "browsers", [])]

    def _application(self, settings: dict[str, Any]) -> Any:
        store = "sql" if self.kind == "joined" else self.kind
        named = {"store": store, "sql.url": f"sqlite:///{self._path}", "sql.create_table": True, "secret": SECRET}
        if self._memcached is not None:
            named["memcached.servers"] = self._memcached
        if self.kind == "joined":
            named["sql.dbsession"] = "dbsession"
        given = {f"sessionkit.{name}": value for name, value in (named | settings).items() if value is not None}
        config = Configurator(settings={"tm.manager_hook": "pyramid_tm.explicit_manager", **given})
        if self.kind == "joined":
            config.include("pyramid_tm")
            config.add_request_method(self._dbsession_factory(), "dbsession", reify=True)
        config.include("pyramid_sessionkit")
        config.set_session_identity(lambda request, userid: userid if userid in self.passwords else None)
        config.set_session_credentials_hash(lambda request, identity: self.passwords[identity])
        for view in VIEWS:
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__, renderer="json")
        config.add_subscriber(self.told.append, SessionEvent)
        app = config.make_wsgi_app()
        self.registry = config.registry
        return app

    def _dbsession_factory(self) -> Any:
        engine = create_engine(f"sqlite:///{self._path}", poolclass=NullPool)
        self._engines.append(engine)
        factory = sessionmaker(engine)

        def dbsession(request: Any) -> Any:
            session = factory()
            zope.sqlalchemy.register(session, transaction_manager=request.tm)
            return session

        return dbsession

    def close(self) -> None:
        self.registry.getUtility(_factory_interface()).persistence.store.close()
        self._database.close()
        if self._cache is not None:
            self._cache.close()

    # What visitors do.

    def browser(self, as_before: TestApp | None = None) -> TestApp:
        """One that has no cookie, or those of another."""
        return TestApp(self.wsgi, cookiejar=None if as_before is None else as_before.cookiejar)

    def with_cookie_of(self, browser: TestApp) -> TestApp:
        """A browser with a copy of the cookies that this one has now."""
        thief = self.browser()
        for name, value in browser.cookies.items():
            thief.set_cookie(name, value)
        return thief

    def logged_in(self, user: str, note: str = "") -> TestApp:
        browser = self.browser()
        browser.get("/login", {"user": user})
        browser.get("/put", {"note": note or f"of {user}"})
        return browser

    def advance(self, seconds: float) -> None:
        """Time passes, for us; memcached and the attacker do not care."""
        now = time.time() + seconds
        for name, module in list(sys.modules.items()):
            if name.startswith("pyramid_sessionkit") and callable(getattr(module, "time", None)):
                self._patch.setattr(module, "time", lambda: now)

    @property
    def tampered(self) -> list[tuple[str, str]]:
        return [(event.key, event.why) for event in self.told if isinstance(event, SessionTampered)]

    # What the attacker can do.

    def key_of(self, browser: TestApp, name: str = "session") -> str:
        return browser.cookies[name].strip('"').partition(".")[0]

    def row(self, key: str) -> dict[str, Any]:
        (row,) = self._database.execute("SELECT * FROM sessions WHERE session_key = ?", (key,)).fetchall()
        return {name: row[name] for name in COLUMNS}

    def write(self, key: str, **columns: Any) -> None:
        """Change columns of a row. No copy hides that."""
        changed = ", ".join(f"{name} = ?" for name in columns)
        done = self._database.execute(
            f"UPDATE sessions SET {changed} WHERE session_key = ?", (*columns.values(), key)
        ).rowcount
        assert done == 1
        self.forget_copies()

    def insert(self, key: str, row: dict[str, Any]) -> None:
        self._database.execute("DELETE FROM sessions WHERE session_key = ?", (key,))
        marks = ", ".join("?" * (len(row) + 1))
        names = ", ".join(("session_key", *row))
        self._database.execute(f"INSERT INTO sessions ({names}) VALUES ({marks})", (key, *row.values()))
        self.forget_copies()

    def forget_copies(self) -> None:
        if self._cache is not None:
            self._cache.flush_all(noreply=False)

    def copy(self, key: str) -> bytes:
        """What memcached has."""
        assert self._cache is not None
        found: bytes = self._cache.get(PREFIX + key)
        assert found.startswith(b"copy")
        return found

    def put_copy(self, key: str, copy: bytes) -> None:
        assert self._cache is not None
        self._cache.set(PREFIX + key, copy, noreply=False)

    def forged(self, copy: bytes, at: float | None = None, **fields: Any) -> bytes:
        """A copy with another time and other fields, with a checksum where that is all there is."""
        start = 4 + (COPY_MAC if self.settings.get("seal_key") else 4)
        head, body = copy[:start], copy[start:]
        line, _, data = body[COPY_TIME:].partition(b"\n")
        values = orjson.loads(line)
        for name, value in fields.items():
            values[COPIED.index(name)] = value
        when = body[:COPY_TIME] if at is None else int(at).to_bytes(COPY_TIME, "big")
        body = when + orjson.dumps(values) + b"\n" + data
        return (head if self.settings.get("seal_key") else b"copy" + crc32(body).to_bytes(4, "big")) + body


def verifier_of(browser: TestApp) -> str:
    """Whoever has a cookie can compute it."""
    return sha256(browser.cookies["session"].strip('"').split(".")[1].encode()).hexdigest()


def _factory_interface() -> Any:
    from pyramid.interfaces import ISessionFactory

    return ISessionFactory
