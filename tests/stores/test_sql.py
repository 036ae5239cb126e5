from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from pyramid.exceptions import ConfigurationError
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from pyramid_sessionkit import StoreError, StoreUnavailable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.sql import SQLStore, from_settings, sessions_table
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, StoreConformance, make_record
from tests.conftest import SECRET


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def store(self, sql_store: SQLStore) -> SQLStore:
        return sql_store

    def unreachable(self) -> SQLStore:
        return SQLStore(create_session_engine("sqlite:////no/such/folder/sessions.sqlite"))


def settings(**values: Any) -> Any:
    named = {f"sessionkit.sql.{name}": value for name, value in values.items()}
    return parse_settings({"sessionkit.secret": SECRET, "sessionkit.store": "sql", **named})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sessions.sqlite"


def test_another_store_on_the_same_file_sees_it(sql_store: SQLStore, url: str) -> None:
    created = sql_store.create(KEY, make_record(userid="ada"))
    store = SQLStore(create_session_engine(url))
    assert store.load(KEY) == created
    store.close()


def test_the_database_holds_no_id(sql_store: SQLStore, tmp_path: Path) -> None:
    sql_store.create(KEY, make_record())
    with sqlite3.connect(tmp_path / "sessions.sqlite") as connection:
        assert connection.execute("SELECT session_key FROM sessions").fetchall() == [(KEY,)]
    connection.close()


@pytest.mark.parametrize("operation", ["load", "create", "update", "delete", "count"])
def test_a_missing_table_says_how_to_make_it(url: str, operation: str) -> None:
    store = SQLStore(create_session_engine(url))
    arguments = {"count": (), "create": (KEY, make_record()), "update": (KEY, make_record(version=1))}
    with pytest.raises(StoreError, match=r"sessionkit\.sql\.create_table = true.*sessions_table") as caught:
        getattr(store, operation)(*arguments.get(operation, (KEY,)))
    assert not isinstance(caught.value, StoreUnavailable)
    store.close()


def test_a_table_of_yesterday_says_what_is_wrong(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sessions.sqlite") as connection:
        connection.execute("CREATE TABLE sessions (session_key TEXT, data BLOB)")
    connection.close()
    store = SQLStore(create_session_engine(url))
    with pytest.raises(StoreError, match=r"missing or has other columns .*userid"):
        store.load(KEY)
    store.close()


def test_create_table_is_a_setting(url: str) -> None:
    for _ in range(2):
        store = from_settings(settings(url=url, create_table=True, table="web_sessions"))
        assert store.has_table()
        store.delete(KEY)
        store.close()


def test_many_create_the_table_at_once(url: str) -> None:
    stores = [SQLStore(create_session_engine(url)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(SQLStore.create_table, stores))
    assert stores[0].has_table()
    for store in stores:
        store.close()


def test_a_locked_file_is_an_outage_that_says_why(url: str, tmp_path: Path, sql_store: SQLStore) -> None:
    store = SQLStore(create_session_engine(f"{url}?timeout=0.05"))
    other = sqlite3.connect(tmp_path / "sessions.sqlite")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"one writer at a time.*session\.save\(\)"):
        store.create(KEY, make_record())
    other.rollback()
    other.close()
    assert store.create(KEY, make_record())
    store.close()


def test_a_file_that_cannot_be_opened_is_an_outage() -> None:
    engine = create_session_engine("sqlite:////no/such/folder/sessions.sqlite")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        SQLStore(engine).load(KEY)


def test_a_table_cannot_be_made_in_a_database_that_is_down() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        SQLStore(create_session_engine("sqlite:////no/such/folder/sessions.sqlite")).create_table()


def test_a_move_to_a_taken_key_is_refused(sql_store: SQLStore) -> None:
    first = sql_store.create(KEY, make_record())
    assert first
    sql_store.create(OTHER_KEY, make_record(b"{}"))
    with pytest.raises(StoreError, match="taken"):
        sql_store.move(KEY, OTHER_KEY, first)
    assert sql_store.load(KEY) == first


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "in-memory SQLite"),
        ("sqlite:///:memory:", "in-memory SQLite"),
        ("nonsense", "not a SQLAlchemy URL"),
        ("nonsense://host/db", "does not know nonsense"),
        ("postgresql+pg8000://host/db", "needs the driver pg8000"),
    ],
)
def test_a_bad_url_names_the_setting(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"sessionkit\.sql\.url.*{message}"):
        create_session_engine(url)


def test_no_url_at_all() -> None:
    with pytest.raises(ConfigurationError, match=r"set sessionkit\.sql\.url or sqlalchemy\.url"):
        from_settings(settings())


def test_a_password_in_the_url_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_session_engine("nonsense://ada:topsecret@host/db")
    assert "topsecret" not in str(caught.value)


def test_the_table_lives_in_an_applications_metadata() -> None:
    metadata = sqlalchemy.MetaData()
    table = sessions_table(metadata, "web.sessions")
    assert metadata.tables["web.sessions"] is table


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (postgresql.dialect(), ["BYTEA", 'COLLATE "C"', "BIGINT"]),
        (mysql.dialect(), ["BLOB(16777215)", "COLLATE utf8mb4_bin", "BIGINT"]),
    ],
)
def test_other_databases_take_the_table(dialect: Any, expected: list[str]) -> None:
    ddl = str(CreateTable(sessions_table(sqlalchemy.MetaData())).compile(dialect=dialect))
    for words in expected:
        assert words in ddl


def test_a_child_process_opens_connections_of_its_own(sql_store: SQLStore) -> None:
    sql_store.create(KEY, make_record())
    sql_store.load(KEY)
    pid = multiprocessing.get_context("fork").Process(target=_load_in_child, args=(sql_store,))
    pid.start()
    pid.join(20)
    assert pid.exitcode == 0
    assert sql_store.load(KEY) is not None


def _load_in_child(store: SQLStore) -> None:
    assert not vars(store._connections._kept)
    assert store.load(KEY) is not None
