"""Tells PostgreSQL for whom a transaction runs, which the policies of :func:`owned_policies` go by."""

from __future__ import annotations

import re
from weakref import WeakKeyDictionary, WeakSet

from pyramid.exceptions import ConfigurationError
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import Transaction

from pyramid_sessionkit.owned.declaration import OWNED
from pyramid_sessionkit.owned.policies import check_role, require_postgresql

SET_USER = "SELECT set_config('sessionkit.userid', %s, true), set_config('sessionkit.unowned', %s, true)"
"""Both settings end with the transaction, so that poolers may share connections. The guard lets this statement pass."""


def set_user(connection: Connection, userid: str | None, unowned: bool, statement: str = "") -> None:
    """Tell the transaction of a connection for whom ``statement`` is about to run; None is nobody.

    Call it before every statement but ``SET_USER``. The database is asked only if the transaction is new, the user or
    ``unowned`` has changed, or a savepoint may have been rolled back, which undoes settings. Raises
    :exc:`~pyramid.exceptions.ConfigurationError` in autocommit, where a setting of the transaction has no effect, and,
    once for each engine, as :func:`check_role`.
    """
    transaction = connection.get_transaction()
    told = None if transaction is None else _TOLD.get(transaction)
    may_roll_back = "rollback" in statement.lower()
    if told == (userid, unowned) and not may_roll_back:
        return
    # A transaction that has failed accepts only a ROLLBACK, and SET TRANSACTION is accepted only as the first.
    if not touches_no_rows(statement):
        _tell(connection, userid, unowned)
    transaction = connection.get_transaction()
    if may_roll_back and transaction is not None:
        _TOLD.pop(transaction, None)


_TOLD: WeakKeyDictionary[Transaction, tuple[str | None, bool]] = WeakKeyDictionary()
"""The userid, and whether the guard is lifted, as each transaction knows them."""

_CHECKED: WeakSet[Engine] = WeakSet()
_TOUCHES_NO_ROWS = re.compile(r"\s*(ROLLBACK|SET\s+TRANSACTION|SAVEPOINT|RELEASE)\b[^;]*", re.IGNORECASE)


def touches_no_rows(statement: str) -> bool:
    """Then nobody needs to know the user. No query could find them while a savepoint begins or ends."""
    return _TOUCHES_NO_ROWS.fullmatch(statement) is not None


def _tell(connection: Connection, userid: str | None, unowned: bool) -> None:
    require_postgresql(connection)
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise ConfigurationError(
            "A connection in autocommit has no transaction that could know its user: use another isolation level "
            "than AUTOCOMMIT for guarded sessions"
        )
    # Not by a cursor of the driver: SQLAlchemy finds out here that a pooled connection was lost. one() makes it run
    # even if the connection streams its results.
    connection.exec_driver_sql(SET_USER, (userid or "", "on" if unowned else "")).one()
    if connection.engine not in _CHECKED:
        check_role(connection, OWNED)
        _CHECKED.add(connection.engine)
    transaction = connection.get_transaction()
    assert transaction is not None
    _TOLD[transaction] = (userid, unowned)
