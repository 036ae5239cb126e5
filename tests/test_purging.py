"""What subscribers hear of the sessions that a purge removes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator

from pyramid_sessionkit import LoggedIn, Record, SessionEnded, SessionEvent, get_sessions
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.testing.conformance import KEY, expired_record, make_record, numbered
from tests.sealing.site import KEY as SEAL_KEY

MARK = "adopted-" + "m" * 14


@pytest.fixture
def sessions_of(make_app: Any) -> Callable[..., Any]:
    """All sessions of an application on this store, whose subscriber, if there is one, adds to ``told``."""

    def make(store: Any, told: list[Any], subscribes: type = SessionEvent, **settings: Any) -> Any:
        def configure(config: Configurator) -> None:
            config.add_subscriber(told.append, subscribes)

        app = make_app({}, configure=configure, **{"sessionkit.store": lambda _: store}, **settings)
        return get_sessions(app.app.registry)

    return make


@pytest.mark.parametrize("subscribes", [SessionEvent, SessionEnded])
def test_each_session_that_is_purged_is_told(any_store: Any, sessions_of: Any, subscribes: type) -> None:
    told: list[Any] = []
    sessions = sessions_of(any_store, told, subscribes)
    any_store.create(numbered(1), expired_record(userid="ada", authenticated=5))
    any_store.create(numbered(2), expired_record())
    any_store.create(MARK, expired_record())
    any_store.create(KEY, make_record(userid="ada"))
    assert sessions.purge() == 3
    assert sorted(told, key=lambda event: event.key) == [
        SessionEnded(numbered(1), "ada", "expired"),
        SessionEnded(numbered(2), None, "expired"),
    ]
    assert sessions.purge() == 0
    assert any_store.load(MARK, True, 0) is None


def test_it_is_in_the_security_log_too(sessions_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.create(numbered(1), expired_record(userid="ada", authenticated=5))
    sessions_of(store, []).purge()
    lines = [record.getMessage() for record in caplog.records if record.name == "pyramid_sessionkit.security"]
    assert lines == [f"event=SessionEnded key={numbered(1)} userid=ada reason=expired"]


def test_where_nobody_listens_a_purge_tells_nothing(sessions_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(MemoryStore, "purge", lambda self, limit, tell=None: given.append((limit, tell)) or 0)
    sessions_of(MemoryStore(), [], LoggedIn).purge(7)
    assert given == [(7, None)]


def test_a_subscriber_that_fails_stops_no_purge(sessions_of: Any) -> None:
    class Full(list[Any]):
        def append(self, event: Any) -> None:
            raise RuntimeError("a subscriber of the application")

    store = MemoryStore()
    for number in range(3):
        store.create(numbered(number), expired_record())
    assert sessions_of(store, Full()).purge() == 3


def test_a_store_of_yesterday_is_purged_all_the_same(sessions_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    class StoreOfYesterday(MemoryStore):
        def purge(self, limit: int | None = None) -> int:  # type: ignore[override]
            return super().purge(limit)

    told: list[Any] = []
    for settings in ({}, {"seal_key": SEAL_KEY}):
        store = StoreOfYesterday()
        for number in range(3):
            store.create(numbered(number), expired_record())
        sessions = sessions_of(store, told, **settings)
        assert (sessions.purge(2), sessions.purge()) == (2, 1)
    assert told == []
    assert caplog.text.count("StoreOfYesterday.purge() cannot say which sessions it removed") == 1


def test_whose_a_sealed_session_was_is_told_if_it_opens(sessions_of: Any, sql_store: SQLStore) -> None:
    told: list[Any] = []
    sessions = sessions_of(sql_store, told, seal_key=SEAL_KEY)
    for number in (1, 2):
        sessions.store.create(numbered(number), expired_record(userid="ada", authenticated=5))
    with sql_store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sessions SET userid = 'eve' WHERE session_key = ?", (numbered(2),))
    assert sessions.purge() == 2
    assert told == [SessionEnded(numbered(1), "ada", "expired"), SessionEnded(numbered(2), None, "expired")]


@pytest.mark.parametrize(
    "what", ["version = NULL", "version = 'text'", "data = 5", "userid = X'00'", "session_key = X'2122'"]
)
def test_a_damaged_row_stops_no_purge(sessions_of: Any, sql_store: SQLStore, what: str) -> None:
    told: list[Any] = []
    sessions = sessions_of(sql_store, told)
    with sql_store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sessions")
        names = ", ".join(("session_key", *Record._fields, "expires"))
        connection.exec_driver_sql(f"CREATE TABLE sessions ({names})")
    for number in (1, 2):
        sql_store.create(numbered(number), expired_record())
    with sql_store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE sessions SET {what} WHERE session_key = ?", (numbered(1),))
    assert sessions.purge() == 2
    assert SessionEnded(numbered(2), None, "expired") in told
    assert sql_store.count(expired=True) == 0


def test_more_than_one_batch_is_told(sessions_of: Any, sql_store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyramid_sessionkit.stores.sql.TOLD_BATCH", 2)
    told: list[Any] = []
    sessions = sessions_of(sql_store, told)
    for number in range(7):
        sql_store.create(numbered(number), expired_record())
    assert (sessions.purge(3), len(told)) == (3, 3)
    assert (sessions.purge(), len(told)) == (4, 7)


def test_what_another_purge_removes_is_left_to_it(sql_store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyramid_sessionkit.stores.sql.TOLD_BATCH", 4)
    keys = [numbered(number) for number in range(9)]
    for key in keys:
        sql_store.create(key, expired_record())
    told: list[str] = []

    def tell(key: str, record: Record) -> None:
        told.append(key)
        others = [other for other in keys if other not in told]
        if len(told) == 1:
            assert sql_store.delete(others[0])
            keys.remove(others[0])

    assert sql_store.purge(None, tell) == len(told) == 8
    assert sorted(told) == keys
