"""pgbouncer in front of PostgreSQL: two connections to the server, which all of an application's share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.operator.databases import USER, url_of
from tests.operator.site import Counting, Site
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgreSQL

pytestmark = pytest.mark.servers

OpenSite = Callable[..., Site]
OpenPooler = Callable[..., PgBouncer]

CURE = "sessionkit.sql.prepare = false"


@pytest.fixture
def direct(postgresql: PostgreSQL, open_site: OpenSite) -> Site:
    """An application that goes round the pooler."""
    return open_site(url_of(postgresql.port), create_table="true")


@pytest.fixture
def open_pooler(postgresql: PostgreSQL) -> Iterator[OpenPooler]:
    poolers: list[PgBouncer] = []

    def open_(mode: str, **settings: object) -> PgBouncer:
        poolers.append(PgBouncer(postgresql.port, USER, mode, **settings).__enter__())
        return poolers[-1]

    yield open_
    for pooler in poolers:
        pooler.stop()


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_sessions_work_without_prepared_statements(
    direct: Site, open_pooler: OpenPooler, open_site: OpenSite, mode: str
) -> None:
    # In session mode a connection keeps its connection to the server.
    pooler = open_pooler(mode, size=15 if mode == "session" else 2)
    site = open_site(pooler.url, prepare="false")
    with Counting(site) as counting:
        counting.go_on(200)
    print(counting)
    assert counting.missing(direct) == 0
    assert set(counting.answers) == {200}


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("ignored", ["extra_float_digits", "extra_float_digits,options"])
def test_prepared_statements_are_refused_by_name(
    direct: Site, open_pooler: OpenPooler, open_site: OpenSite, mode: str, ignored: str
) -> None:
    """pgbouncer refuses our options when we connect, unless it was told to ignore them."""
    cookies = [direct.visitor() for _ in range(3)]
    site = open_site(open_pooler(mode, ignored=ignored).url)
    # Several connections of ours at once on two of the server's, as under load.
    with Counting(site, cookies) as counting:
        counting.go_on(12, status=503)
    print(counting)
    assert counting.reasons
    assert all(CURE in text and "missing" not in text for text in counting.reasons)
    assert counting.missing(direct) == 0
