from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from webtest import TestApp

from pyramid_sessionkit import NotSupported, SessionGone, StoreUnavailable, get_sessions, user_sessions
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from tests.conftest import SentCookies, SpyStore, cookie_of


def log_in(request: Request) -> Response:
    remember(request, request.params["user"])
    request.session["browser"] = request.params.get("browser", "")
    return Response("in")


def who(request: Request) -> Response:
    return Response(str(request.authenticated_userid))


def devices(request: Request) -> Response:
    return Response(
        json=[{"key": info.key, "current": info.current, **info.contents} for info in user_sessions(request).list()]
    )


def revoke(request: Request) -> Response:
    return Response(str(user_sessions(request).revoke(request.params["key"])))


def revoke_others(request: Request) -> Response:
    return Response(str(user_sessions(request).revoke_others()), status=int(request.params.get("status", 200)))


def write(request: Request) -> Response:
    request.session["written"] = True
    return Response("written")


def revoke_all(request: Request) -> Response:
    return Response(str(user_sessions(request).revoke_all()))


VIEWS = {
    "/in": log_in,
    "/who": who,
    "/write": write,
    "/devices": devices,
    "/revoke": revoke,
    "/others": revoke_others,
    "/all": revoke_all,
}


@pytest.fixture
def browsers(make_app: Any) -> dict[str, TestApp]:
    """Ada with a phone and a desk, and Bob."""
    app = make_app(VIEWS).app
    found = {name: TestApp(app) for name in ("phone", "desk", "bob", "nobody")}
    for name in ("phone", "desk", "bob"):
        found[name].get(f"/in?user={'bob' if name == 'bob' else 'ada'}&browser={name}")
    return found


def keys(browser: TestApp) -> dict[str, str]:
    return {device["browser"]: device["key"] for device in browser.get("/devices").json}


class TestOwnSessions:
    def test_list(self, browsers: dict[str, TestApp]) -> None:
        listed = browsers["desk"].get("/devices").json
        assert {device["browser"]: device["current"] for device in listed} == {"phone": False, "desk": True}
        assert browsers["nobody"].get("/devices").json == []

    def test_those_of_an_old_password_are_not_listed(self, make_app: Any) -> None:
        password = ["old"]
        settings = {"sessionkit.credentials_hash": lambda request, identity: password[0]}
        app = make_app(VIEWS, **settings).app
        phone, desk = TestApp(app), TestApp(app)
        phone.get("/in?user=ada&browser=phone")
        password[0] = "new"
        desk.get("/in?user=ada&browser=desk")

        assert list(keys(desk)) == ["desk"]

    def test_credentials_that_nobody_compares_hide_no_session(self, make_app: Any) -> None:
        """A policy of one's own may keep there what differs from device to device: nothing ends these logins."""

        class Own:
            def authenticated_userid(self, request: Request) -> str | None:
                userid: str | None = request.session.userid
                return userid

            identity = authenticated_userid

            def remember(self, request: Request, userid: str, **kw: Any) -> list[Any]:
                request.session.login(userid, credentials=request.params["browser"])
                return []

        app = make_app(VIEWS, configure=lambda config: config.set_security_policy(Own())).app
        phone, desk = TestApp(app), TestApp(app)
        phone.get("/in?user=ada&browser=phone")
        desk.get("/in?user=ada&browser=desk")

        assert sorted(keys(desk)) == ["desk", "phone"]

    def test_revoke_one(self, browsers: dict[str, TestApp]) -> None:
        assert browsers["desk"].get(f"/revoke?key={keys(browsers['desk'])['phone']}").text == "True"
        assert [browsers[name].get("/who").text for name in ("phone", "desk", "bob")] == ["None", "ada", "bob"]

    def test_revoke_this_one(self, browsers: dict[str, TestApp]) -> None:
        browsers["desk"].get(f"/revoke?key={keys(browsers['desk'])['desk']}")
        assert browsers["desk"].get("/who").text == "None"
        assert "session" not in browsers["desk"].cookies

    def test_never_anyone_elses(self, browsers: dict[str, TestApp]) -> None:
        of_ada = keys(browsers["phone"])
        for name in ("bob", "nobody"):
            for key in [*of_ada.values(), "0" * 22, "0" * 64, "", "%", "é" * 64, "\0"]:
                assert browsers[name].get("/revoke", params={"key": key}).text == "False"
        assert browsers["bob"].get("/all").text == "1"
        assert browsers["nobody"].get("/all").text == "0"
        assert browsers["phone"].get("/who").text == browsers["desk"].get("/who").text == "ada"

    @pytest.mark.parametrize("status", [200, 500])
    def test_revoke_others_whatever_the_response(self, browsers: dict[str, TestApp], status: int) -> None:
        assert browsers["desk"].get(f"/others?status={status}", status=status).text == "1"
        assert [browsers[name].get("/who").text for name in ("phone", "desk", "bob")] == ["None", "ada", "bob"]

    def test_revoke_all(self, browsers: dict[str, TestApp]) -> None:
        assert browsers["desk"].get("/all").text == "2"
        assert [browsers[name].get("/who").text for name in ("phone", "desk", "bob")] == ["None", "None", "bob"]

    def test_one_that_is_revoked_while_it_runs_stays_dead(self, browsers: dict[str, TestApp], spy: SpyStore) -> None:
        spy.before["update"] = lambda: browsers["desk"].get("/others")
        browsers["phone"].get("/write")
        assert browsers["phone"].get("/who").text == "None"

    def test_a_login_in_one_that_is_revoked_begins_another(self, browsers: dict[str, TestApp], spy: SpyStore) -> None:
        revoked = keys(browsers["phone"])["phone"]
        spy.before["update"] = lambda: browsers["desk"].get("/others")
        browsers["phone"].get("/in?user=ada&browser=phone")
        assert browsers["phone"].get("/who").text == "ada"
        assert keys(browsers["phone"])["phone"] != revoked

    @pytest.mark.parametrize("path", ["/write", "/who"])
    def test_one_under_a_new_secret_is_revoked_by_its_key(
        self, browsers: dict[str, TestApp], spy: SpyStore, path: str
    ) -> None:
        spy.before["delete"] = lambda: browsers["phone"].get("/in?user=ada&browser=phone")
        browsers["desk"].get("/others")
        browsers["phone"].get(path)
        assert browsers["phone"].get("/who").text == "None"

    def test_a_revocation_that_did_not_reach_the_store_is_no_success(
        self, browsers: dict[str, TestApp], spy: SpyStore
    ) -> None:
        spy.failing["delete"] = StoreUnavailable("down")
        browsers["desk"].get("/others", status=503)

    def test_a_reload_does_not_forget_what_was_revoked(self, make_persistence: Any, spy: SpyStore) -> None:
        persistence = make_persistence()
        ids = []
        for _ in range(2):
            session = Session(persistence, SentCookies())
            session.login("ada")
            session.save()
            ids.append(cookie_of(session))
        session = Session(persistence, SentCookies(ids[0]))
        session.work.end_other(ids[1].key, spy.store.load(ids[1].key), "revoked")
        session.reload()
        session.save()
        assert [key for key, _ in spy.store.sessions_of("ada")] == [ids[0].key]

    def test_nor_does_a_login_after_the_session_was_gone(self, make_persistence: Any, spy: SpyStore) -> None:
        persistence = make_persistence()
        other = Session(persistence, SentCookies())
        other.login("ada")
        other.save()
        session = Session(persistence, SentCookies())
        session["a"] = 1
        session.save()
        spy.store.delete(session.key)
        session["a"] = 2
        with pytest.raises(SessionGone):
            session.save()
        session.work.end_other(other.key, spy.store.load(other.key), "revoked")
        session.login("ada")
        session.save()
        assert [key for key, _ in spy.store.sessions_of("ada")] == [session.key]


class TestForScripts:
    def test_everything(self, browsers: dict[str, TestApp], spy: SpyStore) -> None:
        sessions = get_sessions(browsers["bob"].app.registry)
        phone, desk = sessions.of_user("ada")
        assert {phone.contents["browser"], desk.contents["browser"]} == {"phone", "desk"}
        with pytest.raises(TypeError):
            phone.contents["browser"] = "other"  # type: ignore[index]
        assert sessions.count() == 3
        assert {info.key for info in sessions.all(9)} >= {phone.key, desk.key}
        assert len(sessions.all(9)) == 3
        assert len(sessions.all(limit=2)) == 2
        with pytest.raises(ValueError, match="limit is 0 or more, not -1"):
            sessions.all(-1)
        assert all(not info.contents for info in sessions.all(9))
        assert sessions.get(phone.key) == phone
        assert sessions.keys_beginning_with(phone.key[:20]) == [phone.key]
        assert sessions.revoke(phone.key)
        assert not sessions.revoke(phone.key)
        assert sessions.get(phone.key) is None
        assert sessions.purge() == sessions.count(expired=True) == 0

    def test_opening_one_by_its_key(self, make_app: Any, make_persistence: Any, spy: SpyStore) -> None:
        persistence = make_persistence(spy)
        made = Session(persistence, SentCookies())
        made["a"] = 1
        made.save()
        opened = get_sessions(make_app({}).app.registry).open(made.key)
        opened["b"] = 2
        opened.save()
        assert Session(persistence, SentCookies(cookie_of(made))).copy() == {"a": 1, "b": 2}

    def test_a_store_without_an_index_names_those_that_have_one(self, make_app: Any) -> None:
        class Plain:
            load = create = update = delete = lambda self, *args: None

        app = make_app(VIEWS, **{"sessionkit.store": lambda settings: Plain()})
        sessions = get_sessions(app.app.registry)
        for call in (
            lambda: sessions.of_user("ada"),
            lambda: sessions.all(9),
            lambda: sessions.keys_beginning_with("a"),
        ):
            with pytest.raises(NotSupported, match=r"memory, (redis, )?sql and cached_sql"):
                call()
        for call in (sessions.count, sessions.purge):
            with pytest.raises(NotSupported, match=r"memory, (redis, )?sql and cached_sql"):
                call()
        with pytest.raises(ConfigurationError, match=r"max_sessions_per_user .*memory, redis, sql or cached_sql"):
            make_app({}, max_sessions_per_user=3, **{"sessionkit.store": lambda settings: Plain()})


class TestLimit:
    def test_the_oldest_logins_end_though_all_came_at_once(
        self, make_persistence: Any, any_store: Any, clock: Any
    ) -> None:
        persistence: Persistence = make_persistence(any_store, max_sessions_per_user=2)
        ids = []
        for _ in range(4):
            session = Session(persistence, SentCookies())
            session.login("ada")
            session.save()
            ids.append(cookie_of(session))
        assert [key for key, _ in any_store.sessions_of("ada")] == [cookie.key for cookie in ids[2:]]

    def test_anonymous_sessions_do_not_count(self, make_persistence: Any, spy: SpyStore) -> None:
        persistence = make_persistence(max_sessions_per_user=1)
        for _ in range(3):
            session = Session(persistence, SentCookies())
            session["a"] = 1
            session.save()
        assert spy.store.count() == 3

    def test_ten_logins_at_once(self, make_persistence: Any, any_store: Any) -> None:
        ten_logins_at_once(make_persistence(any_store, max_sessions_per_user=3))


def ten_logins_at_once(persistence: Persistence) -> None:
    for _ in range(5):
        together = Barrier(10)

        def log_in(number: int) -> None:
            session = Session(persistence, SentCookies())
            session.login("ada")
            together.wait()  # noqa: B023
            session.save()

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(log_in, range(10)))
        assert len(list(persistence.store.sessions_of("ada"))) == 3
