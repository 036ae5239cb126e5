"""A pooler such as PgBouncer, between us and PostgreSQL.

It may lend us another connection of the server for each transaction. Drivers number the statements that they prepare,
so that the server's connection may know another client's statement by the number of ours, and run that one: to end a
session where we want to read one. So nothing is prepared where the server has another number for the connection than
we were given.
"""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


def leave_to_pooler(connection: Any) -> bool:
    """Prepare nothing on a connection of psycopg that is a pooler's; returns whether it is one.

    The server was not asked to give up by itself then either, see :mod:`.sql_timeouts`: a pooler ignores that.
    """
    if not is_pooled(connection):
        return False
    connection.prepare_threshold = None
    return True


def is_pooled(connection: Any) -> bool:
    """Whether the process that serves this connection of psycopg is another one than the pooler named."""
    [pid] = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    return bool(pid != connection.info.backend_pid)


def warn() -> None:
    log.warning(
        "The sessions' database is behind a pooler that may lend connections for a transaction, such as PgBouncer: "
        "statements are not prepared. Set sessionkit.sql.prepare = false"
    )
