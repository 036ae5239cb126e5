"""Our stores, and many sessions in them, quickly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from secrets import randbits
from time import time
from typing import Any

from benchmarks.compare.contents import CONTENTS
from benchmarks.compare.pyramid_apps import our_settings
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores import create_store

BATCH = 5000
ADDED = 1000
"""Bytes that the larger contents have more."""


def open_store(addresses: dict[str, str], name: str, suffix: str) -> Any:
    """One of ours; with a suffix, beside others of its kind in a table or under a prefix of its own."""
    settings = our_settings(addresses, name)
    if "sql.table" in settings:
        settings["sql.table"] += suffix
    if "memcached.prefix" in settings:
        settings["memcached.prefix"] += suffix
    return create_store(parse_settings({f"sessionkit.{key}": value for key, value in settings.items()}), {})


def session_key(number: int) -> str:
    """22 characters, in no order: as those of an application."""
    return sha256(b"%d" % number).hexdigest()[:22]


def contents(extra: int) -> bytes:
    values = {**CONTENTS, "extra": "x" * (extra - 11)} if extra else CONTENTS
    return json.dumps(values, separators=(",", ":")).encode()


def make_record(number: int, data: bytes, ago: int = 0) -> Record:
    """A record as a login leaves it, nothing of it shared with others'; ``ago``: seconds since it was renewed."""
    now = int(time()) - ago
    verifier = sha256(b"verifier %d" % number).hexdigest()
    userid = f"user-{number % 100_000}"
    times = {"created": now, "renewed": now, "timeout": 1200, "deadline": now + 43200, "persistent": False}
    return Record(
        bytes(bytearray(data)),
        verifier,
        verifier[:16],
        None,
        userid,
        now * 1_000_000 + number % 1_000_000,
        None,
        **times,
    )


def fill(store: Any, count: int, extra: int = 0, ago: int = 0) -> None:
    data = contents(extra)
    if not hasattr(store, "engine"):
        for number in range(count):
            store.create(session_key(number), make_record(number, data, ago))
        return
    from sqlalchemy import insert

    rows = _rows(store, count, data, ago)
    with store.engine.connect() as connection:
        while batch := list(islice(rows, BATCH)):
            # The engine commits each statement by itself, and SQLite and PostgreSQL have one for each row.
            connection.exec_driver_sql("BEGIN")
            connection.execute(insert(store._table), batch)
            connection.exec_driver_sql("COMMIT")


def _rows(store: Any, count: int, data: bytes, ago: int) -> Iterator[dict[str, Any]]:
    from pyramid_sessionkit.stores.sql_table import row_values

    for number in range(count):
        record = make_record(number, data, ago).versioned(randbits(40))
        yield {"session_key": session_key(number), **row_values(record)}
