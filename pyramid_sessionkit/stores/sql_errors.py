"""What the errors of a database's driver say of the sessions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable

ROLLED_BACK = frozenset(("40001", "40P01", 1213, 1020))
"""Serialization failures and deadlocks: by SQLSTATE of PostgreSQL, by error number of MariaDB and MySQL."""

READ_ONLY = frozenset(("25006", 1290, 1792, 1836))

TIMED_OUT = frozenset(("57014", "55P03", 1969, 3024, 1205))
"""The server gave up: a statement took too long, or waited too long for a lock."""

SHUTDOWN = frozenset(("57P01", "57P02", "57P03", 1053))

UNKNOWN_PREPARED, STALE_PLAN = frozenset(("26000", "42P05")), "cached plan must not change result type"
"""What PostgreSQL says of prepared statements that it does not have, or has already; and of tables that changed."""

UNSUPPORTED_OPTIONS = "unsupported startup parameter"
"""What PgBouncer says of the options that PostgreSQL would take when it is connected to."""

POOLER = (
    "this looks like a pooler that lends connections for a transaction, such as PgBouncer: set "
    "sessionkit.sql.prepare = false"
)


class NoAnswer(StoreUnavailable):
    """It took too long. Several in a row mean that the database is away, see :mod:`.breaker`."""


class RolledBack(Exception):
    """The database undid the statement, so that it can be run again whatever it was."""


class Taken(StoreError):
    """A row with this key is there already, or a constraint of the application's own is not met."""


def translated(error: Exception, driver: Any, table: str) -> Exception:
    """What a driver's error says of the sessions in ``table``."""
    text = first_line(error)
    codes = codes_of(error)
    if codes & ROLLED_BACK:
        return RolledBack(text)
    if STALE_PLAN in text:
        return RolledBack(text)
    if codes & UNKNOWN_PREPARED:
        return StoreError(f"The sessions' database lost a prepared statement ({text}): {POOLER}")
    if codes & TIMED_OUT:
        return NoAnswer(f"The sessions' database gave up a statement: {text}")
    if codes & READ_ONLY:
        return StoreUnavailable(f"The sessions' database takes no writes for the moment: {text}")
    if isinstance(error, driver.IntegrityError):
        return Taken(text)
    if NO_COLUMN.search(text):
        return StoreError(older_layout(table, text))
    if NO_TABLE.search(text):
        return StoreError(
            f"The table {table} is missing ({text}): set sessionkit.sql.create_table = true to have it made, or add "
            "pyramid_sessionkit.stores.sql.sessions_table to your Alembic metadata"
        )
    if isinstance(error, driver.OperationalError):
        return StoreUnavailable(f"The sessions' database did not do what it was told: {text}{_advice(text)}")
    return StoreError(f"The sessions' database refused a statement: {text}")


def cannot_connect(error: Exception, late: bool, url: URL) -> StoreError:
    """What an error while connecting says; ``late``: it took so long that it was a time-out."""
    original = getattr(error, "orig", None) or error
    refused = f"The sessions' database cannot be used: {first_line(original)}: {POOLER}"
    if UNSUPPORTED_OPTIONS in str(original):
        return StoreError(f"{refused}, and leave options out of sessionkit.sql.url and PGOPTIONS")
    if codes_of(original) & UNKNOWN_PREPARED:
        return StoreError(refused)
    kind = NoAnswer if late else StoreUnavailable
    return kind(f"The sessions' database cannot be reached: {first_line(error)}{_missing_folder(url)}")


def _missing_folder(url: URL) -> str:
    if url.get_backend_name() != "sqlite" or (url.database or "").startswith("file:"):
        return ""
    folder = Path(url.database or "").absolute().parent
    return "" if folder.is_dir() else f": the folder {folder} of sessionkit.sql.url does not exist, make it"


def is_shutdown(error: Exception) -> bool:
    """Whether the server is about to close all connections."""
    return bool(codes_of(error) & SHUTDOWN)


def is_read_only(error: Exception) -> bool:
    return bool(codes_of(error) & READ_ONLY)


def is_stale(error: Exception) -> bool:
    """Whether what the connection has prepared is of no more use."""
    return bool(codes_of(error) & UNKNOWN_PREPARED) or STALE_PLAN in str(error)


def codes_of(error: Exception) -> set[Any]:
    """What the drivers call the error: those of PostgreSQL by SQLSTATE, each in its place; those of MariaDB by number.

    The dict is pg8000's.
    """
    first = error.args[0] if error.args else None
    number = first if isinstance(first, (int, str)) else None
    fields = first if isinstance(first, dict) else {}
    return {getattr(error, "sqlstate", None), getattr(error, "pgcode", None), fields.get("C"), number}


NO_COLUMN = re.compile(r"no such column|has no column|column .* does not exist|unknown column", re.IGNORECASE)
NO_TABLE = re.compile(r"no such table|does not exist|doesn't exist", re.IGNORECASE)
"""SQLite, PostgreSQL, and MariaDB or MySQL each have words of their own for it."""


def older_layout(table: str, found: str) -> str:
    """What is wrong with a table of another version of this package, and what to do about it."""
    return (
        f"The table {table} has the layout of an older version ({found}): replace it, which ends all sessions, with "
        f"DROP TABLE {table}, and have it made again by psessions create-table, sessionkit.sql.create_table = true or "
        "Alembic"
    )


def _advice(text: str) -> str:
    if "database is locked" not in text:
        return ""
    return (
        "; a SQLite file has one writer at a time: keep sessions in a file of their own, and end the transaction "
        "of a view before session.save()"
    )


def first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
