from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pyramid.interfaces import ISession
from zope.interface.verify import verifyObject

from pyramid_sessionkit.session import Session
from tests.conftest import SpyStore, cookie_of, stored

Open = Callable[..., Session]


def test_it_is_an_isession(open_session: Open) -> None:
    assert verifyObject(ISession, open_session())


class TestDict:
    def test_the_protocol(self, open_session: Open) -> None:
        session = open_session()
        session["a"] = 1
        session.update({"b": 2}, c=3)
        assert session.setdefault("a", 9) == 1
        assert session.setdefault("d", 4) == 4
        assert dict(session) == {"a": 1, "b": 2, "c": 3, "d": 4} == session
        assert list(session) == list(session.keys()) == ["a", "b", "c", "d"]
        assert list(session.values()) == [1, 2, 3, 4]
        assert list(session.items()) == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
        assert (len(session), bool(session), "a" in session, "z" in session) == (4, True, True, False)
        assert session.pop("b") == 2
        assert session.pop("b", None) is None
        assert session.popitem() == ("d", 4)
        del session["a"]
        assert session.get("a", 5) == 5
        session |= {"e": 5}
        assert session | {"f": 6} == {"c": 3, "e": 5, "f": 6}
        session.clear()
        assert not session
        for missing in (lambda: session["a"], lambda: session.pop("a"), lambda: session.__delitem__("a")):
            with pytest.raises(KeyError):
                missing()

    def test_a_copy_is_deep(self, open_session: Open) -> None:
        session = open_session()
        session["a"] = {"b": []}
        session.copy()["a"]["b"].append(1)
        assert session["a"] == {"b": []}

    def test_keys_are_text(self, open_session: Open) -> None:
        with pytest.raises(TypeError, match="text, not int"):
            open_session()[1] = 2  # type: ignore[index]

    def test_repr_shows_no_contents_and_no_id(self, open_session: Open) -> None:
        cookie = stored(open_session, {"password": "hunter2"})
        session = open_session(cookie)
        assert session["password"]
        assert repr(session) == f"<Session {cookie.key[:8]}>"

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: s["cart"]["items"].append(3),
            lambda s: s.get("cart").update(more=1),
            lambda s: next(iter(s.values())).clear(),
            lambda s: [value.pop("items") for _, value in s.items()],
            lambda s: s.setdefault("cart", {}).update(more=1),
            lambda s: s.setdefault("other", {}).update(more=1),
        ],
    )
    def test_changes_inside_are_found(self, open_session: Open, change: Any) -> None:
        cookie = stored(open_session, {"cart": {"items": [1, 2]}})
        session = open_session(cookie)
        change(session)
        session.save()
        expected = session.copy()
        assert open_session(cookie).copy() == expected != {"cart": {"items": [1, 2]}}

    def test_a_list_changed_after_a_save_is_saved_again(self, open_session: Open) -> None:
        session = open_session()
        items: list[int] = []
        session["items"] = items
        session.save()
        items.append(1)
        session.save()
        assert open_session(cookie_of(session))["items"] == [1]


class TestFlashAndCSRF:
    def test_flash_queues(self, open_session: Open) -> None:
        session = open_session()
        session.flash("one")
        session.flash("one", allow_duplicate=False)
        session.flash("one")
        session.flash("other", "warnings")
        assert session.peek_flash() == ["one", "one"]
        assert session.pop_flash() == ["one", "one"]
        assert session.pop_flash() == session.peek_flash() == []
        assert session.pop_flash("warnings") == ["other"]

    def test_looking_for_messages_stores_nothing(self, open_session: Open, spy: SpyStore) -> None:
        session = open_session()
        assert session.pop_flash() == []
        session.save()
        assert spy.calls == []

    def test_csrf_token(self, open_session: Open) -> None:
        session = open_session()
        token = session.get_csrf_token()
        assert session.get_csrf_token() == token
        assert session.new_csrf_token() != token
        assert len(token) >= 43


class TestLogin:
    def test_a_login_keeps_contents_under_a_new_id(self, open_session: Open) -> None:
        old_id = stored(open_session, {"cart": [1]})
        session = open_session(old_id)
        session.login("ada", credentials="hash")
        assert session.userid == "ada"
        session.save()
        again = open_session(cookie_of(session))
        assert (again.userid, again.credentials, again["cart"]) == ("ada", "hash", [1])
        assert again.authenticated == again.created
        assert open_session(old_id).new

    @pytest.mark.parametrize("userid", [7, None, object()])
    def test_a_login_takes_text_alone(self, open_session: Open, userid: Any) -> None:
        with pytest.raises(ValueError, match=rf"given {type(userid).__name__} where text .*str\(user\.id\)"):
            open_session().login(userid)

    def test_clearing_logs_nobody_out(self, open_session: Open) -> None:
        session = open_session()
        session.login("ada")
        session.save()
        session.clear()
        session.save()
        assert open_session(cookie_of(session)).userid == "ada"

    def test_contents_of_another_user_never_survive(self, open_session: Open) -> None:
        session = open_session()
        session.login("ada")
        session["secret"] = 1
        session.save()
        of_ada = cookie_of(session)
        session = open_session(of_ada)
        session.login("bob")
        assert session.copy() == {}
        session.save()
        assert open_session(of_ada).new
        assert open_session(cookie_of(session)).userid == "bob"

    def test_a_login_begins_a_new_lifetime(self, open_session: Open, clock: Any) -> None:
        cookie = stored(open_session, {"a": 1}, timeout="none", lifetime=100)
        clock(60)
        session = open_session(cookie)
        session.login("ada")
        session.save()
        clock(120)
        assert open_session(cookie_of(session)).userid == "ada"
        clock(161)
        assert open_session(cookie_of(session)).new

    def test_a_login_may_be_persistent(self, open_session: Open) -> None:
        session = open_session()
        session.login("ada", persistent=True)
        session.save()
        assert open_session(cookie_of(session)).persistent


class TestExpiry:
    def test_defaults(self, open_session: Open, clock: Any) -> None:
        session = open_session()
        session["a"] = 1
        assert session.expires == session.created + 1200
        session.save()
        assert (session.created, session.renewed) == (int(time.time()), session.created)

    def test_set_expiry(self, open_session: Open, clock: Any) -> None:
        session = open_session()
        session["a"] = 1
        session.set_expiry(timeout=5000, lifetime=9000, persistent=True)
        session.save()
        assert session.expires == session.created + 5000
        session.set_expiry(timeout=None)
        assert session.expires == session.created + 9000
        session.set_expiry(lifetime=None)
        assert session.expires is None
        session.save()
        again = open_session(cookie_of(session))
        assert again.expires is None
        assert again.persistent

    @pytest.mark.parametrize("limits", [{"timeout": 0}, {"lifetime": -1}, {"timeout": "5m"}])
    def test_set_expiry_takes_seconds(self, open_session: Open, limits: Any) -> None:
        with pytest.raises(ValueError, match="whole number of seconds"):
            open_session().set_expiry(**limits)
