from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import sqlalchemy
from pyramid.exceptions import ConfigurationError
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import unreadable
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.sql import SQLStore, from_settings, sessions_table
from pyramid_sessionkit.stores.sql_connections import Limits
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_statements import Statement
from pyramid_sessionkit.stores.sql_table import SessionStatements, row_values
from pyramid_sessionkit.testing.conformance import (
    KEY,
    OTHER_KEY,
    StoreConformance,
    expired_record,
    in_processes,
    make_record,
)
from tests.conftest import SECRET


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def store(self, sql_store: SQLStore) -> SQLStore:
        return sql_store

    def unreachable(self) -> SQLStore:
        return SQLStore(create_session_engine("sqlite:////no/such/folder/sessions.sqlite"))

    def damage(self, store: SQLStore, key: str) -> None:
        with store.engine.connect() as connection:
            connection.exec_driver_sql("UPDATE sessions SET data = 'text' WHERE session_key = ?", (key,))


def settings(**values: Any) -> Any:
    named = {f"sessionkit.sql.{name}": value for name, value in values.items()}
    return parse_settings({"sessionkit.secret": SECRET, "sessionkit.store": "sql", **named})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sessions.sqlite"


def test_readers_pass_any_number_of_writers_that_wait(url: str) -> None:
    """However few connections the settings allow, which are for servers."""
    store = SQLStore(create_session_engine(url), limits=Limits(pool_size=1))
    store.create_table()
    record = store.create(KEY, make_record())
    assert record
    connections = store._connections
    waiting = connections.take(monotonic())
    started = monotonic()
    assert store.load(KEY) == record
    assert monotonic() - started < 1
    connections.give_back(waiting)
    store.close()


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
    with pytest.raises(
        StoreError, match=r"sessions is missing.*sessionkit\.sql\.create_table = true.*sessions_table"
    ) as caught:
        getattr(store, operation)(*arguments.get(operation, (KEY,)))
    assert not isinstance(caught.value, StoreUnavailable)
    store.close()


class TestATableOfYesterday:
    LAYOUT = "session_key TEXT PRIMARY KEY, data BLOB, userid TEXT, expires BIGINT, version INTEGER NOT NULL"

    @pytest.fixture(autouse=True)
    def older(self, tmp_path: Path) -> None:
        execute(tmp_path, f"CREATE TABLE sessions ({self.LAYOUT})")

    @pytest.mark.parametrize("operation", ["load", "create", "update", "sessions_of"])
    def test_an_operation_says_how_to_replace_it(self, url: str, operation: str) -> None:
        store = SQLStore(create_session_engine(url))
        arguments = {"create": (KEY, make_record()), "update": (KEY, make_record(version=1))}
        with pytest.raises(StoreError, match=r"older version.*verifier.*DROP TABLE sessions.*create-table") as caught:
            getattr(store, operation)(*arguments.get(operation, (KEY,)))
        assert not isinstance(caught.value, StoreUnavailable)
        store.close()

    def test_start_up_says_so_too(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"older version.*verifier.*DROP TABLE sessions"):
            from_settings(settings(url=url, create_table=True))
        execute(tmp_path, "DROP TABLE sessions")
        store = from_settings(settings(url=url, create_table=True))
        assert store.create(KEY, make_record())
        store.close()

    def test_its_columns_are_named(self, url: str) -> None:
        store = SQLStore(create_session_engine(url))
        missing = store.missing_columns()
        assert missing[:3] == ["verifier", "salt", "replaced"]
        assert not {"session_key", "data", "userid", "expires", "version"} & set(missing)
        store.close()


def test_a_table_of_today_lacks_nothing(sql_store: SQLStore) -> None:
    assert sql_store.missing_columns() == []


def execute(folder: Path, statement: str, *values: Any) -> None:
    """As somebody else who can write to the file."""
    with sqlite3.connect(folder / "sessions.sqlite") as connection:
        connection.execute(statement, values)
    connection.close()


WRONG: dict[str, list[Any]] = {
    "data": ["text", None, 5, 1.5],
    "verifier": [b"blob", None],
    "salt": [b"blob", None],
    "replaced": ["text", b"blob", 1.5],
    "userid": [b"blob", None],
    "authenticated": ["text", b"blob", 1.5, None],
    "credentials": [b"blob"],
    "created": ["text", b"blob", 1.5, None],
    "renewed": ["text", b"blob", None],
    "timeout": ["text", b"blob"],
    "deadline": ["text", b"blob"],
    "persistent": ["text", b"blob", 2, None],
    "own_timeout": ["text", b"blob", 2, None],
    "version": ["text", b"blob", 1.5, None],
}


class TestDamage:
    """What is in a row that nobody of us wrote: SQLite takes anything for anything."""

    @pytest.fixture
    def store(self, sql_store: SQLStore, tmp_path: Path) -> SQLStore:
        columns = ", ".join(f"{column.name} {column.type}" for column in sessions_table(sqlalchemy.MetaData()).columns)
        execute(tmp_path, "DROP TABLE sessions")
        execute(tmp_path, f"CREATE TABLE sessions ({columns}, UNIQUE (session_key))")
        return sql_store

    @pytest.mark.parametrize(("column", "value"), [(column, value) for column in WRONG for value in WRONG[column]])
    def test_it_is_unreadable_and_stays(self, store: SQLStore, tmp_path: Path, column: str, value: Any) -> None:
        created = store.create(KEY, make_record(userid="ada"))
        other = store.create(OTHER_KEY, make_record(userid="ada"))
        assert created
        assert other
        execute(tmp_path, f"UPDATE sessions SET {column} = ? WHERE session_key = ?", value, KEY)
        damaged = store.load(KEY)
        assert damaged is not None
        assert damaged == unreadable(damaged.version)
        assert store.create(KEY, make_record()) is None
        assert store.sessions_of("ada") == [(OTHER_KEY, other)]
        # Lists of all do not read the contents.
        listed = [key for key, _ in store.live_sessions(9)]
        assert listed == [OTHER_KEY] or (column == "data" and set(listed) == {KEY, OTHER_KEY})
        assert OTHER_KEY in store.find_keys("", 9)
        assert store.count() + store.count(expired=True) in (1, 2)
        store.purge()
        if column == "version":
            assert store.update(KEY, damaged._replace(data=b"{}")) is None
        assert store.load(KEY) == damaged
        assert store.load(OTHER_KEY) == other
        assert store.delete(KEY, damaged) is (damaged.version is not None)
        assert store.delete(KEY) is (damaged.version is None)

    def test_text_that_is_none_breaks_no_list(self, store: SQLStore, tmp_path: Path) -> None:
        for key in (KEY, OTHER_KEY):
            store.create(key, make_record(userid="ada"))
        execute(tmp_path, "UPDATE sessions SET salt = CAST(x'ff' AS TEXT) WHERE session_key = ?", KEY)
        assert store.load(KEY) == unreadable(store.load(KEY).version)  # type: ignore[union-attr]
        assert [key for key, _ in store.live_sessions(9)] == [OTHER_KEY]
        assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY]

    @pytest.mark.parametrize("key", [None, b"blob"])
    def test_a_key_that_is_none_is_in_no_list(self, store: SQLStore, tmp_path: Path, key: Any) -> None:
        for name in (KEY, OTHER_KEY):
            store.create(name, make_record(userid="ada"))
        execute(tmp_path, "UPDATE sessions SET session_key = ? WHERE session_key = ?", key, KEY)
        assert [name for name, _ in store.live_sessions(9)] == [OTHER_KEY]
        assert [name for name, _ in store.sessions_of("ada")] == [OTHER_KEY]
        assert store.find_keys("", 9) == [OTHER_KEY]


class TestTheColumnForTheIndex:
    """``expires`` finds rows; the record's own times judge them."""

    def test_most_renewals_leave_it(self, sql_store: SQLStore) -> None:
        now = 1_700_000_000
        columns = {row_values(make_record(renewed=now + i, timeout=1200, deadline=None))["expires"] for i in range(601)}
        assert len(columns) == 2

    @pytest.mark.parametrize("timeout", [None, 1, 5, 8, 1200, 40 * 86400])
    @pytest.mark.parametrize("deadline", [None, 1_700_000_777])
    def test_it_is_never_earlier_and_not_much_later(self, timeout: int | None, deadline: int | None) -> None:
        record = make_record(renewed=1_699_999_999, timeout=timeout, deadline=deadline)
        column = row_values(record)["expires"]
        if record.expires is None:
            assert column is None
        else:
            timeout = timeout or 0
            assert 0 <= column - record.expires <= min(timeout // 2, max(timeout // 8, 600))

    @pytest.mark.parametrize("value", [None, 0, 5, 2**60, "text"])
    def test_it_decides_nothing(self, sql_store: SQLStore, tmp_path: Path, value: Any) -> None:
        live, over = make_record(userid="ada"), expired_record(userid="ada")
        created = sql_store.create(KEY, live)
        assert created
        sql_store.create(OTHER_KEY, over)
        execute(tmp_path, "UPDATE sessions SET expires = ?", value)
        assert sql_store.purge() in (0, 1)
        assert sql_store.load(KEY) == created
        assert sql_store.load(OTHER_KEY) is None
        assert [key for key, _ in sql_store.sessions_of("ada")] == [KEY]
        assert [key for key, _ in sql_store.live_sessions(9)] in ([KEY], [])
        assert sql_store.find_keys("", 9) == [KEY]
        assert sql_store.count() == 1
        assert sql_store.update(KEY, created) is not None


def test_a_list_of_all_reads_no_contents_and_sorts_nothing(sql_store: SQLStore) -> None:
    sql = SessionStatements(sessions_table(sqlalchemy.MetaData()))
    for statement in (sql.live_until, sql.live_for_ever):
        compiled = str(statement.compile(sql_store.engine, compile_kwargs={"render_postcompile": True}))
        assert "sessions.data" not in compiled
        with sql_store.engine.connect() as connection:
            values = (5,) * compiled.count("?")
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values).fetchall())
        assert "ix_sessions_expires" in plan
        assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("timeout", [None, 1200])
def test_damaged_rows_take_no_places_in_lists(sql_store: SQLStore, tmp_path: Path, timeout: int | None) -> None:
    for number in range(12):
        record = make_record(timeout=timeout, deadline=None)
        sql_store.create(f"{number:022}", record._replace(renewed=record.renewed + (12 - number) * 1000))
    intact = {f"{number:022}" for number in (9, 10, 11)}
    execute(tmp_path, "UPDATE sessions SET verifier = x'05' WHERE session_key < ?", f"{9:022}")
    for limit in (1, 2, 9):
        listed = [key for key, _ in sql_store.live_sessions(limit)]
        assert len(listed) == min(limit, 3)
        assert intact.issuperset(listed)
    execute(tmp_path, "UPDATE sessions SET verifier = x'05' WHERE session_key >= ?", f"{0:022}")
    assert sql_store.live_sessions(9) == []


def test_many_damaged_rows_keep_no_list_waiting(
    sql_store: SQLStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short list does not take as many statements as there are damaged rows."""
    for number in range(30):
        sql_store.create(f"{number:022}", make_record())
    execute(tmp_path, "UPDATE sessions SET verifier = x'05' WHERE session_key > ?", f"{0:022}")
    sent: list[Any] = []
    fetch_all = Statement.fetch_all
    monkeypatch.setattr(Statement, "fetch_all", lambda self, values: sent.append(values) or fetch_all(self, values))
    assert [key for key, _ in sql_store.live_sessions(1)] == [f"{0:022}"]
    assert len(sent) <= 4


def test_all_keys_are_read_in_batches(sql_store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyramid_sessionkit.stores.sql.KEYS_BATCH", 2)
    keys = [f"{number:022}" for number in range(5)]
    for key in keys:
        sql_store.create(key, make_record())
    assert list(sql_store.all_keys()) == keys
    reading = sql_store.all_keys()
    first = next(reading)
    sql_store.delete(keys[3])
    assert [first, *reading] == [*keys[:3], keys[4]]


def test_the_clock_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLStore(create_session_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing", 1))
    monkeypatch.setattr("pyramid_sessionkit.stores.sql.Statement", None)
    with pytest.raises(StoreUnavailable):
        store.clock()


def test_an_update_leaves_the_key_alone() -> None:
    statement = str(SessionStatements(sessions_table(sqlalchemy.MetaData())).update)
    assert "session_key" not in statement.partition(" WHERE ")[0]


def test_versions_begin_anywhere(sql_store: SQLStore) -> None:
    versions = []
    for _ in range(20):
        created = sql_store.create(KEY, make_record())
        assert created
        versions.append(created.version)
        sql_store.delete(KEY)
    assert len(set(versions)) == 20
    assert 2**40 < max(versions) <= 2**52


@pytest.mark.parametrize("version", [None, "text", 1.5, True])
def test_a_version_that_no_row_has_is_not_there(sql_store: SQLStore, version: Any) -> None:
    created = sql_store.create(KEY, make_record())
    assert created
    assert sql_store.update(KEY, created.versioned(version)) is None
    assert sql_store.delete(KEY, created.versioned(version)) is False
    assert sql_store.load(KEY) == created


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
    connection = _idle_connection(sql_store)
    in_processes(lambda _: _load_in_child(sql_store, connection), 1)
    assert _idle_connection(sql_store) is connection
    assert sql_store.load(KEY) is not None


def _load_in_child(store: SQLStore, parents: Any) -> None:
    assert store.load(KEY) is not None
    assert _idle_connection(store) is not parents


def _idle_connection(store: SQLStore) -> Any:
    kept = store._connections.take(monotonic())
    store._connections.give_back(kept)
    return kept.raw


def test_a_child_process_can_close_the_store(sql_store: SQLStore) -> None:
    connection = _idle_connection(sql_store)
    in_processes(lambda _: sql_store.close(), 1)
    assert _idle_connection(sql_store) is connection
    assert connection.cursor().execute("SELECT 1").fetchone() == (1,)
