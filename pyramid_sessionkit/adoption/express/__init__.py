"""The sessions of express-session, ready to be adopted."""

from pyramid_sessionkit.adoption.express.records import (
    CONNECT_PG_SIMPLE,
    CONNECT_SQLITE3,
    EXPRESS_MYSQL_SESSION,
    Records,
    RedisRecords,
    SQLRecords,
    Table,
)
from pyramid_sessionkit.adoption.express.sessions import ExpressSessions, passport_user

__all__ = [
    "CONNECT_PG_SIMPLE",
    "CONNECT_SQLITE3",
    "EXPRESS_MYSQL_SESSION",
    "ExpressSessions",
    "Records",
    "RedisRecords",
    "SQLRecords",
    "Table",
    "passport_user",
]
