"""The session of twenty lines that the price is compared with: no merging, no checks, no expiry, no signature."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any


class NaiveSession(dict[str, Any]):
    def __init__(self, store: Any, request: Any) -> None:
        self.store, self.dirty = store, False
        self.id = request.cookies.get("session")
        data = store.get(self.key) if self.id else None
        super().__init__(json.loads(data) if data else {})
        self.new = data is None
        request.add_response_callback(self.save)

    @property
    def key(self) -> str:
        return hashlib.sha256(self.id.encode()).hexdigest()

    def __setitem__(self, name: str, value: Any) -> None:
        self.dirty = True
        super().__setitem__(name, value)

    def save(self, request: Any, response: Any) -> None:
        if self.dirty:
            self.id = self.id or secrets.token_urlsafe(32)
            self.store.set(self.key, json.dumps(self).encode())
            if self.new:
                response.set_cookie("session", self.id)


class NaiveMemory:
    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.get = self.rows.get
        self.set = self.rows.__setitem__


class NaiveSQLite:
    def __init__(self, path: str) -> None:
        import sqlite3

        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")  # the default of Python's builds, and so ours
        self.connection.execute("CREATE TABLE IF NOT EXISTS naive (key TEXT PRIMARY KEY, data BLOB)")

    def get(self, key: str) -> bytes | None:
        row = self.connection.execute("SELECT data FROM naive WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    def set(self, key: str, data: bytes) -> None:
        self.connection.execute("INSERT OR REPLACE INTO naive VALUES (?, ?)", (key, data))


class NaiveMemcached:
    def __init__(self, address: str) -> None:
        from pymemcache.client.base import PooledClient

        self.client = PooledClient(address, no_delay=True, default_noreply=False, timeout=1, connect_timeout=1)

    def get(self, key: str) -> bytes | None:
        return self.client.get(key)

    def set(self, key: str, data: bytes) -> None:
        self.client.set(key, data, expire=1200)


class NaiveRedis:
    def __init__(self, url: str) -> None:
        from redis import Redis

        self.client = Redis.from_url(url)
        self.get = self.client.get

    def set(self, key: str, data: bytes) -> None:
        self.client.set(key, data, ex=1200)


class NaivePostgreSQL:
    def __init__(self, port: int) -> None:
        import psycopg

        self.connection = psycopg.connect(host="127.0.0.1", port=port, user="postgres", autocommit=True)
        self.connection.execute("CREATE TABLE IF NOT EXISTS naive (key text PRIMARY KEY, data bytea)")

    def get(self, key: str) -> bytes | None:
        row = self.connection.execute("SELECT data FROM naive WHERE key = %s", (key,)).fetchone()
        return row and row[0]

    def set(self, key: str, data: bytes) -> None:
        self.connection.execute(
            "INSERT INTO naive VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET data = excluded.data", (key, data)
        )
