"""pgbouncer in front of PostgreSQL: two connections to the server, which all of an application's share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

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
def test_a_pooler_that_refuses_our_options_is_named(
    direct: Site, open_pooler: OpenPooler, open_site: OpenSite, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """pgbouncer refuses options, unless it was told to ignore them."""
    cookie = direct.visitor()
    site = open_site(open_pooler(mode).url)
    answer = site.ask("/read", cookie)
    print(answer.status_int, answer.text)
    assert answer.status_int != 200
    assert CURE in answer.text
    assert "missing" not in answer.text
    assert CURE in caplog.text


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_ignores_our_options_is_found_out(
    direct: Site, open_pooler: OpenPooler, open_site: OpenSite, mode: str
) -> None:
    site = open_site(open_pooler(mode, ignored="extra_float_digits,options").url)
    with Counting(site) as counting:
        counting.go_on(200)
    print(counting)
    assert counting.missing(direct) == 0
    assert set(counting.answers) == {200}


def test_no_statement_is_taken_for_another(direct: Site, open_pooler: OpenPooler, open_site: OpenSite) -> None:
    """Drivers number what they prepare. On a connection of the server that is shared, the first of one client is also
    the first of another, who may have prepared something else: to end a session where the other wants to read one."""
    pooler = open_pooler("transaction", ignored="extra_float_digits,options")
    reader, ender = open_site(pooler.url), open_site(pooler.url)
    cookies = [direct.visitor() for _ in range(3)]
    with closing(pooler.client()) as first, closing(pooler.client()) as second:
        first.execute("BEGIN")  # has one connection of the server, until its transaction ends
        ender.store.delete("nobody")
        second.execute("BEGIN")  # has the other
        first.execute("ROLLBACK")
        reader.ask("/read", cookies[0])
        first.execute("BEGIN")
        second.execute("ROLLBACK")
        reader.ask("/read", cookies[1])
        first.execute("ROLLBACK")
    assert [direct.ask("/read", cookie).text for cookie in cookies] == ["1", "1", "1"]
