"""A table that somebody locks for a while: VACUUM FULL, DDL, LOCK TABLES."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.operations.databases import Database
from tests.operations.site import Counting, Site

pytestmark = pytest.mark.servers

SECONDS = 3
"""How long the table is locked: several time-outs of the application, each of which is followed by another request."""

POOL = 8

ENDING = 2
"""A server's process needs a moment to end after its connection was closed."""


@pytest.mark.parametrize(
    ("database", "prepare"),
    [("postgresql", "true"), ("postgresql", "false"), ("mariadb", "true")],
    indirect=["database"],
)
def test_a_locked_table_does_not_pile_up_connections(
    database: Database, open_site: Callable[..., Site], prepare: str
) -> None:
    site = open_site(database.url, create_table="true", pool_size=str(POOL), prepare=prepare)
    most = 0
    refused = 0
    with Counting(site) as counting:
        with database.locked():
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                most = max(most, database.count())
                try:
                    database.connect().close()
                except database.errors:
                    refused += 1
                time.sleep(0.05)
            left = database.waiting()
        counting.go_on()
        after = database.waiting()
    print(f"most {most}, others refused {refused}, waiting at the end of the lock {left}, after it {after}; {counting}")
    assert counting.missing(site) == 0
    assert set(counting.answers) <= {200, 503}
    assert refused == 0
    assert most <= POOL + ENDING
    assert left <= 1 + ENDING
    assert after == 0
