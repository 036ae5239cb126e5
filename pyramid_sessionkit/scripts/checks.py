"""``psessions check``: what can be found out before a visitor does."""

from __future__ import annotations

from collections.abc import Container, Iterator
from time import time
from typing import Any

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.scripts.redis_checks import redis_checks
from pyramid_sessionkit.scripts.result import FAILED, OK, WARNING, Result
from pyramid_sessionkit.settings import Settings

CLOCK_TOLERANCE = 5
"""Seconds."""

FEW_CHARACTERS = 8
"""A random generator does not make secrets with fewer different ones."""

KNOWN_SECRETS = (b"for-development-only-and-known-to-everyone",)
POOLER = "connections are lent by a pooler such as PgBouncer"
NO_KEY = "0" * 22


def all_checks(settings: Settings, store: Any) -> tuple[list[Result], bool]:
    """Their results, and whether the store can be reached."""
    name = settings.store if isinstance(settings.store, str) else "a factory"
    results = [Result("settings", OK, f"all are valid; sessionkit.store = {name}")]
    try:
        results.extend(_store(settings, store))
        reachable = True
    except StoreUnavailable as error:
        results.append(Result("store", FAILED, " ".join(str(error).split())))
        reachable = False
    return [*results, *_secret(settings), _cookie(settings)], reachable


def _store(settings: Settings, store: Any) -> Iterator[Result]:
    sql = getattr(store, "sql", store)
    if not hasattr(sql, "has_table"):
        store.load(NO_KEY, True)
        yield _reached(store)
        if settings.store == "redis":
            yield from redis_checks(store.client)
        return
    there = sql.has_table()
    yield _reached(store)
    if hasattr(store, "cache"):
        yield _cache(store.cache.nodes)
    yield (
        _table(settings.sql.table, sql.engine)
        if there
        else Result(
            "table",
            FAILED,
            f"there is no table {settings.sql.table}: make it with psessions create-table or with Alembic",
        )
    )
    yield _clock(sql)
    if sql.engine.dialect.name == "postgresql" and sql.engine.dialect.driver == "psycopg":
        yield from _pooler(settings, sql.engine)


def _pooler(settings: Settings, engine: Any) -> Iterator[Result]:
    from sqlalchemy.exc import SQLAlchemyError

    from pyramid_sessionkit.stores.sql_pooler import is_pooled

    try:
        with engine.connect() as connection:
            found = is_pooled(connection.connection.driver_connection)
    except SQLAlchemyError as error:
        yield Result("pooler", WARNING, f"cannot find out whether there is one: {str(error).splitlines()[0]}")
        return
    if found and settings.sql.prepare:
        yield Result("pooler", WARNING, f"{POOLER}, so nothing is prepared: set sessionkit.sql.prepare = false")
    elif found:
        yield Result("pooler", OK, f"{POOLER}; sessionkit.sql.prepare = false, as it has to be")


def _reached(store: Any) -> Result:
    if getattr(store, "process_local", False):
        return Result("store", WARNING, "each process has sessions of its own, and a restart ends them")
    return Result("store", OK, "it answers")


def _cache(nodes: Any) -> Result:
    for key in {
        nodes.node_of(f"{number:064x}"): f"{number:064x}" for number in range(100 * len(nodes.servers))
    }.values():
        try:
            nodes.call(key, lambda client: client.version(), True)
        except StoreError as error:
            return Result("cache", WARNING, f"{error}; the database answers, slower")
    return Result("cache", OK, "memcached answers")


def _table(name: str, engine: Any) -> Result:
    from sqlalchemy import MetaData, inspect
    from sqlalchemy.exc import SQLAlchemyError

    from pyramid_sessionkit.stores.sql import SQLStore, sessions_table

    ours = sessions_table(MetaData(), name)
    try:
        missing = SQLStore(engine, name).missing_columns()
        inspector = inspect(engine)
        there = {column["name"]: column for column in inspector.get_columns(ours.name, schema=ours.schema)}
        primary = inspector.get_pk_constraint(ours.name, schema=ours.schema)["constrained_columns"]
        indexes = inspector.get_indexes(ours.name, schema=ours.schema)
    except (SQLAlchemyError, StoreError) as error:
        return Result("table", FAILED, f"{name} cannot be inspected: {str(error).splitlines()[0]}")
    if missing:
        return Result("table", FAILED, _older(name, missing, there))
    strange = [n for n, c in there.items() if n not in ours.columns and not c["nullable"] and c["default"] is None]
    if strange:
        return Result("table", FAILED, f"{name} wants values that no session has: {', '.join(strange)}")
    if primary != ["session_key"]:
        return Result("table", FAILED, f"session_key is not the primary key of {name}")
    indexed = {index["column_names"][0] for index in indexes if index["column_names"]}
    slow = [column for column in ("userid", "expires") if column not in indexed]
    if slow:
        return Result("table", WARNING, f"{name} has no index on {' and '.join(slow)}: lists or purging will be slow")
    return Result("table", OK, f"{name} has all columns")


def _older(name: str, missing: list[str], there: Container[str]) -> str:
    """What is wrong with a table of an older version, and the statement that helps."""
    absent = [column for column in missing if column not in there]
    lacks = f"lacks {', '.join(absent)}" if absent else f"has too small a type for {', '.join(missing)}"
    return (
        f"{name} {lacks}: it has the layout of an older version. Replace it, which ends all sessions: "
        f"DROP TABLE {name}, and then psessions create-table or Alembic"
    )


def _clock(sql: Any) -> Result:
    before = time()
    clock = sql.clock()
    if clock is None:
        return Result("clock", OK, "the database has none of its own")
    difference = clock - (before + time()) / 2
    if abs(difference) > CLOCK_TOLERANCE:
        way = "behind" if difference > 0 else "ahead of"
        return Result("clock", FAILED, f"this machine is {abs(difference):.0f} s {way} the database: set up NTP")
    return Result("clock", OK, f"this machine and the database agree to {CLOCK_TOLERANCE} s")


def _secret(settings: Settings) -> Iterator[Result]:
    fine = True
    for number, secret in enumerate(settings.secret, 1):
        which = "the secret" if len(settings.secret) == 1 else f"secret {number} of {len(settings.secret)}"
        if secret in KNOWN_SECRETS:
            fine = False
            yield Result("secret", WARNING, f"{which} is that of an example: whoever knows it can sign cookies")
        elif len(set(secret)) < FEW_CHARACTERS:
            fine = False
            yield Result(
                "secret", WARNING, f"{which} has only {len(set(secret))} different characters: make a random one"
            )
    if fine:
        yield Result("secret", OK, "long and varied enough")


def _cookie(settings: Settings) -> Result:
    cookie = settings.cookie
    worries = []
    if cookie.secure is False:
        worries.append("cookie_secure = false sends it in the clear")
    if not cookie.httponly:
        worries.append("cookie_httponly = false shows it to scripts")
    if cookie.samesite in ("None", "off"):
        worries.append(f"cookie_samesite = {cookie.samesite} lets other sites send requests with it")
    if worries:
        return Result("cookie", WARNING, "; ".join(worries))
    secure = "always over HTTPS" if cookie.always_secure else "over HTTPS where the request is"
    return Result("cookie", OK, f"{secure}, HttpOnly, SameSite {cookie.samesite}")
