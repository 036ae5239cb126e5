"""The sessions of a user: ``IUserIndex``."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.interfaces import IContentsUpdate, IUserIndex
from pyramid_sessionkit.testing.conformance.records import (
    KEY,
    OTHER_KEY,
    expired_record,
    make_record,
    numbered,
    types_of,
)


class Users:
    def test_sessions_of_a_user(self, store: Any) -> None:
        _needs_user_index(store)
        now = int(time.time())
        store.create(KEY, make_record(userid="ada", authenticated=20, created=now - 5))
        store.create(OTHER_KEY, make_record(userid="ada", authenticated=10, created=now))
        for number, userid in enumerate(["Ada", "ada ", "ad", "äda"]):
            store.create(numbered(number), make_record(userid=userid))
        store.create("e" * 64, expired_record(userid="ada"))
        store.create("d" * 64, expired_record(1, userid="ada"))
        assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY, KEY]
        assert [record for _, record in store.sessions_of("ada")] == [store.load(OTHER_KEY), store.load(KEY)]

    def test_logins_at_the_same_time_go_by_their_keys(self, store: Any) -> None:
        _needs_user_index(store)
        keys = [letter * 22 for letter in "_Zz-Aa09"]
        for key in keys:
            store.create(key, make_record(userid="ada", authenticated=7))
        assert [key for key, _ in store.sessions_of("ada")] == sorted(keys)

    def test_a_session_is_its_users_from_login_to_logout(self, store: Any) -> None:
        _needs_user_index(store)
        record = store.create(KEY, make_record())
        for userid in ("ada", "bob", None, "ada"):
            record = store.update(KEY, record._replace(userid=userid, authenticated=userid and 5))
            found = {user: [key for key, _ in store.sessions_of(user)] for user in ("ada", "bob")}
            assert found == {user: [KEY] if user == userid else [] for user in ("ada", "bob")}
        store.delete(KEY)
        assert list(store.sessions_of("ada")) == []

    def test_a_userid_that_is_not_text_has_no_sessions(self, store: Any) -> None:
        _needs_user_index(store)
        store.create(KEY, make_record(userid="ada"))
        with suppress(StoreError):  # a store may also refuse it
            assert list(store.sessions_of("ada\ud800")) == []

    def test_userids_are_not_patterns(self, store: Any) -> None:
        _needs_user_index(store)
        userids = [
            "ada",
            "ADA",
            "ada ",
            " ada",
            "a_a",
            "%",
            "*",
            "a*",
            "[a]da",
            "ada:1",
            "\u00e4",
            "a\u0308",
            "a" * 200,
        ]
        for number, userid in enumerate(userids):
            store.create(numbered(number), make_record(userid=userid))
        assert [[key for key, _ in store.sessions_of(userid)] for userid in userids] == [
            [numbered(number)] for number in range(len(userids))
        ]
        assert [list(store.sessions_of(userid)) for userid in ("a", "ad%", "ad_", "a" * 199, "nobody")] == [[]] * 5

    def test_a_users_sessions_are_those_stored_now(self, store: Any) -> None:
        _needs_user_index(store)
        record = store.create(KEY, make_record(userid="ada"))
        for update in _updates_of(store):
            record = update(KEY, record.renewed_with(record.data + b" ", record.renewed + 1))
            ((key, found),) = store.sessions_of("ada")
            assert (key, found) == (KEY, record)
            assert types_of(found) == types_of(record)
        assert store.update(KEY, found) is not None

    def test_a_login_in_an_old_session_is_found(self, store: Any) -> None:
        _needs_user_index(store)
        first = store.create(KEY, make_record(renewed=int(time.time()) - 1230))
        store.update(KEY, first._replace(userid="ada", authenticated=5, renewed=int(time.time())))
        assert [key for key, _ in store.sessions_of("ada")] == [KEY]

    def test_what_was_refused_is_in_no_list(self, store: Any) -> None:
        _needs_user_index(store)
        first = store.create(KEY, make_record(userid="ada"))
        store.update(KEY, first)
        assert store.update(KEY, first._replace(userid="bob", authenticated=5)) is None
        assert store.create(KEY, make_record(userid="bob")) is None
        assert list(store.sessions_of("bob")) == []
        assert [key for key, _ in store.sessions_of("ada")] == [KEY]

    def test_a_user_has_any_number_of_sessions(self, store: Any) -> None:
        _needs_user_index(store)
        keys = [numbered(number) for number in range(120)]
        for key in keys:
            store.create(key, make_record(userid="ada", authenticated=7))
        assert [key for key, _ in store.sessions_of("ada")] == keys


def _needs_user_index(store: Any) -> None:
    if not IUserIndex.providedBy(store):
        pytest.skip("this store has no IUserIndex")


def _updates_of(store: Any) -> list[Any]:
    return [store.update, *([store.update_contents] if IContentsUpdate.providedBy(store) else [])]
