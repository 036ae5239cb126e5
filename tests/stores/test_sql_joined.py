"""The SQL store in transactions of an application: each operation here has one of its own, which commits."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from zope.interface import implementer

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable, TransactionFailed
from pyramid_sessionkit.interfaces import ISessionStore, unreadable
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, StoreConformance, make_record
from tests.servers.process import free_port
from tests.stores.emptying import make_empty


@implementer(ISessionStore)
class Committing:
    """A store each of whose operations is a transaction."""

    def __init__(self, url: str) -> None:
        self.own = SQLStore(create_session_engine(url))
        self.engine = create_engine(url, pool_size=20)
        self._pid = os.getpid()

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self._in_transaction("load", key, fresh, at)

    def create(self, key: str, record: Any) -> Any:
        return self._in_transaction("create", key, record)

    def update(self, key: str, record: Any) -> Any:
        return self._in_transaction("update", key, record)

    def delete(self, key: str, record: Any = None) -> bool:
        return bool(self._in_transaction("delete", key, record))

    def _in_transaction(self, operation: str, *args: Any) -> Any:
        if self._pid != os.getpid():
            # In this order: another thread of this process must not find the parent's connections.
            self.engine.dispose(close=False)
            self._pid = os.getpid()
        with Session(self.engine) as dbsession, dbsession.begin():
            return getattr(self.own.joined(dbsession), operation)(*args)


def opened(url: str) -> Iterator[Committing]:
    store = Committing(url)
    make_empty(store.own)
    yield store
    store.own.close()
    store.engine.dispose()


class TestSQLite(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Any) -> Iterator[Committing]:
        yield from opened(f"sqlite:///{tmp_path}/joined.sqlite")

    def unreachable(self) -> Committing:
        return Committing("sqlite:////no/such/folder/sessions.sqlite")

    def damage(self, store: Committing, key: str) -> None:
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE sessions SET persistent = 'text' WHERE session_key = :key"), {"key": key})


@pytest.mark.servers
class TestPostgreSQL(StoreConformance):
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; the statements are those of SQLStore

    @pytest.fixture
    def store(self, postgresql: Any) -> Iterator[Committing]:
        yield from opened(postgresql.url)

    def unreachable(self) -> Committing:
        return Committing(f"postgresql+psycopg://u@127.0.0.1:{free_port()}/db")


@pytest.mark.servers
class TestMariaDB(StoreConformance):
    test_it_expires_in_time = None  # type: ignore[assignment]  # it waits for seconds; the statements are those of SQLStore

    @pytest.fixture
    def store(self, mariadb: Any) -> Iterator[Committing]:
        yield from opened(mariadb.url)

    def unreachable(self) -> Committing:
        return Committing(f"mariadb+pymysql://u@127.0.0.1:{free_port()}/db")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.servers),
        pytest.param("mariadb", marks=pytest.mark.servers),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Committing]:
    if request.param == "sqlite":
        yield from opened(f"sqlite:///{tmp_path}/joined.sqlite")
    else:
        yield from opened(request.getfixturevalue(request.param).url)


class TestInOneTransaction:
    def test_it_sees_what_it_did_and_nobody_else_does(self, store: Committing) -> None:
        with Session(store.engine) as dbsession:
            joined = store.own.joined(dbsession)
            assert joined.create(KEY, make_record(userid="ada")) is not None
            assert joined.load(KEY) is not None
            assert [key for key, _ in joined.sessions_of("ada")] == [KEY]
            assert store.own.load(KEY) is None
            dbsession.rollback()
        assert store.own.load(KEY) is None

    def test_an_ending_rolls_back(self, store: Committing) -> None:
        store.create(KEY, make_record())
        with Session(store.engine) as dbsession:
            joined = store.own.joined(dbsession)
            assert joined.delete(KEY)
            assert joined.load(KEY) is None
            dbsession.rollback()
        assert store.own.load(KEY) is not None

    def test_a_key_that_is_taken_costs_no_transaction(self, store: Committing) -> None:
        store.create(KEY, make_record())
        with Session(store.engine) as dbsession:
            joined = store.own.joined(dbsession)
            assert joined.create(KEY, make_record()) is None
            assert joined.create(OTHER_KEY, make_record()) is not None
            dbsession.commit()
        assert store.own.load(OTHER_KEY) is not None

    def test_a_fresh_load_sees_what_was_committed_since(self, store: Committing) -> None:
        created = store.own.create(KEY, make_record())
        assert created is not None
        with Session(store.engine) as dbsession:
            joined = store.own.joined(dbsession)
            assert joined.load(KEY) == created
            dbsession.execute(text("SELECT 1"))
            moved = store.own.update(KEY, created)
            assert moved is not None
            assert joined.load(KEY, True) == moved

    def test_a_version_is_deleted(self, store: Committing) -> None:
        created = store.own.create(KEY, make_record())
        other = store.own.create(OTHER_KEY, make_record())
        assert created is not None
        assert other is not None
        changed = store.own.update(OTHER_KEY, other)
        with Session(store.engine) as dbsession:
            joined = store.own.joined(dbsession)
            assert joined.delete(KEY, created) is True
            assert joined.delete(OTHER_KEY, other) is False
            dbsession.commit()
        assert store.own.load(KEY) is None
        assert store.own.load(OTHER_KEY) == changed

    def test_a_version_that_no_row_has_is_not_there(self, store: Committing) -> None:
        created = store.own.create(KEY, make_record())
        assert created is not None
        with Session(store.engine) as dbsession:
            joined = store.own.joined(dbsession)
            assert joined.update(KEY, created.versioned(None)) is None
            assert joined.delete(KEY, created.versioned(None)) is False
            dbsession.commit()
        assert store.own.load(KEY) == created

    def test_damaged_records_are_in_no_list(self, store: Committing) -> None:
        for key in (KEY, OTHER_KEY):
            store.own.create(key, make_record(userid="ada"))
        with Session(store.engine) as dbsession:
            dbsession.execute(text("UPDATE sessions SET authenticated = NULL WHERE session_key = :key"), {"key": KEY})
            joined = store.own.joined(dbsession)
            damaged = joined.load(KEY)
            assert damaged is not None
            assert damaged == unreadable(damaged.version)
            assert [key for key, _ in joined.sessions_of("ada")] == [OTHER_KEY]

    def test_a_scoped_session_will_do(self, store: Committing) -> None:
        dbsession = scoped_session(sessionmaker(store.engine))
        assert store.own.joined(dbsession).create(KEY, make_record()) is not None
        dbsession.commit()
        dbsession.remove()
        assert store.own.load(KEY) is not None

    def test_a_missing_table_says_how_to_make_it(self, tmp_path: Any) -> None:
        store = Committing(f"sqlite:///{tmp_path}/empty.sqlite")
        with pytest.raises(StoreError, match=r"sessionkit\.sql\.create_table = true") as refused:
            store.load(KEY)
        assert not isinstance(refused.value, StoreUnavailable)
        with Session(store.engine) as dbsession, dbsession.begin():
            dbsession.execute(text("CREATE TABLE sessions (session_key TEXT, data BLOB)"))
        with pytest.raises(StoreError, match=r"older version.*DROP TABLE sessions"):
            store.load(KEY)
        store.engine.dispose()

    @pytest.mark.servers
    def test_after_a_failed_statement_it_says_so(self, postgresql: Any) -> None:
        for store in opened(postgresql.url):
            with Session(store.engine) as dbsession:
                with pytest.raises(Exception, match="nowhere"):
                    dbsession.execute(text("SELECT * FROM nowhere"))
                with pytest.raises(TransactionFailed, match=r"begin_nested\(\)"):
                    store.own.joined(dbsession).create(KEY, make_record())

    def test_a_database_for_each_table(self, tmp_path: Any) -> None:
        for store in opened(f"sqlite:///{tmp_path}/sessions.sqlite"):
            with Session(binds={store.own._table: store.engine}) as dbsession:
                assert store.own.joined(dbsession).create(KEY, make_record()) is not None
                dbsession.commit()
            assert store.own.load(KEY) is not None


def test_a_pooler_in_front_of_the_applications_database_is_named(tmp_path: Any) -> None:
    """Ours is another engine: its setting would not help."""
    store = Committing(f"sqlite:///{tmp_path}/joined.sqlite")
    refused = sqlite3.OperationalError("prepared statement does not exist")
    refused.sqlstate = "26000"  # type: ignore[attr-defined]
    with Session(store.engine) as dbsession:
        meaning = store.own.joined(dbsession)._translated(DBAPIError("SELECT", {}, refused))
    assert type(meaning) is StoreError
    assert "prepare_threshold" in str(meaning)
    assert "sessionkit" not in str(meaning)
    store.engine.dispose()
