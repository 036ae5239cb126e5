from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyramid_sessionkit import SessionClosed, SessionGone, SessionNotSerializable, SessionTooLarge, StoreError
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.state import BLANK_KEY, Cookie, Presented
from tests.conftest import SentCookies, SpyStore, cookie_of, stored

Open = Callable[..., Session]

DEAD = Presented("x" * 22, "y" * 43)
BLANK = Presented(BLANK_KEY, "z" * 43)


class TestLaziness:
    def test_nothing_is_read_before_use(self, open_session: Open, spy: SpyStore) -> None:
        session = open_session(DEAD)
        assert repr(session) == "<Session, not used yet>"
        session.save()
        assert spy.calls == []
        assert not session.work.used

    def test_reading_is_one_call_and_saving_none(self, open_session: Open, spy: SpyStore) -> None:
        cookie = stored(open_session, {"a": 1})
        spy.calls.clear()
        session = open_session(cookie)
        assert session["a"] == 1
        assert "b" not in session
        session.save()
        assert spy.calls == ["load"]

    def test_a_change_is_two_calls(self, open_session: Open, spy: SpyStore) -> None:
        cookie = stored(open_session, {"a": 1})
        spy.calls.clear()
        session = open_session(cookie)
        session["a"] = 2
        session.save()
        session.save()
        assert spy.calls == ["load", "update"]

    def test_nothing_is_stored_for_a_visitor_who_put_nothing_in(self, open_session: Open, spy: SpyStore) -> None:
        session = open_session()
        session.get("a")
        session.pop("b", None)
        session.save()
        assert spy.calls == []
        assert session.new

    def test_writing_what_is_there_already_is_no_change(self, open_session: Open, spy: SpyStore) -> None:
        cookie = stored(open_session, {"a": [1, {"b": 2}]})
        spy.calls.clear()
        session = open_session(cookie)
        session["a"] = [1, {"b": 2}]
        session.changed()
        session.save()
        assert spy.calls == ["load"]

    def test_the_key_of_a_dead_cookie_is_never_used_again(self, open_session: Open) -> None:
        session = open_session(DEAD)
        session["a"] = 1
        session.save()
        assert cookie_of(session).key != DEAD.key
        assert cookie_of(session).secret != DEAD.secret

    def test_the_key_of_a_dead_cookie_is_not_even_shown(self, open_session: Open) -> None:
        assert open_session(DEAD).key != DEAD.key

    def test_the_key_of_a_new_session_is_known_before_it_is_saved(self, open_session: Open) -> None:
        for sent in ((), (DEAD,), (BLANK,)):
            session = open_session(*sent)
            session["a"] = 1
            announced = session.key
            session.save()
            assert session.key == announced


class TestWhatIsSaved:
    @pytest.mark.parametrize("value", [1j, float("nan"), {(1, 2)}, bytearray(b"x")])
    def test_what_would_not_come_back_is_refused_by_path(self, open_session: Open, value: Any) -> None:
        cookie = stored(open_session, {"a": 1})
        session = open_session(cookie)
        with pytest.raises(SessionNotSerializable, match=r"cart\[1\]\.price"):
            session["cart"] = [0, {"price": value}]
        session["cart"] = [0, {}]
        session["cart"][1]["price"] = value
        with pytest.raises(SessionNotSerializable, match=r"cart\[1\]\.price"):
            session.save()
        assert open_session(cookie).copy() == {"a": 1}

    def test_nan_is_found_where_null_was_stored(self, open_session: Open) -> None:
        # Both are written as null, so equal bytes do not show it.
        session = open_session(stored(open_session, {"a": [None]}))
        session["a"][0] = float("nan")
        with pytest.raises(SessionNotSerializable, match=r"a\[0\]: float nan"):
            session.save()

    def test_nan_is_found_after_a_good_save(self, open_session: Open) -> None:
        session = open_session()
        session["a"] = [None]
        session.save()
        session["a"][0] = float("nan")
        with pytest.raises(SessionNotSerializable):
            session.work.plan()

    def test_tuples_come_back_as_lists(self, open_session: Open) -> None:
        assert open_session(stored(open_session, {"a": (1, (2,))}))["a"] == [1, [2]]

    def test_too_large(self, open_session: Open) -> None:
        session = open_session(max_size=100)
        session["big"] = "x" * 100
        with pytest.raises(SessionTooLarge, match=r"big \(102\)"):
            session.save()


class TestKeyAndSecret:
    def test_a_new_secret_keeps_the_key(self, open_session: Open) -> None:
        old = stored(open_session, {"a": 1})
        session = open_session(old)
        session.regenerate_id()
        assert session.key == old.key
        session.save()
        assert cookie_of(session).key == old.key
        assert cookie_of(session).secret != old.secret
        assert session.work.cookie is Cookie.SEND
        assert open_session(old).new
        assert open_session(cookie_of(session))["a"] == 1

    def test_a_new_secret_is_one_update(self, open_session: Open, spy: SpyStore) -> None:
        old = stored(open_session, {"a": 1})
        spy.calls.clear()
        session = open_session(old)
        session.regenerate_id()
        session.regenerate_id()
        session.save()
        assert spy.calls == ["load", "update"]

    @pytest.mark.parametrize("sent", [(), (BLANK,), (DEAD,)])
    def test_a_new_session_has_a_secret_that_nobody_had(self, open_session: Open, sent: Any) -> None:
        session = open_session(*sent)
        session["a"] = 1
        session.regenerate_id()
        session.save()
        assert cookie_of(session).secret not in [one.secret for one in sent]
        assert open_session(cookie_of(session))["a"] == 1

    def test_invalidate(self, open_session: Open) -> None:
        old = stored(open_session, {"a": 1})
        session = open_session(old)
        session.invalidate()
        assert session.new
        assert not session
        session.save()
        assert session.work.cookie is Cookie.DELETE
        assert open_session(old).new

    def test_an_invalidated_session_is_usable_as_a_new_one(self, open_session: Open) -> None:
        old = stored(open_session, {"a": 1})
        session = open_session(old)
        session.invalidate()
        session["b"] = 2
        session.save()
        assert session.work.cookie is Cookie.SEND
        assert open_session(cookie_of(session)).copy() == {"b": 2}
        assert cookie_of(session).key != old.key

    def test_invalidating_ends_all_that_the_browser_sent(self, make_persistence: Any, open_session: Open) -> None:
        # Of two cookies, the one left alone would log the visitor in again.
        persistence: Persistence = make_persistence()
        cookies = [stored(open_session, {"n": number}, persistence=persistence) for number in range(2)]
        session = Session(persistence, SentCookies(*cookies))
        session.invalidate()
        session.save()
        assert all(open_session(cookie, persistence=persistence).new for cookie in cookies)

    def test_only_a_cookie_that_opens_a_session_ends_it(self, make_persistence: Any, open_session: Open) -> None:
        persistence: Persistence = make_persistence()
        mine, theirs = (stored(open_session, {"n": number}, persistence=persistence) for number in range(2))
        session = open_session(mine, theirs._replace(secret="y" * 43), persistence=persistence)
        session.invalidate()
        session.save()
        assert open_session(mine, persistence=persistence).new
        assert open_session(theirs, persistence=persistence)["n"] == 1

    def test_a_key_that_was_taken_long_ago_is_not_shared(self, open_session: Open, clock: Any) -> None:
        first = open_session(BLANK)
        first["a"] = 1
        first.save()
        clock(31)
        second = open_session(BLANK)
        second["b"] = 2
        second.save()
        assert cookie_of(second).key != cookie_of(first).key
        assert open_session(cookie_of(first)).copy() == {"a": 1}
        assert open_session(cookie_of(second)).copy() == {"b": 2}

    def test_keys_that_are_all_taken(
        self, open_session: Open, clock: Any, spy: SpyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = open_session(), open_session()
        monkeypatch.setattr(first.work.persistence.tokens, "key_from", lambda *_: "same" * 6)
        first["a"] = 1
        first.save()
        clock(31)
        second["a"] = 2
        with pytest.raises(StoreError, match=r"sessionkit\.key_prefix"):
            second.save()
        assert spy.store.count() == 1
        assert open_session(cookie_of(first))["a"] == 1


class TestRenewal:
    def test_the_idle_timeout(self, open_session: Open, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout=100)
        clock(99)
        assert not open_session(cookie).new
        clock(100)
        assert open_session(cookie).new

    def test_reading_renews_after_the_reissue_time(self, open_session: Open, spy: SpyStore, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout=100, reissue_time=10)
        spy.calls.clear()
        clock(9)
        session = open_session(cookie)
        assert session["a"]
        session.save()
        assert spy.calls == ["load"]
        clock(10)
        session = open_session(cookie)
        assert session["a"]
        session.save()
        assert spy.calls == ["load", "load", "update"]
        clock(105)
        assert not open_session(cookie).new

    def test_without_a_reissue_time_only_writes_renew(self, open_session: Open, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout=100, reissue_time="none")
        clock(90)
        session = open_session(cookie)
        assert session["a"]
        session.save()
        clock(99)
        session = open_session(cookie)
        session["a"] = 2
        session.save()
        clock(150)
        assert not open_session(cookie).new

    def test_touch(self, open_session: Open, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout=100, reissue_time="none")
        clock(90)
        session = open_session(cookie)
        session.touch()
        session.save()
        clock(150)
        assert not open_session(cookie).new

    def test_the_lifetime_ends_it_whatever_happens(self, open_session: Open, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout=100, lifetime=150)
        clock(90)
        session = open_session(cookie)
        session.touch()
        session.save()
        clock(150)
        assert open_session(cookie).new

    def test_rolling_and_resave_write_once(self, open_session: Open, spy: SpyStore) -> None:
        cookie = stored(open_session, {"a": 1}, resave=True)
        spy.calls.clear()
        session = open_session(cookie)
        assert session["a"]
        session.save()
        session.save()
        assert spy.calls == ["load", "update"]

    def test_save_uninitialized(self, open_session: Open, spy: SpyStore) -> None:
        session = open_session(save_uninitialized=True)
        assert not session
        session.save()
        assert spy.calls == ["create"]
        assert session.work.cookie is Cookie.SEND

    def test_the_clock_set_back_ends_nobodys_session(self, open_session: Open, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout=100)
        clock(-3600)
        session = open_session(cookie)
        assert session["a"] == 1
        session["a"] = 2
        session.save()
        assert open_session(cookie)["a"] == 2

    def test_a_renewal_does_not_send_a_persistent_cookie_again(self, open_session: Open, clock: Any) -> None:
        # One that arrives late would overwrite the cookie of a login.
        cookie = stored(open_session, {"a": 1}, timeout=100, reissue_time=10, persistent=True)
        for seconds in (0, 20, 40):
            clock(seconds)
            session = open_session(cookie)
            session["a"] = seconds
            session.touch()
            session.save()
            assert session.work.cookie is Cookie.KEEP

    @pytest.mark.parametrize("limits", [{"lifetime": 500}, {"lifetime": None}, {"persistent": False}])
    def test_a_persistent_cookie_is_sent_when_its_end_moved(self, open_session: Open, limits: Any) -> None:
        cookie = stored(open_session, {"a": 1}, persistent=True)
        session = open_session(cookie)
        session.set_expiry(**limits)
        session.save()
        assert session.work.cookie is Cookie.SEND
        assert cookie_of(session) == cookie

    def test_with_rolling_a_persistent_cookie_is_sent_each_time(self, open_session: Open) -> None:
        cookie = stored(open_session, {"a": 1}, rolling=True, persistent=True)
        session = open_session(cookie)
        assert session["a"]
        session.save()
        assert session.work.cookie is Cookie.SEND
        assert cookie_of(session) == cookie


class TestLifecycle:
    def test_a_closed_session_takes_no_changes(self, open_session: Open) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        session.work.close()
        assert session["a"] == 1
        changes: list[Callable[[], Any]] = [
            lambda: session.update(a=2),
            lambda: session.pop("a"),
            session.clear,
            session.changed,
            session.invalidate,
            session.regenerate_id,
            session.touch,
            lambda: session.set_expiry(timeout=5),
            lambda: session.flash("x"),
            lambda: session.apply("a", str),
            lambda: session.login("ada"),
        ]
        for change in changes:
            with pytest.raises(SessionClosed):
                change()

    def test_reload(self, open_session: Open) -> None:
        cookie = stored(open_session, {"a": 1})
        session = open_session(cookie)
        session["a"] = 2
        session.regenerate_id()
        other = open_session(cookie)
        other["b"] = 1
        other.save()
        session.reload()
        assert session.copy() == {"a": 1, "b": 1}
        assert cookie_of(session) == cookie

    def test_reloading_a_session_made_in_this_request(self, open_session: Open) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        session["a"] = 2
        session.reload()
        assert session["a"] == 1

    def test_a_session_whose_secret_was_replaced_cannot_be_reloaded(self, open_session: Open) -> None:
        cookie = stored(open_session, {"a": 1})
        session, other = open_session(cookie), open_session(cookie)
        session["b"] = 1
        other.regenerate_id()
        other.save()
        session.save()
        with pytest.raises(SessionGone):
            session.reload()
        assert session.copy() == {"a": 1, "b": 1}

    def test_saving_one_that_was_ended_raises(self, open_session: Open) -> None:
        cookie = stored(open_session, {"a": 1})
        session = open_session(cookie)
        session["a"] = 2
        other = open_session(cookie)
        other.invalidate()
        other.save()
        for _ in range(2):
            with pytest.raises(SessionGone):
                session.save()
        assert open_session(cookie).new

    def test_a_record_that_cannot_be_decoded(self, open_session: Open, spy: SpyStore, caplog: Any) -> None:
        cookie = stored(open_session, {"a": 1})
        key = cookie.key
        spy.store._records[key] = spy.store._records[key]._replace(data=b"\x80junk", userid="ada", authenticated=1)
        session = open_session(cookie)
        assert session.new
        assert session.userid is None
        assert key[:8] in caplog.text
        session["b"] = 1
        session.save()
        assert cookie_of(session).key != key
        assert spy.store._records[key].data == b"\x80junk"
