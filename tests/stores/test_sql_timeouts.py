"""What each driver is told when it connects: how long it may take, and when the server is to give up."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_timeouts import connect_arguments, limit_answers


@pytest.fixture(autouse=True)
def _no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGOPTIONS", raising=False)


def told(url: str, seconds: int = 5, prepare: bool = True) -> dict[str, Any]:
    return connect_arguments(make_url(url), seconds, prepare)


def test_postgresql_gives_up_first() -> None:
    assert told("postgresql+psycopg://host/db")["options"] == "-c statement_timeout=4000"
    assert told("postgresql+psycopg2://host/db", 1)["options"] == "-c statement_timeout=800"


def test_the_options_of_the_url_win() -> None:
    url = "postgresql+psycopg://host/db?options=-c%20statement_timeout%3D9&options=-c%20a%3Db"
    assert told(url)["options"] == "-c statement_timeout=4000 -c statement_timeout=9 -c a=b"


def test_those_of_the_environment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=web")
    assert told("postgresql+psycopg://host/db")["options"] == "-c statement_timeout=4000 -c search_path=web"


def test_mariadb_gives_up_first() -> None:
    command = told("mariadb+pymysql://host/db")["init_command"]
    assert "innodb_lock_wait_timeout = 4" in command
    assert "max_statement_time = 4.0" in command
    assert "innodb_lock_wait_timeout = 1" in told("mysql+pymysql://host/db", 1)["init_command"]
    assert "init_command" not in told("mysql+pymysql://host/db?init_command=SELECT+1")


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://host/db", "postgresql+psycopg2://host/db", "mysql+pymysql://host/db"]
)
def test_behind_a_pooler_nothing_is_set_on_the_server(url: str) -> None:
    assert not {"options", "init_command"} & set(told(url, prepare=False))


def test_statements_are_prepared_at_once_or_never() -> None:
    assert told("postgresql+psycopg://host/db")["prepare_threshold"] == 0
    assert told("postgresql+psycopg://host/db", prepare=False)["prepare_threshold"] is None


def test_several_hosts_share_the_time() -> None:
    assert told("postgresql+psycopg://host/db", 6)["connect_timeout"] == 6
    assert told("postgresql+psycopg://u@/db?host=h1:5432&host=h2:5433&host=h3", 6)["connect_timeout"] == 2
    assert told("postgresql+psycopg2://u@/db?host=h1,h2", 6)["connect_timeout"] == 3
    assert told("postgresql+psycopg://u@/db?host=h1&host=h2", 1)["connect_timeout"] == 1
    assert "connect_timeout" not in told("postgresql+psycopg://u@/db?host=h1&host=h2&connect_timeout=9")


@pytest.mark.parametrize("url", ["oracle+cx_oracle://host/db", "postgresql+pg8000://host/db"])
def test_a_driver_that_is_not_known_is_told_nothing(url: str) -> None:
    class URL:
        query: dict[str, str] = {}

        def get_dialect(self) -> Any:
            class Dialect:
                driver = url.partition("+")[2].partition(":")[0]

            return Dialect

    for prepare in (True, False):
        assert connect_arguments(URL(), 5, prepare) == {}  # type: ignore[arg-type]


def test_a_url_of_several_hosts_reaches_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg")
    seen: list[dict[str, Any]] = []

    def connect(cls: Any, *_: Any, **options: Any) -> Any:
        seen.append(options)
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(connect))
    engine = create_session_engine(
        "postgresql+psycopg://u@/db?host=h1:5432&host=h2:5433&target_session_attrs=read-write", 6
    )
    with pytest.raises(psycopg.OperationalError):
        engine.raw_connection()
    assert seen[0]["host"] == "h1,h2"
    assert seen[0]["port"] == "5432,5433"
    assert seen[0]["target_session_attrs"] == "read-write"
    assert seen[0]["connect_timeout"] == 3


def test_an_engine_of_another_driver_is_left_alone() -> None:
    limit_answers(create_engine("sqlite://"), 5, cancel=True)
