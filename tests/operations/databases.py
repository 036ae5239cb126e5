"""What operators do to PostgreSQL and to MariaDB, under the same names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pymysql

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

MOST_CONNECTIONS = 30
"""What a server takes: so few that an application that opens too many is found out."""

USER, OTHER = "shop", "other"
"""The application's role, and that of others. Neither is a superuser, for whom a server keeps connections free."""


def url_of(port: int) -> str:
    """As the application names a PostgreSQL server, or what stands in front of it."""
    return f"postgresql+psycopg://{USER}@127.0.0.1:{port}/postgres"


def with_roles(server: PostgreSQL) -> PostgreSQL:
    for role in USER, OTHER:
        server.execute(f"CREATE ROLE {role} LOGIN")
    server.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
    return server


class PostgreSQLDatabase:
    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        self.url = url_of(server.port)
        self.errors: Any = psycopg.Error

    def connect(self) -> psycopg.Connection[Any]:
        """As another application."""
        return psycopg.connect(host="127.0.0.1", port=self.server.port, user=OTHER, dbname="postgres")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The table of sessions is locked, as VACUUM FULL and most DDL do it."""
        with psycopg.connect(host="127.0.0.1", port=self.server.port, user="postgres") as connection:
            connection.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            yield

    def count(self) -> int:
        """The application's backends."""
        [(count,)] = self.server.execute(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}'")
        return int(str(count))

    def waiting(self) -> int:
        [(count,)] = self.server.execute(
            f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND wait_event_type = 'Lock'"
        )
        return int(str(count))

    def end_all(self) -> None:
        self.server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'")

    def close(self) -> None:
        pass

    @property
    def port(self) -> int:
        return self.server.port


class MariaDBDatabase:
    def __init__(self, server: MariaDB) -> None:
        self.server = server
        self.url = server.url.replace("test:test", f"{USER}:{USER}").replace("connect_timeout=2&", "")
        self.errors: Any = pymysql.Error
        for role in USER, OTHER:
            server.execute(f"CREATE USER IF NOT EXISTS {role}@'%' IDENTIFIED BY '{role}'")
            server.execute(f"GRANT ALL ON test.* TO {role}@'%'")
        self._administrator = self._as_administrator()

    def close(self) -> None:
        self._administrator.close()

    def connect(self) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=OTHER, password=OTHER, database="test", ssl_disabled=True
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(self.connect()) as connection:
            connection.cursor().execute("LOCK TABLES sessions WRITE")
            yield

    def count(self) -> int:
        return self._count()

    def waiting(self) -> int:
        return self._count("AND state LIKE '%lock%'")

    def end_all(self) -> None:
        self._ask(f"KILL USER {USER}")

    def _count(self, where: str = "") -> int:
        [(count,)] = self._ask(f"SELECT count(*) FROM information_schema.processlist WHERE user = '{USER}' {where}")
        return int(count)

    def _as_administrator(self) -> pymysql.Connection[Any]:
        """A connection that is kept, since the server may be full when it is wanted."""
        return pymysql.connect(unix_socket=self.server.socket, user="root", autocommit=True, ssl_disabled=True)

    def _ask(self, statement: str) -> Any:
        try:
            self._administrator.ping(reconnect=False)
        except pymysql.Error:
            self._administrator = self._as_administrator()
        with self._administrator.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    @property
    def port(self) -> int:
        return self.server.port


Database = PostgreSQLDatabase | MariaDBDatabase


@contextmanager
def taken(database: Database) -> Iterator[int]:
    """All connections that the server has left are taken by others; yields how many."""
    with ExitStack() as stack:
        number = 0
        while number < MOST_CONNECTIONS:
            try:
                stack.enter_context(closing(database.connect()))
            except database.errors:
                break
            number += 1
        yield number
