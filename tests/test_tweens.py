"""When a session is saved and what the visitor is told."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import transaction
from pyramid.events import NewResponse
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import ITweens
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import RetryableException
from webtest import TestApp

from pyramid_sessionkit import SessionClosed, SessionNotSerializable, StoreError, StoreUnavailable
from tests.conftest import SpyStore
from tests.cookie_age import lasts

Make = Callable[..., TestApp]
COOKIE = "session"


def write(request: Request) -> Response:
    request.session["a"] = request.params.get("a", 1)
    return Response("written")


def read(request: Request) -> Response:
    return Response(f"a={request.session.get('a')}")


def untouched(request: Request) -> Response:
    return Response("nothing")


def end(request: Request) -> Response:
    request.session.invalidate()
    return Response("ended")


def status(code: int) -> Callable[[Request], Response]:
    def view(request: Request) -> Response:
        request.session["a"] = code
        return Response(f"{code}", status=code)

    return view


VIEWS = {"/write": write, "/read": read, "/untouched": untouched, "/end": end}


class TestStoreCalls:
    @pytest.fixture(params=[(), ("pyramid_tm",)], ids=["bare", "pyramid_tm"])
    def app(self, make_app: Make, request: pytest.FixtureRequest) -> TestApp:
        return make_app(VIEWS, includes=request.param)

    def test_without_a_cookie_there_are_none(self, app: TestApp, spy: SpyStore) -> None:
        app.get("/read")
        app.get("/untouched")
        assert spy.calls == []
        assert COOKIE not in app.cookies

    @pytest.mark.parametrize(
        "forged",
        ["x" * 22 + "." + "y" * 43 + "." + "z" * 43, "x" * 43 + "." + "y" * 43, "short", "", '"', "x" * 43, "ü" * 110],
    )
    def test_with_a_forged_one_there_are_none(self, app: TestApp, spy: SpyStore, forged: str) -> None:
        assert app.get("/read", headers={"Cookie": f"session={forged}"}).text == "a=None"
        assert spy.calls == []

    def test_each_kind_of_use(self, app: TestApp, spy: SpyStore) -> None:
        for path, calls in [
            ("/write", ["create"]),
            ("/untouched", []),
            ("/read", ["load"]),
            ("/write?a=2", ["load", "update"]),
            ("/write?a=2", ["load"]),
            ("/end", ["load", "delete"]),
        ]:
            spy.calls.clear()
            app.get(path)
            assert spy.calls == calls, path

    def test_an_undecodable_cookie_beside_ours_does_not_matter(self, app: TestApp) -> None:
        app.get("/write")
        value = app.cookies[COOKIE]
        app.reset()
        for other in (r'x="\377"', "x=\xff", "=;;", "\x00"):
            assert app.get("/read", headers={"Cookie": f"{other}; session={value}"}).text == "a=1"

    def test_the_first_of_several_that_is_alive_is_used_three_tried(self, app: TestApp, spy: SpyStore) -> None:
        values = []
        for number in range(4):
            app.reset()
            app.get(f"/write?a={number}")
            values.append(app.cookies[COOKIE])
        app.reset()
        for value in values[:2]:
            app.get("/end", headers={"Cookie": f"session={value}"})
            app.reset()
        spy.calls.clear()
        header = "; ".join(f"session={value}" for value in ["forged.x." + "x" * 40, *values])
        assert app.get("/read", headers={"Cookie": header}).text == "a=2"
        assert spy.calls == ["load"] * 3
        app.reset()
        app.get("/end", headers={"Cookie": f"session={values[2]}"})
        app.reset()
        assert app.get("/read", headers={"Cookie": header}).text == "a=None"


def test_statics_with_pyramid_tm_make_no_call(make_app: Make, spy: SpyStore) -> None:
    app = make_app(VIEWS, includes=("pyramid_tm",), configure=lambda c: c.add_static_view("static", "tests:stores"))
    app.get("/write")
    spy.calls.clear()
    app.get("/static/test_memory.py")
    assert spy.calls == []


class TestHeaders:
    def test_vary_only_where_the_session_was_looked_at(self, make_app: Make) -> None:
        app = make_app(VIEWS)
        assert app.get("/read").headers["Vary"] == "Cookie"
        assert "Vary" not in app.get("/untouched").headers

    def test_a_cookie_is_sent_for_a_new_secret_alone(self, make_app: Make) -> None:
        app = make_app(VIEWS)
        assert "Set-Cookie" in app.get("/write").headers
        assert "Set-Cookie" not in app.get("/write?a=2").headers
        assert app.get("/write?a=2").headers.get("Cache-Control") is None

    def test_an_ended_session_takes_its_cookie_with_it(self, make_app: Make) -> None:
        app = make_app(VIEWS, cookie_name="__Host-id", **{"cookie_secure": "auto"})
        app.get("https://localhost/write")
        header = app.get("https://localhost/end").headers["Set-Cookie"]
        assert header.startswith("__Host-id=; Max-Age=0;")
        assert "; Path=/; Secure;" in header

    def test_a_cookie_whose_record_is_gone_is_left_alone(self, make_app: Make, spy: SpyStore) -> None:
        app = make_app(VIEWS)
        app.get("/write")
        spy.store.clear()
        assert "Set-Cookie" not in app.get("/read").headers

    def test_no_session_is_stored_for_a_cookie_that_cannot_be_sent(
        self, make_app: Make, spy: SpyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = make_app(VIEWS, cookie_secure="true")
        for _ in range(2):
            assert "Set-Cookie" not in app.get("/write").headers
        assert spy.calls == []
        assert caplog.text.count("sessionkit.cookie_secure is true but the request came over plain HTTP") == 1

    def test_a_persistent_cookie_lasts_to_the_deadline(self, make_app: Make) -> None:
        app = make_app(VIEWS, persistent="true", timeout="1h", lifetime="2h")
        assert lasts(app.get("/write"), 7200)
        assert "Set-Cookie" not in app.get("/write?a=2").headers

    def test_with_rolling_it_is_sent_each_time(self, make_app: Make) -> None:
        app = make_app(VIEWS, persistent="true", timeout="1h", rolling="true")
        for path in ("/write", "/read", "/write?a=2", "/write?a=2"):
            assert lasts(app.get(path), 3600), path
        assert "Set-Cookie" not in app.get("/untouched").headers

    def test_a_renewal_sends_no_persistent_cookie_again(self, make_app: Make, clock: Any) -> None:
        app = make_app(VIEWS, persistent="true", timeout=100, reissue_time=10)
        app.get("/write")
        clock(20)
        assert "Set-Cookie" not in app.get("/read").headers
        clock(110)
        assert app.get("/read").text == "a=1"


def has_tm(app: TestApp) -> bool:
    return any(name == "pyramid_tm.tm_tween_factory" for name, _ in app.app.registry.getUtility(ITweens).implicit())


class TestReplacedCookie:
    """What a browser may still do with a cookie whose secret was replaced a moment ago."""

    @pytest.fixture(params=[(), ("pyramid_tm",)], ids=["bare", "pyramid_tm"])
    def app(self, make_app: Make, request: pytest.FixtureRequest) -> TestApp:
        def regenerate(request: Request) -> Response:
            request.session.regenerate_id()
            return Response("new secret")

        def log_in(request: Request) -> Response:
            request.session.login(request.params["user"])
            return Response("in")

        app = make_app({**VIEWS, "/regenerate": regenerate, "/in": log_in}, includes=request.param)
        app.get("/write")
        return app

    @pytest.fixture
    def late(self, app: TestApp) -> TestApp:
        """The same browser, in a request that it sent before it had the new cookie."""
        late = TestApp(app.app)
        late.set_cookie(COOKIE, app.cookies[COOKIE])
        app.get("/regenerate")
        return late

    def test_it_reads_as_an_anonymous_visitor(self, app: TestApp, late: TestApp) -> None:
        response = late.get("/read")
        assert (response.text, "Set-Cookie" in response.headers) == ("a=None", False)
        assert app.get("/read").text == "a=1"

    def test_what_a_get_puts_in_is_dropped_and_logged(
        self, app: TestApp, late: TestApp, spy: SpyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert "Set-Cookie" not in late.get("/write?a=2").headers
        assert "its cookie was just replaced" in caplog.text
        assert app.get("/read").text == "a=1"
        assert spy.store.count() == 1

    def test_what_a_post_puts_in_is_a_503_to_try_again(self, app: TestApp, late: TestApp, spy: SpyStore) -> None:
        response = late.post("/write?a=2", status=503)
        assert "Set-Cookie" not in response.headers
        # Without pyramid_tm nobody knows whether what the view did stays.
        assert response.headers.get("Retry-After") == ("1" if has_tm(app) else None)
        assert app.get("/read").text == "a=1"
        assert spy.store.count() == 1

    def test_a_post_that_puts_nothing_in_is_served(self, late: TestApp) -> None:
        assert "Set-Cookie" not in late.post("/read").headers

    def test_its_browser_may_still_log_out(self, app: TestApp, late: TestApp, spy: SpyStore) -> None:
        late.post("/end")
        assert spy.store.count() == 0
        assert app.get("/read").text == "a=None"

    def test_it_cannot_log_out_who_logged_in_since(self, app: TestApp, spy: SpyStore) -> None:
        late = TestApp(app.app)
        late.set_cookie(COOKIE, app.cookies[COOKIE])
        app.get("/in?user=ada")
        late.post("/end", status=503)
        assert app.get("/read").text == "a=1"

    def test_a_login_goes_through(self, app: TestApp, late: TestApp) -> None:
        assert "Set-Cookie" in late.post("/in?user=ada").headers
        assert late.get("/read").text == "a=None"
        assert app.get("/read").text == "a=1"

    def test_the_same_login_twice_sends_the_same_cookie(self, app: TestApp, spy: SpyStore) -> None:
        late = TestApp(app.app)
        late.set_cookie(COOKIE, app.cookies[COOKIE])
        app.post("/in?user=ada")
        late.post("/in?user=ada")
        assert late.cookies[COOKIE] == app.cookies[COOKIE]
        assert spy.store.count() == 1

    def test_after_half_a_minute_it_is_dead(self, app: TestApp, late: TestApp, clock: Any, spy: SpyStore) -> None:
        clock(31)
        assert "Set-Cookie" in late.post("/write?a=2").headers
        assert late.get("/read").text == "a=2"
        assert app.get("/read").text == "a=1"
        assert late.cookies[COOKIE].partition(".")[0] != app.cookies[COOKIE].partition(".")[0]


class TestStatus:
    @pytest.mark.parametrize("code", [200, 303, 400, 404, 500, 503])
    @pytest.mark.parametrize("save_on_error", [False, True])
    def test_nothing_is_saved_for_a_5xx(self, make_app: Make, code: int, save_on_error: bool) -> None:
        app = make_app({**VIEWS, "/status": status(code)}, save_on_error=save_on_error)
        app.get("/status", status=code)
        saved = app.get("/read").text == f"a={code}"
        assert saved is (code < 500 or save_on_error)
        assert (COOKIE in app.cookies) is saved

    def test_an_ending_is_carried_out_even_then(self, make_app: Make) -> None:
        def fail_after_ending(request: Request) -> Response:
            request.session.invalidate()
            request.session["b"] = 1
            if request.params:
                raise RuntimeError
            return Response(status=500)

        app = make_app({**VIEWS, "/fail": fail_after_ending})
        for path in ("/fail", "/fail?raise=1"):
            app.get("/write")
            value = app.cookies[COOKIE]
            with contextlib.suppress(RuntimeError):
                app.get(path, status=500)
            app.reset()
            assert app.get("/read", headers={"Cookie": f"session={value}"}).text == "a=None"

    def test_an_unhandled_exception_saves_nothing(self, make_app: Make, spy: SpyStore) -> None:
        def fail(request: Request) -> Response:
            request.session["a"] = 2
            raise RuntimeError

        app = make_app({**VIEWS, "/fail": fail})
        app.get("/write")
        with pytest.raises(RuntimeError):
            app.get("/fail")
        assert app.get("/read").text == "a=1"

    def test_an_unhandled_exception_makes_no_session_whose_cookie_cannot_be_sent(
        self, make_app: Make, spy: SpyStore
    ) -> None:
        def fail(request: Request) -> Response:
            request.session["a"] = 2
            raise RuntimeError

        app = make_app({**VIEWS, "/fail": fail}, save_on_error=True)
        with pytest.raises(RuntimeError):
            app.get("/fail")
        assert spy.calls == []
        app.get("/write")
        with pytest.raises(RuntimeError):
            app.get("/fail")
        assert app.get("/read").text == "a=2"

    def test_a_raised_redirect_saves(self, make_app: Make) -> None:
        def redirect(request: Request) -> Response:
            request.session["a"] = 2
            raise HTTPSeeOther("/read")

        app = make_app({**VIEWS, "/redirect": redirect}, includes=("pyramid_tm",))
        app.get("/write")
        assert app.get("/redirect").follow().text == "a=2"


class TestOrder:
    def test_a_session_that_cannot_be_saved_aborts_the_transaction(self, make_app: Make) -> None:
        outcome = []

        class Manager:
            transaction_manager = None

            def sortKey(self) -> str:
                return "a"

            def abort(self, _: Any) -> None:
                outcome.append("abort")

            def tpc_finish(self, _: Any) -> None:
                outcome.append("commit")

            tpc_begin = commit = tpc_vote = tpc_abort = lambda self, _: None

        def view(request: Request) -> Response:
            request.tm.get().join(Manager())
            request.session["a"] = object() if request.params else 1
            return Response("ok")

        app = make_app({"/": view}, includes=("pyramid_tm",))
        app.get("/")
        assert outcome == ["commit"]
        with pytest.raises(SessionNotSerializable, match="a: object"):
            app.get("/?bad=1")
        assert outcome == ["commit", "abort"]

    def test_it_is_saved_after_the_transaction(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            request.tm.get().addAfterCommitHook(lambda committed: spy.calls.append(f"committed {committed}"))
            return write(request)

        make_app({"/": view}, includes=("pyramid_tm",)).get("/")
        assert spy.calls == ["committed True", "create"]

    @pytest.mark.parametrize("includes", [("pyramid_tm", "pyramid_sessionkit"), ("pyramid_sessionkit", "pyramid_tm")])
    def test_the_order_of_includes_does_not_matter(self, make_app: Make, includes: Any) -> None:
        app = make_app({}, includes=includes[:1], configure=lambda config: config.include(includes[1]))
        names = [name.rpartition(".")[2] for name, _ in app.app.registry.getUtility(ITweens).implicit()]
        assert names == ["outer_tween_factory", "tm_tween_factory", "inner_tween_factory", "excview_tween_factory"]

    def test_a_failed_commit_saves_nothing(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            request.tm.get().addBeforeCommitHook(fail)
            return write(request)

        def fail() -> None:
            raise transaction.interfaces.TransactionError

        app = make_app({"/": view}, includes=("pyramid_tm",))
        with pytest.raises(transaction.interfaces.TransactionError):
            app.get("/")
        assert spy.calls == []


class TestLateChanges:
    def test_a_response_callback_is_in_time(self, make_app: Make) -> None:
        def view(request: Request) -> Response:
            request.add_response_callback(first)
            request.session.get("a")
            return Response("ok")

        def first(request: Request, response: Response) -> None:
            request.add_response_callback(second)

        def second(request: Request, response: Response) -> None:
            request.session["a"] = "late"

        app = make_app({**VIEWS, "/": view})
        app.get("/")
        assert app.get("/read").text == "a=late"

    def test_a_callback_that_comes_back_for_ever_is_not_waited_for(self, make_app: Make) -> None:
        rounds = []

        def again(request: Request, response: Response) -> None:
            rounds.append(1)
            if len(rounds) < 50:
                request.add_response_callback(again)

        def view(request: Request) -> Response:
            request.add_response_callback(again)
            return write(request)

        app = make_app({**VIEWS, "/": view})
        app.get("/")
        assert app.get("/read").text == "a=1"

    @pytest.mark.parametrize("path", ["/read", "/untouched"])
    def test_a_new_response_subscriber_is_too_late(self, make_app: Make, path: str) -> None:
        def change(event: Any) -> None:
            event.request.session["a"] = "lost"

        app = make_app(VIEWS, configure=lambda config: config.add_subscriber(change, NewResponse))
        with pytest.raises(SessionClosed, match="could not be saved any more"):
            app.get(path)

    @pytest.mark.parametrize("first_use", [True, False])
    def test_a_streaming_body_is_too_late(self, make_app: Make, first_use: bool) -> None:
        def view(request: Request) -> Response:
            def body() -> Any:
                request.session["a"] = "lost"
                yield b"never"

            if not first_use:
                request.session.get("a")
            return Response(app_iter=body())

        with pytest.raises(SessionClosed):
            make_app({"/": view}).get("/")

    def test_an_explicit_save_stays_saved(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            request.session["a"] = "kept"
            request.session.save()
            request.session["a"] = "lost"
            return Response(status=500)

        app = make_app({**VIEWS, "/": view})
        app.get("/", status=500)
        assert app.get("/read").text == "a=kept"

    @pytest.mark.parametrize("use_tweens", [True, False])
    def test_a_subrequest_saves_its_own(self, make_app: Make, spy: SpyStore, use_tweens: bool) -> None:
        def parent(request: Request) -> Response:
            return request.invoke_subrequest(Request.blank("/write"), use_tweens=use_tweens)

        app = make_app({**VIEWS, "/parent": parent})
        app.get("/parent")
        assert spy.calls == ["create"]
        assert app.get("/read").text == "a=1"

    def test_a_class_of_requests_may_have_its_callbacks_elsewhere(self, make_app: Make) -> None:
        class Own(Request):  # type: ignore[misc]
            @property
            def response_callbacks(self) -> Any:
                return self.__dict__.setdefault("own_callbacks", deque())

        app = make_app(VIEWS, configure=lambda config: config.set_request_factory(Own))
        assert "Set-Cookie" in app.get("/write").headers


class TestOutage:
    @pytest.fixture(params=["get", "post"])
    def method(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=[(), ("pyramid_tm",)], ids=["bare", "pyramid_tm"])
    def app(self, make_app: Make, request: pytest.FixtureRequest) -> TestApp:
        app = make_app(VIEWS, includes=request.param)
        app.get("/write")
        return app

    @pytest.mark.parametrize(
        ("operation", "path"), [("load", "/read"), ("load", "/end"), ("update", "/write?a=2"), ("delete", "/end")]
    )
    def test_a_503_and_the_cookie_is_left_alone(
        self, app: TestApp, spy: SpyStore, operation: str, path: str, method: str
    ) -> None:
        spy.failing[operation] = StoreUnavailable("down")
        response = getattr(app, method)(path, status=503)
        assert "Set-Cookie" not in response.headers
        assert "ended" not in response.text
        # After the view ran, sending the same again could do the same again.
        assert ("Retry-After" in response.headers) is (method == "get" or operation == "load")
        spy.failing.clear()
        assert app.get("/read").text == "a=1"

    def test_a_page_that_does_not_touch_the_session_is_served(self, app: TestApp, spy: SpyStore) -> None:
        spy.failing["load"] = StoreUnavailable("down")
        app.get("/untouched")

    def test_annotate_user_cannot_break_the_server(self, make_app: Make, spy: SpyStore) -> None:
        app = make_app(VIEWS, includes=("pyramid_tm",), **{"tm.annotate_user": "true"})
        app.get("/write")
        spy.failing["load"] = StoreUnavailable("down")
        app.get("/read", status=503)

    def test_an_exception_view_renders_it(self, make_app: Make, spy: SpyStore) -> None:
        def view(error: StoreUnavailable, request: Request) -> Response:
            return Response(f"sorry: {error}", status=503)

        app = make_app(VIEWS, configure=lambda c: c.add_exception_view(view, context=StoreUnavailable))
        app.get("/write")
        spy.failing["update"] = StoreUnavailable("down")
        assert app.get("/write?a=2", status=503).text == "sorry: down"
        spy.failing["load"] = StoreUnavailable("down")
        assert app.get("/read", status=503).text == "sorry: down"

    @pytest.mark.parametrize("operation", ["load", "update"])
    def test_a_catch_all_view_cannot_make_it_a_success(self, make_app: Make, spy: SpyStore, operation: str) -> None:
        app = make_app(
            VIEWS, configure=lambda c: c.add_exception_view(lambda e, r: Response("oops"), context=Exception)
        )
        app.get("/write")
        spy.failing[operation] = StoreUnavailable("down")
        app.post("/write?a=2", status=503)

    def test_an_exception_view_that_fails_itself(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            return Response(request.session["a"])

        app = make_app(
            VIEWS, includes=("pyramid_tm",), configure=lambda c: c.add_exception_view(view, context=StoreUnavailable)
        )
        app.get("/write")
        spy.failing["load"] = StoreUnavailable("down")
        assert "still logged in" in app.get("/read", status=503).text

    def test_a_store_that_fails_after_the_tweens(self, make_app: Make, spy: SpyStore) -> None:
        def view(request: Request) -> Response:
            request.add_response_callback(lambda request, response: request.session.update(a="late"))
            return Response("fine", headers={"X-Fine": "yes"})

        app = make_app({**VIEWS, "/late": view})
        app.get("/write")
        spy.failing["update"] = StoreUnavailable("down")
        response = app.get("/late", status=503)
        assert "fine" not in response.text
        assert "X-Fine" not in response.headers

    def test_a_refusal_is_a_500_by_the_applications_view(self, make_app: Make, spy: SpyStore) -> None:
        def view(error: StoreError, request: Request) -> Response:
            return Response(str(error), status=500)

        app = make_app(VIEWS, configure=lambda c: c.add_exception_view(view, context=StoreError))
        app.get("/write")
        spy.failing["update"] = StoreError("no such table")
        assert app.get("/write?a=2", status=500).text == "no such table"

    def test_a_refusal_without_a_view_is_raised(self, make_app: Make, spy: SpyStore) -> None:
        app = make_app(VIEWS)
        spy.failing["create"] = StoreError("no such table")
        with pytest.raises(StoreError):
            app.get("/write")

    def test_an_unhandled_exception_stays_itself(
        self, make_app: Make, spy: SpyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        def view(request: Request) -> Response:
            request.session.invalidate()
            raise RuntimeError("the view's own")

        app = make_app({**VIEWS, "/": view})
        app.get("/write")
        spy.failing["delete"] = StoreUnavailable("down")
        with pytest.raises(RuntimeError, match="the view's own"):
            app.get("/")
        assert "could not be saved or ended either" in caplog.text


class TestRetry:
    def make(self, make_app: Make, rendered: bool, attempts: list[Any], succeed_at: int) -> TestApp:
        def view(request: Request) -> Response:
            session = request.session
            attempts.append(session.copy())
            session.flash("tried")
            session["n"] = len(attempts)
            if len(attempts) < succeed_at:
                raise RetryableException
            return Response("done")

        def configure(config: Any) -> None:
            if rendered:
                config.add_exception_view(lambda e, r: Response("busy", status=409), context=RetryableException)

        return make_app({**VIEWS, "/": view}, includes=("pyramid_tm", "pyramid_retry"), configure=configure)

    @pytest.mark.parametrize("rendered", [False, True])
    def test_an_attempt_that_is_thrown_away_leaves_nothing(self, make_app: Make, spy: SpyStore, rendered: bool) -> None:
        attempts: list[Any] = []
        app = self.make(make_app, rendered, attempts, succeed_at=3)
        app.get("/write")
        spy.calls.clear()
        response = app.get("/")
        assert response.text == "done"
        assert attempts == [{"a": 1}] * 3
        assert spy.calls == ["load", "load", "load", "update"]

    def test_the_last_attempt_counts(self, make_app: Make, spy: SpyStore) -> None:
        attempts: list[Any] = []
        app = self.make(make_app, True, attempts, succeed_at=9)
        response = app.get("/", status=409)
        assert spy.calls == ["create"]
        assert "Set-Cookie" in response.headers

    def test_an_ending_waits_for_the_attempt_that_counts(self, make_app: Make, spy: SpyStore) -> None:
        attempts = []

        def view(request: Request) -> Response:
            request.session.invalidate()
            attempts.append(1)
            if len(attempts) < 2:
                raise RetryableException
            return Response("ended")

        app = make_app({**VIEWS, "/": view}, includes=("pyramid_retry",))
        app.get("/write")
        spy.calls.clear()
        app.get("/")
        assert spy.calls == ["load", "load", "delete"]
