"""A table or a row that somebody else has locked: the server gives up before we do, and nothing is left waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy import create_engine

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_connections import Limits
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_timeouts import _impatient_connection
from pyramid_sessionkit.testing.conformance import KEY, make_record
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import free_port
from tests.stores.emptying import make_empty

pytestmark = pytest.mark.servers

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


# Servers give up a fifth of it before we do. A busy machine may need most of a second to say so.
ENOUGH = 4


def open_store(url: str, timeout: int = 1, **options: Any) -> SQLStore:
    store = SQLStore(create_session_engine(url, timeout, **options), limits=Limits(timeout=timeout))
    make_empty(store)
    return store


@contextmanager
def locked(server: PostgreSQL) -> Iterator[None]:
    with psycopg.connect(host="127.0.0.1", port=server.port, user="postgres") as holder:
        holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        yield
        holder.rollback()


def waiting(server: PostgreSQL, until_none: bool) -> int:
    """How many server processes wait for a lock; a cancelled one may need a moment to end."""
    stop = time.monotonic() + 5
    while (count := server.execute(WAITING)[0][0]) and until_none and time.monotonic() < stop:
        time.sleep(0.02)
    return int(str(count))


def test_postgresql_gives_up_and_keeps_the_connection(postgresql: PostgreSQL) -> None:
    store = open_store(postgresql.url, ENOUGH)
    record = store.create(KEY, make_record())
    assert record
    (kept,) = store._connections._idle
    raw = kept.raw
    with locked(postgresql):
        with pytest.raises(StoreUnavailable, match=r"gave up a statement.*statement timeout"):
            store.load(KEY)
        assert waiting(postgresql, until_none=False) == 0
    assert store.load(KEY) == record
    assert kept.raw is raw
    store.close()


def test_behind_a_pooler_we_ask_it_to(postgresql: PostgreSQL) -> None:
    store = open_store(postgresql.url, prepare=False)
    record = store.create(KEY, make_record())
    with locked(postgresql):
        with pytest.raises(StoreUnavailable, match="lost before it answered: no answer within"):
            store.load(KEY)
        assert waiting(postgresql, until_none=True) == 0
    assert store.load(KEY) == record
    store.close()


def test_behind_a_pooler_nothing_is_prepared(postgresql: PostgreSQL) -> None:
    for prepare in (True, False):
        store = open_store(postgresql.url, prepare=prepare)
        store.create(KEY, make_record())
        for _ in range(9):
            assert store.load(KEY)
        kept = store._connections.take(time.monotonic())
        prepared = kept.raw.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False).fetchone()
        limit = kept.raw.execute("SHOW statement_timeout", prepare=False).fetchone()
        store._connections.give_back(kept)
        assert (prepared[0] > 0) is prepare
        assert limit == ("800ms" if prepare else "0",)
        store.close()


def test_a_connection_begins_no_transaction(postgresql: PostgreSQL) -> None:
    """A pooler that lends connections for a statement refuses any."""
    store = SQLStore(create_session_engine(postgresql.url, prepare=False))
    sent: list[str] = []
    original = psycopg.Connection.wait

    def wait(self: Any, gen: Any, *arguments: Any, **options: Any) -> Any:
        answer = original(self, gen, *arguments, **options)
        assert self.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        sent.append("answered")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "wait", wait)
        store.create_table()
        store.create(KEY, make_record())
        store.load(KEY)
        store.clear()
    assert len(sent) > 4
    store.close()


@pytest.mark.parametrize("kind", ["Waiting", "WaitingOnce"])
def test_a_frozen_server_is_given_up_with_each_psycopg(kind: str, postgresql: PostgreSQL) -> None:
    """psycopg 3.3 has a time-out of its own; older ones do not."""
    if kind == "Waiting" and not hasattr(psycopg.errors, "_WaitTimeout"):
        pytest.skip("this psycopg has no time-out of its own")
    made = _impatient_connection(1, 0.2)
    classes = {cls.__name__: cls for cls in made.__mro__[1].__subclasses__()}
    with classes[kind].connect(host="127.0.0.1", port=postgresql.port, user="postgres") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="no answer within 1 seconds"):
            connection.execute("SELECT pg_sleep(60)")
        assert time.monotonic() - started < 10
        assert connection.closed


@pytest.mark.parametrize(("timeout", "limits"), [(1, [1, 1, 0.8]), (4, [3, 3, 3.2])])
def test_mariadb_is_told_how_long_it_may_take(mariadb: MariaDB, timeout: int, limits: list[float]) -> None:
    store = open_store(mariadb.url, timeout)
    (kept,) = store._connections._idle
    with kept.raw.cursor() as cursor:
        cursor.execute("SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@max_statement_time")
        assert [float(value) for value in cursor.fetchone()] == limits
    store.close()


def test_mariadb_gives_up_and_keeps_the_connection(mariadb: MariaDB) -> None:
    store = open_store(mariadb.url, ENOUGH)
    record = store.create(KEY, make_record())
    assert record
    (kept,) = store._connections._idle
    raw = kept.raw
    holder = pymysql.connect(host="127.0.0.1", port=mariadb.port, user="test", password="test", database="test")
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT * FROM sessions FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="gave up a statement"):
            store.update(KEY, record)
        assert kept.raw is raw
    finally:
        holder.rollback()
        holder.close()
    assert store.update(KEY, record)
    store.close()


def test_of_several_hosts_the_one_that_writes_is_found(postgresql: PostgreSQL) -> None:
    store = open_store(
        f"postgresql+psycopg://postgres@/postgres?host=127.0.0.1:{free_port()}&host=127.0.0.1:{postgresql.port}"
        "&target_session_attrs=read-write"
    )
    assert store.create(KEY, make_record())
    store.close()


def test_a_column_that_changed_its_type_is_read_again(postgresql: PostgreSQL) -> None:
    """Prepared statements were planned for the type of before."""
    store = open_store(postgresql.url)
    record = store.create(KEY, make_record(userid="ada"))
    for _ in range(3):
        assert store.load(KEY) == record
    postgresql.execute("ALTER TABLE sessions ALTER COLUMN userid TYPE varchar(200)")
    postgresql.execute('ALTER TABLE sessions ALTER COLUMN userid TYPE text COLLATE "C"')
    assert store.load(KEY) == record
    postgresql.execute("DROP TABLE sessions")
    store.close()


def test_cursors_of_an_engine_of_ones_own(postgresql: PostgreSQL) -> None:
    engine = create_engine(postgresql.url, connect_args={"cursor_factory": psycopg.ClientCursor})
    store = SQLStore(engine)
    store.create_table()
    store.clear()
    created = store.create(KEY, make_record(userid="ada"))
    assert created is not None
    assert store.load(KEY) == created
    store.clear()
    store.close()
