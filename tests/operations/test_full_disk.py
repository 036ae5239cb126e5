"""A disk that is full: 503, nothing is lost, and all is well once there is room.

A disk cannot be filled without mounting one. PostgreSQL has a limit to the size of its files instead, which ends in
the same error, and so has MariaDB; a full disk under their logs, after which they stop, is not simulated. SQLite has a
limit to the number of its pages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.operations.databases import url_of
from tests.operations.site import SECONDS, Counting, Site
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

pytestmark = pytest.mark.servers

OpenSite = Callable[..., Site]

WAL_SEGMENT = 1024 * 1024
"""The limit is above that, so that PostgreSQL's log goes on."""
PAGE = 8192

FULL = re.compile("could not extend file|is full")

TABLE = 20 * 1024 * 1024


def fill(site: Site, size: int) -> tuple[int, str]:
    """New sessions until one is refused for want of room."""
    deadline = time.monotonic() + SECONDS
    while not FULL.search((answer := site.ask(f"/fill?size={size}")).text):
        assert time.monotonic() < deadline, answer.text
    return answer.status_int, answer.text


def counted_while_full(
    site: Site, fill_disk: Callable[[], object], make_room: Callable[[], object], size: int = 1500
) -> None:
    """``size``: of a session's contents. PostgreSQL would compress those of 2,000 bytes and more."""
    with Counting(site) as counting:
        counting.go_on()
        fill_disk()
        status, text = fill(site, size)
        time.sleep(0.3)
        make_room()
        counting.go_on()
    print(f"a new session: {status} {text}; {counting}")
    assert status == 503, text
    assert set(counting.answers) <= {200, 503}
    assert counting.missing(site) == 0
    assert site.ask(f"/fill?size={size}").status_int == 200


def full_for(server: PostgreSQL) -> str:
    """A limit that no file has reached. It is in the middle of a page, so that what is written there is cut short:
    PostgreSQL takes that for a full disk. What is written behind it would be another error."""
    ((largest,),) = server.execute("SELECT max(pg_relation_size(oid)) FROM pg_class")
    assert isinstance(largest, int)
    return str(largest // PAGE * PAGE + WAL_SEGMENT + PAGE // 2)


def test_postgresql(postgresql: PostgreSQL, open_site: OpenSite) -> None:
    site = open_site(url_of(postgresql.port), create_table="true", table="on_a_full_disk")
    try:
        counted_while_full(
            site,
            lambda: postgresql.limit_files(full_for(postgresql)),
            lambda: postgresql.limit_files("unlimited"),
        )
    finally:
        postgresql.limit_files("unlimited")


@pytest.fixture
def small_mariadb(tmp_path: Path) -> Iterator[MariaDB]:
    """Whose files are all smaller than the limit, but for a table that grows."""
    options = ["--innodb-log-file-size=4M", "--innodb-data-file-path=ibdata1:12M:autoextend"]
    with MariaDB(tmp_path, *options) as server:
        yield server


def test_mariadb(small_mariadb: MariaDB, open_site: OpenSite) -> None:
    site = open_site(small_mariadb.url, create_table="true")
    counted_while_full(site, lambda: small_mariadb.limit_files(TABLE), small_mariadb.limit_files, size=40_000)


def test_sqlite(tmp_path: Path, open_site: OpenSite) -> None:
    site = open_site(f"sqlite:///{tmp_path}/sessions.sqlite", create_table="true")
    limits = [60]

    @event.listens_for(site.store.engine, "connect")
    def limit(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {limits[-1]}")

    def make_room() -> None:
        limits.append(1_000_000)
        site.store.close()

    counted_while_full(site, lambda: None, make_room)
