"""The SQL store in transactions of an application: each operation here has one of its own, which commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from zope.interface import implementer

from pyramid_sessionkit import ISessionStore, StoreError, StoreUnavailable, TransactionFailed
from pyramid_sessionkit.stores.after_fork import forget_after_fork
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, StoreConformance, make_record
from tests.servers.process import free_port


@implementer(ISessionStore)
class Committing:
    """A store each of whose operations is a transaction."""

    def __init__(self, url: str) -> None:
        self.own = SQLStore(create_session_engine(url))
        self.engine = create_engine(url, pool_size=20)
        forget_after_fork(self)

    def load(self, key: str, fresh: bool = False) -> Any:
        return self._in_transaction("load", key, fresh)

    def create(self, key: str, record: Any) -> Any:
        return self._in_transaction("create", key, record)

    def update(self, key: str, record: Any) -> Any:
        return self._in_transaction("update", key, record)

    def move(self, key: str, new_key: str, record: Any) -> Any:
        return self._in_transaction("move", key, new_key, record)

    def delete(self, key: str) -> bool:
        return bool(self._in_transaction("delete", key))

    def forget(self) -> None:
        self.engine.dispose(close=False)

    def _in_transaction(self, operation: str, *args: Any) -> Any:
        with Session(self.engine) as dbsession, dbsession.begin():
            return getattr(self.own.joined(dbsession), operation)(*args)


def opened(url: str) -> Iterator[Committing]:
    store = Committing(url)
    store.own.create_table()
    store.own.clear()
    yield store
    store.own.close()
    store.engine.dispose()


class TestSQLite(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Any) -> Iterator[Committing]:
        yield from opened(f"sqlite:///{tmp_path}/joined.sqlite")

    def unreachable(self) -> Committing:
        return Committing("sqlite:////no/such/folder/sessions.sqlite")


@pytest.mark.servers
class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def store(self, postgresql: Any) -> Iterator[Committing]:
        yield from opened(postgresql.url)

    def unreachable(self) -> Committing:
        return Committing(f"postgresql+psycopg://u@127.0.0.1:{free_port()}/db")


@pytest.mark.servers
class TestMariaDB(StoreConformance):
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
