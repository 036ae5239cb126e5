"""How psessions is given session keys, and shows them; and what it says of a table and of times that are not ours."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from zope.interface import directlyProvides

from pyramid_sessionkit.interfaces import IListable
from pyramid_sessionkit.scripts import checks, commands, output
from pyramid_sessionkit.scripts.commands import Refused

ADA, BOB, TENANT = "Ada0" + "x" * 18, "ada0" + "x" * 18, "ada0" + "x" * 30


class FakeSessions:
    def __init__(self, *keys: str, lists: bool = True) -> None:
        self.keys = keys
        self.store = SimpleNamespace()
        if lists:
            directlyProvides(self.store, IListable)

    def get(self, key: str) -> str | None:
        return key if key in self.keys else None

    def keys_beginning_with(self, prefix: str) -> list[str]:
        assert IListable.providedBy(self.store)
        return [key for key in self.keys if key.startswith(prefix)][:2]


def find(key: str, *keys: str, lists: bool = True) -> Any:
    return commands._find(FakeSessions(*keys, lists=lists), key)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["Ad", "Ada0x", ADA])
def test_upper_and_lower_case_differ(key: str) -> None:
    assert find(key, ADA, BOB) == ADA


def test_a_whole_key_is_found_beside_longer_ones() -> None:
    assert find(BOB, BOB, TENANT) == BOB
    assert find(TENANT[:30], BOB, TENANT) == TENANT


def test_a_store_that_cannot_list_finds_whole_keys() -> None:
    assert find(ADA, ADA, lists=False) == ADA
    with pytest.raises(Refused, match="No session that is alive"):
        find(BOB, ADA, lists=False)


def test_an_abbreviation_must_be_unique() -> None:
    with pytest.raises(Refused, match="Several sessions have keys that begin with ada"):
        find("ada", BOB, TENANT)


@pytest.mark.parametrize("text", ["", "a" * 65, f"{ADA}.{'s' * 43}", "ada%", "adä", "s3cret" * 7])
def test_what_may_be_a_session_id_is_not_repeated(text: str) -> None:
    with pytest.raises(Refused) as refused:
        find(text, BOB)
    assert not text or text not in str(refused.value)


def test_shown_keys_differ() -> None:
    keys = ["tenant-number-1-" + letter * 22 for letter in "ab"]
    assert output._distinct(keys) == 17
    assert output._distinct([ADA, BOB]) == 12


def test_a_time_that_no_calendar_has_breaks_no_list() -> None:
    info = SimpleNamespace(key=ADA, userid="ada", created=2**62, renewed=-(2**62), expires=None)
    printed = io.StringIO()
    output.Output(printed, False).sessions([info])  # type: ignore[list-item]
    assert str(2**62) in printed.getvalue()


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    engine = create_engine(f"sqlite:///{tmp_path}/s.sqlite")
    yield engine
    engine.dispose()


def test_a_table_of_an_older_version_is_named_with_the_statement(engine: Any) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sessions (session_key TEXT PRIMARY KEY, data BLOB, version INTEGER)"))
    result = checks._table("sessions", engine)
    assert result.status == "failed"
    assert "lacks verifier, salt" in result.message
    assert "DROP TABLE sessions" in result.message


def test_so_is_one_that_cannot_hold_versions() -> None:
    message = checks._older("web.sessions", ["version"], {"version"})
    assert "too small a type for version" in message
    assert "DROP TABLE web.sessions" in message
