"""How long a database may take to answer: each driver has an option of its own for it, and some have none.

The server is asked to give up a little before we do: else each request that waits for a locked row leaves a server
process behind that goes on waiting.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Sequence
from selectors import DefaultSelector
from time import monotonic
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine

from pyramid_sessionkit.stores.sql_pooler import leave_to_pooler, warn

SERVERS_SHARE = 0.8
"""The part of the time-out after which the server gives up."""

TO_CANCEL = 0.2
"""The part that asking the server to cancel may take on top, where it does not give up by itself."""


def connect_arguments(url: URL, seconds: int, prepare: bool) -> dict[str, Any]:
    """The options of the driver of ``url`` that limit connecting and answering; those that the URL has stay.

    ``prepare``: whether statements are prepared, and the server's own limits set, on its connections.
    """
    driver = url.get_dialect().driver
    names: dict[str, tuple[str, ...]] = {
        "pysqlite": ("timeout",),
        "psycopg": ("connect_timeout",),
        "psycopg2": ("connect_timeout",),
        "pymysql": ("connect_timeout", "read_timeout", "write_timeout"),
        "mysqldb": ("connect_timeout", "read_timeout", "write_timeout"),
    }
    arguments: dict[str, Any] = {name: seconds for name in names.get(driver, ()) if name not in url.query}
    if driver in ("psycopg", "psycopg2") and "connect_timeout" in arguments:
        # Each host of several may take so long.
        arguments["connect_timeout"] = max(1, seconds // _count_hosts(url))
    if driver == "psycopg":
        arguments["prepare_threshold"] = 0 if prepare else None
    return {**arguments, **_limits_of_server(url, driver, seconds)} if prepare else arguments


def _limits_of_server(url: URL, driver: str, seconds: int) -> dict[str, Any]:
    share = seconds * SERVERS_SHARE
    if driver in ("psycopg", "psycopg2"):
        # Ours first: PostgreSQL takes the last of several.
        theirs = url.query.get("options", os.environ.get("PGOPTIONS", ""))
        theirs = theirs if isinstance(theirs, str) else " ".join(theirs)
        return {"options": f"-c statement_timeout={round(share * 1000)} {theirs}".strip()}
    if driver in ("pymysql", "mysqldb") and "init_command" not in url.query:
        lock = max(1, int(share))
        return {
            "init_command": f"SET SESSION innodb_lock_wait_timeout = {lock}, SESSION lock_wait_timeout = {lock} "
            f"/*M!100101 , SESSION max_statement_time = {share:.1f} */"
        }
    return {}


def _count_hosts(url: URL) -> int:
    hosts = url.query.get("host", ())
    written: Sequence[str] = (hosts,) if isinstance(hosts, str) else hosts
    return max(1, sum(len(word.split(",")) for word in written))


def limit_answers(engine: Engine, seconds: int, cancel: bool) -> None:
    """Give psycopg the time-out that libpq lacks: without it a server that froze would hold a request forever.

    ``cancel``: also ask the server to give up what it was doing. It is asked too where a pooler is found.
    """
    if engine.dialect.driver != "psycopg":
        return
    connection_class = _impatient_connection(seconds, seconds * TO_CANCEL)
    warned = False

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        nonlocal warned
        connection = connection_class.connect(*arguments, **{**options, "autocommit": True})
        try:
            if not cancel and leave_to_pooler(connection) and not warned:
                warned = True
                warn()
        except BaseException:
            connection.close()
            raise
        return connection


def _impatient_connection(seconds: int, to_cancel: float) -> Any:
    import psycopg

    class ImpatientConnection(psycopg.Connection[Any]):
        """A connection that closes when an answer takes too long, since the answer may still come."""

        def _give_up(self) -> psycopg.OperationalError:
            if self.prepare_threshold is None:  # behind a pooler
                self._cancel(to_cancel)
            self.pgconn.finish()
            return psycopg.OperationalError(f"no answer within {seconds} seconds")

        def _cancel(self, most: float) -> None:
            # Without cancel_safe (psycopg 3.2 with libpq 17) there is only a call that may never return.
            has_cancel_safe = getattr(getattr(psycopg, "capabilities", None), "has_cancel_safe", None)
            if has_cancel_safe is not None and has_cancel_safe():
                with contextlib.suppress(Exception):
                    self.cancel_safe(timeout=most)

    class Waiting(ImpatientConnection):
        """psycopg's own time-out."""

        def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
            try:
                return super().wait(gen, seconds, seconds)
            except psycopg.errors._WaitTimeout:
                raise self._give_up() from None

    class WaitingOnce(ImpatientConnection):
        """psycopg before 3.3 has none, and does not say when its interval has passed: so we wait ourselves."""

        def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
            until = monotonic() + seconds
            try:
                wanted = next(gen)
                with DefaultSelector() as selector:
                    while True:
                        selector.register(self.pgconn.socket, wanted)
                        ready = selector.select(max(0, until - monotonic()))
                        selector.unregister(self.pgconn.socket)
                        if not ready:
                            raise self._give_up()
                        wanted = gen.send(ready[0][1])
            except StopIteration as stopped:
                return stopped.value

    has_timeout = "timeout" in inspect.signature(psycopg.Connection.wait).parameters
    return Waiting if has_timeout and hasattr(psycopg.errors, "_WaitTimeout") else WaitingOnce
