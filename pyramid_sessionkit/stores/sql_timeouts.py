"""How long a database may take to answer: each driver has an option of its own for it, and some have none."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine


def connect_arguments(url: URL, seconds: int) -> dict[str, Any]:
    """The options of the driver of ``url`` that limit connecting and answering; those that the URL has stay."""
    names = {
        "pysqlite": ("timeout",),
        "psycopg": ("connect_timeout",),
        "psycopg2": ("connect_timeout",),
        "pymysql": ("connect_timeout", "read_timeout", "write_timeout"),
        "mysqldb": ("connect_timeout", "read_timeout", "write_timeout"),
    }.get(url.get_dialect().driver, ())
    return {name: seconds for name in names if name not in url.query}


def limit_answers(engine: Engine, seconds: int) -> None:
    """Give psycopg the time-out that libpq lacks: without it a server that froze would hold a request forever."""
    if engine.dialect.driver != "psycopg":
        return
    connection_class = _impatient_connection(seconds)

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        return connection_class.connect(*arguments, **options)


def _impatient_connection(seconds: int) -> Any:
    import psycopg

    class ImpatientConnection(psycopg.Connection[Any]):
        """A connection that closes when an answer takes too long, since the answer may still come."""

        def wait(self, gen: Any, *_: Any) -> Any:
            return super().wait(self._until(gen), seconds)

        def _until(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            try:
                wanted = next(gen)
                while True:
                    # psycopg sends 0 when its interval, here the time-out, has passed.
                    ready = yield wanted
                    if not ready:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer within {seconds} seconds")
                    wanted = gen.send(ready)
            except StopIteration as stopped:
                return stopped.value

    return ImpatientConnection
