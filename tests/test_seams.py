"""Places where two things meet: settings and start-up, responses and requests, sources and userids."""

from __future__ import annotations

import contextlib
import gc
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import ISecurityPolicy
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp, Upload
from zope.interface import implementer
from zope.interface.verify import verifyObject

from pyramid_sessionkit import (
    SessionEvent,
    SessionSecurityPolicy,
    StoreError,
    StoreUnavailable,
    safe_next,
    user_sessions,
)
from pyramid_sessionkit.session_id.cookie import CookieSigner
from pyramid_sessionkit.state import Presented
from tests.conftest import SECRET, SpyStore
from tests.servers.process import free_port

Make = Callable[..., TestApp]


def starts(**settings: Any) -> None:
    named = {f"sessionkit.{name}": value for name, value in settings.items()}
    config = Configurator(settings={"sessionkit.secret": SECRET, **named})
    config.include("pyramid_sessionkit")
    config.make_wsgi_app()


class TestStartUp:
    @pytest.mark.parametrize("dotted", ["..", "...x"])
    def test_a_dotted_name_of_dots_names_the_setting(self, dotted: str) -> None:
        with pytest.raises(ConfigurationError, match=r"sessionkit\.identity = \.+x? cannot be imported"):
            starts(identity=dotted)

    @pytest.mark.parametrize("server", ["127.0.0.1:0", "127.0.0.1:99999", "[::1]:70000", "cache:65536"])
    def test_a_port_that_there_is_not_is_refused(self, server: str) -> None:
        with pytest.raises(ConfigurationError, match=r"memcached\.servers.*from 1 to 65535"):
            starts(store="memcached", **{"memcached.servers": server})

    @pytest.mark.parametrize("made", [None, object(), {}])
    def test_a_factory_that_makes_no_store_is_refused(self, made: Any) -> None:
        with pytest.raises(ConfigurationError, match="is no store: it has no load, create"):
            starts(store=lambda _: made)

    def test_a_timeout_above_the_default_lifetime_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"sessionkit\.timeout = 30d is above the default of .*lifetime"):
            starts(timeout="30d")

    @pytest.mark.parametrize(
        "settings", [{"timeout": "12h"}, {"timeout": "30d", "lifetime": "none"}, {"timeout": "none"}]
    )
    def test_other_timeouts_are_taken(self, settings: dict[str, str]) -> None:
        starts(**settings)

    def test_a_timeout_above_a_lifetime_that_was_set_is_taken(self) -> None:
        starts(timeout="30d", lifetime="12h")

    @pytest.mark.parametrize("create_table", [True, False])
    def test_a_table_of_an_older_layout_is_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, create_table: bool
    ) -> None:
        path = tmp_path / "old.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE sessions (session_key VARCHAR(64) PRIMARY KEY, data BLOB, version INTEGER)")
        settings = {"store": "sql", "sql.url": f"sqlite:///{path}", "sql.create_table": create_table}
        if create_table:
            with pytest.raises(StoreError, match="DROP TABLE sessions"):
                starts(**settings)
        else:
            starts(**settings)
            assert "DROP TABLE sessions" in caplog.text

    def test_start_up_makes_no_file_for_a_database(self, tmp_path: Path) -> None:
        starts(store="sql", **{"sql.url": f"sqlite:///{tmp_path}/none.sqlite"})
        assert list(tmp_path.iterdir()) == []

    def test_start_up_needs_no_database(self) -> None:
        starts(store="sql", **{"sql.url": f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/x"})

    def test_the_policy_is_one(self) -> None:
        assert verifyObject(ISecurityPolicy, SessionSecurityPolicy())


class TestUserids:
    @pytest.mark.parametrize("userid", [7, "7", UUID(int=7)])
    def test_what_a_source_returns_becomes_text(self, make_app: Make, userid: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_session_source(lambda request: userid)

        app = make_app({"/": lambda request: Response(repr(request.authenticated_userid))}, configure=configure)
        assert app.get("/").text == repr(str(userid))

    @pytest.mark.parametrize("userid", [7, UUID(int=7)])
    def test_a_number_ends_all_its_sessions(self, make_app: Make, spy: SpyStore, userid: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_session_source(lambda request: userid if request.params else None)

        def login(request: Request) -> Response:
            remember(request, userid)
            return Response()

        views = {"/login": login, "/all": lambda request: Response(str(user_sessions(request).revoke_all()))}
        app = make_app(views, configure=configure)
        app.get("/login")
        assert TestApp(app.app).get("/all?x=1").text == "1"
        assert spy.store.count() == 0

    @pytest.mark.parametrize("userid", [object(), True, 1.5, "", b"7", ["7"]])
    def test_anything_else_is_refused_by_remember(self, make_app: Make, userid: Any) -> None:
        app = make_app({"/": lambda request: remember(request, userid)})
        with pytest.raises(ValueError, match="the id of a user"):
            app.get("/")

    @pytest.mark.parametrize("userid", [object(), True, 1.5])
    def test_anything_else_is_refused_from_a_source(self, make_app: Make, userid: Any) -> None:
        def configure(config: Configurator) -> None:
            config.add_session_source(lambda request: userid)

        app = make_app({"/": lambda request: Response(str(request.identity))}, configure=configure)
        with pytest.raises(ValueError, match="where the id of a user belongs"):
            app.get("/")

    @pytest.mark.parametrize("call", [lambda r: remember(r, "ada", max_age=5), lambda r: forget(r, max_age=5)])
    def test_an_unknown_argument_names_what_to_use(self, make_app: Make, call: Any) -> None:
        with pytest.raises(TypeError, match=r"takes no max_age: pass persistent=True"):
            make_app({"/": call}).get("/")

    def test_a_user_who_is_gone_loses_the_session(self, make_app: Make, spy: SpyStore) -> None:
        users = {"7": "ada"}
        told: list[SessionEvent] = []

        def configure(config: Configurator) -> None:
            config.set_session_identity(lambda request, userid: users.get(userid))
            config.add_subscriber(told.append, SessionEvent)

        def login(request: Request) -> Response:
            request.session["private"] = "of the first"
            remember(request, 7)
            return Response()

        views = {"/login": login, "/who": lambda request: Response(f"{request.identity} {dict(request.session)}")}
        app = make_app(views, configure=configure)
        app.get("/login")
        assert "ada" in app.get("/who").text
        users.clear()
        assert app.get("/who").text == "None {}"
        users["7"] = "eve"
        assert app.get("/who").text == "None {}"
        assert spy.store.count() == 0
        assert told[-1].reason == "user_gone"  # type: ignore[attr-defined]


class TestRequests:
    def test_a_referrer_that_is_no_address(self, make_app: Make) -> None:
        def configure(config: Configurator) -> None:
            config.add_route("login", "/login")
            config.add_route("gated", "/gated")
            config.add_view(lambda request: Response(), route_name="gated", logged_in=True)

        app = make_app({}, configure=configure, login_route="login")
        assert app.post("/gated", headers={"Referer": "http://["}).location == "http://localhost/login"

    def test_a_file_named_next_goes_to_the_default(self, make_app: Make) -> None:
        app = make_app({"/": lambda request: HTTPSeeOther(safe_next(request, "/home"))})
        assert app.post("/", {"next": Upload("a.txt", b"x", "text/plain")}).location == "http://localhost/home"

    @pytest.mark.parametrize("copies", [3, 9])
    def test_copies_of_a_dead_cookie_hide_no_live_one(self, make_app: Make, copies: int) -> None:
        def write(request: Request) -> Response:
            request.session["a"] = 1
            return Response()

        app = make_app({"/write": write, "/read": lambda request: Response(str(request.session.get("a")))})
        app.get("/write")
        dead = CookieSigner("session", [SECRET.encode()]).sign(Presented("d" * 22, "s" * 43))
        header = "; ".join([f"session={dead}"] * copies + [f"session={app.cookies['session']}"])
        app.reset()
        assert app.get("/read", headers={"Cookie": header}).text == "1"

    def test_a_policy_that_has_a_method_named_user(self, make_app: Make) -> None:
        @implementer(ISecurityPolicy)
        class Own:
            def user(self) -> None:
                raise AssertionError

            def identity(self, request: Request) -> None:
                return None

            authenticated_userid = identity

            def permits(self, request: Request, context: Any, permission: str) -> bool:
                return True

            def remember(self, request: Request, userid: str, **kw: Any) -> list[Any]:
                return []

            forget = remember

        def configure(config: Configurator) -> None:
            config.set_security_policy(Own())
            config.set_default_csrf_options(require_csrf=True)

        views = {"/form": lambda r: Response(r.session.get_csrf_token()), "/post": lambda r: Response("done")}
        app = make_app(views, configure=configure)
        assert app.post("/post", {"csrf_token": app.get("/form").text}).text == "done"


class TestResponses:
    @pytest.mark.parametrize("when", ["in the view", "in a callback"])
    def test_one_response_object_for_everybody(self, make_app: Make, when: str) -> None:
        shared = Response("the same")

        def view(request: Request) -> Response:
            if "new" in request.params and when == "in the view":
                request.session["visitor"] = 1
            elif "new" in request.params:
                request.add_response_callback(lambda request, _: request.session.setdefault("visitor", 1))
            return shared

        app = make_app({"/": view})
        first = app.get("/?new=1")
        assert "Set-Cookie" in first.headers
        assert "Set-Cookie" not in TestApp(app.app).get("/").headers
        second = TestApp(app.app).get("/?new=1")
        assert len(second.headers.getall("Set-Cookie")) == 1
        assert second.headers["Set-Cookie"] != first.headers["Set-Cookie"]

    def test_cookie_options_are_asked_once_for_a_response(self, make_app: Make) -> None:
        asked: list[Request] = []

        def options(request: Request) -> dict[str, str]:
            asked.append(request)
            return {"cookie_samesite": "Strict"}

        def write(request: Request) -> Response:
            request.session["a"] = 1
            return Response()

        app = make_app({"/": write}, cookie_options=options)
        assert "SameSite=Strict" in app.get("/").headers["Set-Cookie"]
        assert len(asked) == 1

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_an_aborted_transaction_may_be_tried_again(self, make_app: Make, spy: SpyStore, method: str) -> None:
        def view(request: Request) -> Response:
            request.session["a"] = 1
            request.tm.doom()
            spy.failing["update"] = StoreUnavailable("down")
            return Response()

        app = make_app(
            {"/": view, "/new": lambda r: Response(str(r.session.setdefault("n", 1)))}, includes=("pyramid_tm",)
        )
        app.get("/new")
        answer = getattr(app, method)("/", status=503)
        assert answer.headers["Retry-After"] == "5"

    def test_a_committed_one_must_not(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            request.session["a"] = 1
            spy.failing["update"] = StoreUnavailable("down")
            return Response()

        app = make_app(
            {"/": view, "/new": lambda r: Response(str(r.session.setdefault("n", 1)))}, includes=("pyramid_tm",)
        )
        app.get("/new")
        assert "Retry-After" not in app.post("/", status=503).headers

    @pytest.mark.parametrize("streams", [True, False])
    def test_a_late_change_inside_a_list_is_logged(
        self, make_app: Make, caplog: pytest.LogCaptureFixture, streams: bool
    ) -> None:
        def view(request: Request) -> Response:
            cart = request.session.setdefault("cart", [1])

            def late(*_: Any) -> None:
                cart.append(2)

            def body() -> Any:
                yield b"a"
                late()

            if streams:
                return Response(app_iter=body())
            request.add_finished_callback(late)
            return Response()

        app = make_app({"/": view, "/read": lambda request: Response(str(request.session["cart"]))})
        app.get("/")
        gc.collect()
        assert "was changed inside a list or dict after it was saved" in caplog.text
        caplog.clear()
        assert app.get("/read").text == "[1]"
        gc.collect()
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class TestEndings:
    def test_a_logout_after_a_change_of_password_elsewhere(self, make_app: Make, spy: SpyStore) -> None:
        passwords = {"ada": "1"}

        def login(request: Request) -> Response:
            remember(request, "ada")
            return Response()

        def logout(request: Request) -> Response:
            assert request.authenticated_userid is None
            forget(request)
            return Response()

        def configure(config: Configurator) -> None:
            config.set_session_credentials_hash(lambda request, identity: passwords[identity])

        app = make_app({"/login": login, "/logout": logout}, configure=configure)
        app.get("/login")
        passwords["ada"] = "2"
        assert app.post("/logout").status_int == 200
        assert spy.store.count() == 0

    def test_who_is_logged_in_may_be_asked_after_the_response(self, make_app: Make) -> None:
        users, seen = {"ada"}, []

        def login(request: Request) -> Response:
            remember(request, "ada")
            return Response()

        def view(request: Request) -> Response:
            request.add_finished_callback(lambda request: seen.append(request.authenticated_userid))
            return Response()

        def configure(config: Configurator) -> None:
            config.set_session_identity(lambda request, userid: userid if userid in users else None)

        app = make_app({"/login": login, "/": view}, configure=configure)
        app.get("/login")
        users.clear()
        app.get("/")
        assert seen == [None]

    def test_a_logout_beside_a_new_id_may_say_goodbye(self, make_app: Make, spy: SpyStore) -> None:
        def login(request: Request) -> Response:
            remember(request, "ada")
            return Response()

        def logout(request: Request) -> Response:
            forget(request)
            request.session.flash("Goodbye")
            return Response()

        views = {
            "/login": login,
            "/logout": logout,
            "/regenerate": lambda request: Response(str(request.session.regenerate_id())),
            "/flash": lambda request: Response(str(request.session.pop_flash())),
        }
        app = make_app(views)
        app.get("/login")
        other = TestApp(app.app)
        other.set_cookie("session", app.cookies["session"])
        app.get("/regenerate")
        assert other.post("/logout").status_int == 200
        assert list(spy.store.sessions_of("ada")) == []
        assert other.get("/flash").text == "['Goodbye']"

    def test_a_dead_cookie_ends_no_session_that_it_met(
        self, make_app: Make, spy: SpyStore, clock: Callable[[float], None]
    ) -> None:
        def view(request: Request) -> Response:
            request.session[request.params["name"]] = 1
            if "end" in request.params:
                request.session.save()
                request.session.invalidate()
            return Response()

        app = make_app({"/": view})
        clock(0)
        app.post("/?name=old")
        clock(13 * 3600)
        other = TestApp(app.app)
        other.set_cookie("session", app.cookies["session"])
        app.post("/?name=mine")
        other.post("/?name=theirs&end=1")
        contents = [spy.store.load(key).data for key, _ in spy.store.live_sessions(9)]
        assert contents == [b'{"mine":1,"theirs":1}']


class TestLimits:
    @pytest.mark.parametrize("first", ["set_expiry", "remember"])
    def test_expiry_set_before_a_login_holds(self, make_app: Make, spy: SpyStore, first: str) -> None:
        def view(request: Request) -> Response:
            if first == "remember":
                remember(request, "ada")
            request.session.set_expiry(timeout=60, lifetime=600, persistent=True)
            if first == "set_expiry":
                remember(request, "ada")
            return Response()

        answer = make_app({"/": view}).get("/")
        ((_, record),) = spy.store.sessions_of("ada")
        assert (record.timeout, record.deadline - record.created, record.persistent) == (60, 600, True)
        assert "Max-Age=" in answer.headers["Set-Cookie"]

    def test_what_remember_is_told_wins(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            request.session.set_expiry(persistent=True)
            remember(request, "ada", persistent=False)
            return Response()

        make_app({"/": view}).get("/")
        ((_, record),) = spy.store.sessions_of("ada")
        assert record.persistent is False


class TestEvents:
    def test_a_subscriber_that_fails_stops_no_other(self, make_app: Make, caplog: pytest.LogCaptureFixture) -> None:
        told: list[Any] = []

        def fails(event: Any) -> None:
            raise RuntimeError("no")

        def configure(config: Configurator) -> None:
            config.add_subscriber(fails, SessionEvent)
            config.add_subscriber(told.append, SessionEvent)

        def write(request: Request) -> Response:
            request.session["a"] = 1
            return Response()

        make_app({"/": write}, configure=configure).get("/")
        assert len(told) == 1
        assert "A subscriber of SessionCreated failed" in caplog.text


class TestAboveMaxSize:
    """Merges may take a session above ``max_size``. It must stay of use."""

    @pytest.fixture
    def large(self, make_app: Make) -> TestApp:
        def merge(request: Request) -> Response:
            for number in range(4):
                name = f"k{number}"
                if request.session.get(name) is None:
                    inner = Request.blank(f"/put?name={name}", headers={"Cookie": request.headers["Cookie"]})
                    request.invoke_subrequest(inner, use_tweens=True)
            request.session["mine"] = "y" * 800
            return Response()

        def put(request: Request) -> Response:
            request.session[request.params["name"]] = "x" * 150
            return Response()

        def login(request: Request) -> Response:
            remember(request, "ada")
            return Response()

        def shrink(request: Request) -> Response:
            del request.session["mine"]
            return Response()

        views = {
            "/merge": merge,
            "/put": put,
            "/login": login,
            "/shrink": shrink,
            "/out": lambda request: Response(str(forget(request))),
            "/grow": lambda request: Response(str(request.session.update(more="z" * 50))),
            "/size": lambda request: Response(str(len(str(dict(request.session))))),
        }
        app = make_app(views, max_size="1000", reissue_time="1")
        app.get("/put?name=first")
        app.get("/merge")
        assert int(app.get("/size").text) > 1000
        return app

    @pytest.mark.parametrize("path", ["/size", "/login", "/shrink", "/out"])
    def test_it_stays_of_use(self, large: TestApp, path: str) -> None:
        assert large.get(path).status_int == 200

    def test_it_may_not_grow(self, large: TestApp) -> None:
        with pytest.raises(Exception, match="max_size"):
            large.get("/grow")

    def test_once_shrunk_it_is_as_any_other(self, large: TestApp) -> None:
        large.get("/shrink")
        large.get("/size")
