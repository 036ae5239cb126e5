"""Stores for the session of twenty lines that ``naive.py`` has none for."""

from __future__ import annotations

import threading
from typing import Any

from benchmarks import naive


def sqlite(path: str) -> Any:
    store = naive.NaiveSQLite(path)
    # As ours: an acknowledged write outlives a loss of power.
    store.connection.execute("PRAGMA synchronous=FULL")
    return store


class NaiveMariaDB:
    """A connection for each thread, since PyMySQL's are not shared."""

    def __init__(self, url: str) -> None:
        from sqlalchemy import make_url

        made = make_url(url)
        self.options = {"host": made.host, "port": made.port, "user": made.username, "password": made.password}
        self.database = made.database
        self.local = threading.local()
        self.run("CREATE TABLE IF NOT EXISTS naive (`key` varchar(64) PRIMARY KEY, data mediumblob)")

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        import pymysql

        cursor = getattr(self.local, "cursor", None)
        if cursor is None:
            connection = pymysql.connect(**self.options, database=self.database, autocommit=True)
            cursor = self.local.cursor = connection.cursor()
        cursor.execute(statement, values)
        return cursor

    def get(self, key: str) -> bytes | None:
        row = self.run("SELECT data FROM naive WHERE `key` = %s", (key,)).fetchone()
        return row and row[0]

    def set(self, key: str, data: bytes) -> None:
        self.run("REPLACE INTO naive VALUES (%s, %s)", (key, data))
