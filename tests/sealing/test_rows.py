"""Rows as nobody but an attacker writes them: they log nobody in, and keep no command from its work."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from pyramid.security import remember

from pyramid_sessionkit.interfaces import UNREADABLE
from pyramid_sessionkit.sealing.store import Resealed
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, make_record
from tests.sealing.conftest import Make
from tests.sealing.site import KEY as SEAL_KEY
from tests.sealing.test_stores import ONE, TWO, cached, of_server, sealed
from tests.stores.test_sql_joined import Committing

LARGEST = 2**63 - 1


def write(store: SQLStore, what: str, *values: Any) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE sessions SET {what}", values)


@pytest.mark.servers
@pytest.mark.parametrize("joined", [False, True])
def test_a_session_hidden_from_lists_does_not_open(mariadb: Any, joined: bool) -> None:
    """For MariaDB a key with a space behind it is the same key."""
    for store in of_server(mariadb.url):
        store.create(KEY, make_record(userid="ada", authenticated=5))
        used = Committing(mariadb.url) if joined else store
        assert used.load(KEY)
        write(store.wrapped, "session_key = concat(session_key, ' ')")
        assert store.sessions_of("ada") == []
        assert used.load(KEY) is None
        assert used.create(KEY, make_record()) is None
        if isinstance(used, Committing):
            used.own.close()
            used.engine.dispose()


def test_a_version_without_a_next_one_is_unreadable(sql_store: SQLStore) -> None:
    store = sealed(sql_store, ONE, TWO)
    sealed(sql_store, TWO).create(KEY, make_record())
    write(sql_store, "version = ?", LARGEST)
    found = store.load(KEY)
    assert found
    assert found.data == UNREADABLE
    assert store.reseal(KEY) is Resealed.UNREADABLE
    assert store.delete(KEY, found)


def test_who_has_such_a_version_gets_a_new_session(make_site: Make) -> None:
    site = make_site("sql", seal_key=SEAL_KEY)
    browser = site.logged_in("ada")
    site.write(site.key_of(browser), version=LARGEST)
    browser.get("/put", {"note": "new"})
    assert browser.get("/who").json == {"user": None, "note": "new", "login": None}


def test_a_key_that_is_no_text_stops_no_resealing(sql_store: SQLStore) -> None:
    for key in (KEY, OTHER_KEY):
        sealed(sql_store, TWO).create(key, make_record())
    write(sql_store, "session_key = X'2122' WHERE session_key = ?", KEY)
    store = sealed(sql_store, ONE, TWO)
    keys = list(sql_store.keys_without_seal(store.sealer.heads[0]))
    assert [store.reseal(key) for key in keys] == [Resealed.DONE]


@pytest.mark.servers
def test_a_key_that_is_no_text_keeps_no_session(sql_store: SQLStore, memcached: Any) -> None:
    memcached.flush()
    store = sealed(cached(sql_store, memcached.address))
    for key in (KEY, OTHER_KEY):
        store.create(key, make_record())
    write(sql_store, "session_key = X'2122' WHERE session_key = ?", KEY)
    assert store.clear() == 1
    assert store.load(OTHER_KEY) is None
    store.close()


def test_resealing_ends_where_every_update_is_refused(sql_store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(sql_store, TWO).create(KEY, make_record())
    monkeypatch.setattr(sql_store, "update", lambda key, record: None)
    assert sealed(sql_store, ONE, TWO).reseal(KEY) is Resealed.REFUSED


@pytest.mark.parametrize("persistent", [1, 0, "on"])
def test_a_login_may_say_persistent_in_any_way(
    make_site: Make, persistent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that has booleans would read another value than was sealed."""
    monkeypatch.setattr("tests.sealing.site.remember", partial(remember, persistent=persistent))
    site = make_site("sql", seal_key=SEAL_KEY)
    assert site.logged_in("ada").get("/who").json["user"] == "ada"
    assert not site.tampered
