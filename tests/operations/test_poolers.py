"""pgbouncer in front of PostgreSQL: two connections to the server, which all of an application's share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from psycopg import Connection
from pyramid.interfaces import ISessionFactory

from pyramid_sessionkit import StoreError
from pyramid_sessionkit.scripts.checks import all_checks
from pyramid_sessionkit.scripts.result import OK, WARNING, Result
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from tests.operations.databases import USER, PostgreSQLDatabase, url_of
from tests.operations.site import SECONDS, Counting, Site
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
def test_a_pooler_that_refuses_our_options_is_named(open_pooler: OpenPooler, open_site: OpenSite, mode: str) -> None:
    """pgbouncer refuses options, unless it was told to ignore them."""
    with pytest.raises(StoreError) as refused:
        open_site(open_pooler(mode).url)
    print(refused.value)
    assert CURE in str(refused.value)
    assert "missing" not in str(refused.value)


def test_options_of_the_url_are_named_too(open_pooler: OpenPooler, open_site: OpenSite) -> None:
    """To whom has the setting already, it alone would say nothing."""
    with pytest.raises(StoreError, match=r"options out of sessionkit\.sql\.url"):
        open_site(f"{open_pooler('transaction').url}?options=-c%20statement_timeout%3D2000", prepare="false")


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_ignores_our_options_is_found_out(
    direct: Site, open_pooler: OpenPooler, open_site: OpenSite, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    site = open_site(open_pooler(mode, ignored="extra_float_digits,options").url)
    with Counting(site) as counting:
        counting.go_on(200)
    print(counting)
    assert caplog.text.count(CURE) == 1
    assert counting.missing(direct) == 0
    assert set(counting.answers) == {200}


@pytest.mark.parametrize(("prepare", "status"), [("true", WARNING), ("false", OK)])
def test_psessions_check_names_a_pooler(
    direct: Site, open_pooler: OpenPooler, open_site: OpenSite, prepare: str, status: str
) -> None:
    pooler = open_pooler("transaction", ignored="extra_float_digits,options")
    found = [result for result in checked(open_site(pooler.url, prepare=prepare)) if result.check == "pooler"]
    assert [result.status for result in found] == [status]
    assert CURE in found[0].message
    assert "pooler" not in {result.check for result in checked(direct)}


def checked(site: Site) -> list[Result]:
    persistence = site.app.registry.getUtility(ISessionFactory).persistence
    results, reachable = all_checks(persistence.settings, persistence.store)
    assert reachable
    return results


def test_a_locked_table_leaves_nothing_waiting_behind_a_pooler(
    postgresql: PostgreSQL, direct: Site, open_pooler: OpenPooler, open_site: OpenSite
) -> None:
    database = PostgreSQLDatabase(postgresql)
    site = open_site(open_pooler("transaction").url, prepare="false")
    cookie = site.visitor()
    with database.locked():
        assert site.ask("/count", cookie).status_int == 503
        deadline = time.monotonic() + SECONDS
        while database.waiting():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert site.ask("/count", cookie).status_int == 200
    assert direct.ask("/read", cookie).text == "2"


def test_no_statement_is_taken_for_another(direct: Site, open_pooler: OpenPooler, open_site: OpenSite) -> None:
    """Drivers number what they prepare. On a connection of the server that is shared, the first of one client is also
    the first of another, who may have prepared something else: to end a session where the other wants to read one."""
    pooler = open_pooler("transaction", ignored="extra_float_digits,options")
    reader, ender = (SQLStore(create_session_engine(pooler.url)) for _ in range(2))
    for _ in range(2):
        direct.visitor()
    keys = list(direct.store.all_keys())
    with closing(pooler.client()) as first, closing(pooler.client()) as second:
        for store in reader, ender:
            store.load("nobody")  # so that SQLAlchemy has asked what it asks at first
            store.close()
            forget_prepared(first, second)
        first.execute("BEGIN")  # has one connection of the server, until its transaction ends
        ender.delete("nobody")
        second.execute("BEGIN")  # has the other
        first.execute("ROLLBACK")
        reader.load(keys[0])
        first.execute("BEGIN")
        second.execute("ROLLBACK")
        with suppress(StoreError):
            reader.load(keys[1])
        first.execute("ROLLBACK")
    reader.close()
    ender.close()
    assert list(direct.store.all_keys()) == keys


def forget_prepared(*clients: Connection[Any]) -> None:
    """What applications prepared while they started, on both connections of the server."""
    for statement in "BEGIN", "DEALLOCATE ALL", "ROLLBACK":
        for client in clients:
            client.execute(statement)
