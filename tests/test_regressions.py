"""What once went wrong, or could go wrong unnoticed: each test fails where its cure is undone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from typing import Any

import orjson
import pytest
import sqlalchemy
from pyramid.events import NewResponse
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from pyramid_retry import RetryableException, mark_error_retryable
from webtest import TestApp

from pyramid_sessionkit import (
    SessionClosed,
    SessionGone,
    SessionNotSerializable,
    SessionTooLarge,
    StoreError,
    StoreUnavailable,
    get_sessions,
)
from pyramid_sessionkit.interfaces import Record, unreadable
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id.cookie import CookieSigner
from pyramid_sessionkit.settings import LONGEST_DURATION, Settings, parse_settings
from pyramid_sessionkit.state import Presented
from pyramid_sessionkit.stores import memory as memory_module
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.sql import SQLStore, sessions_table
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import KEY, make_record
from pyramid_sessionkit.userid import LONGEST_USERID
from tests.conftest import SECRET, SentCookies, SpyStore, cookie_of

Open = Callable[..., Session]
Serve = Callable[..., TestApp]
View = Callable[[Request], Any]

CONTENTS = {"a": 1, "cart": ["x"], "_f_": ["one"]}
BARE_AND_TM = pytest.mark.parametrize("includes", [(), ("pyramid_tm",)], ids=["bare", "pyramid_tm"])


def put(request: Request) -> Response:
    request.session["a"] = 1
    request.session["cart"] = ["x"]
    request.session.flash("one")
    return Response("put")


def show(request: Request) -> Response:
    return Response(json_body={"contents": request.session.copy(), "userid": request.session.userid})


@pytest.fixture
def serve(make_app: Serve) -> Serve:
    """An application with the given view at ``/``, in the browser of a visitor who has a session unless ``new``."""

    def serve_(view: View, *, new: bool = False, **options: Any) -> TestApp:
        def answer(request: Request) -> Response:
            returned = view(request)
            return returned if isinstance(returned, Response) else Response("ok")

        app = make_app({"/": answer, "/put": put, "/show": show}, **options)
        if not new:
            app.get("/put")
        return app

    return serve_


def contents_of(app: TestApp) -> dict[str, Any]:
    contents: dict[str, Any] = app.get("/show").json["contents"]
    return contents


def userid_of(app: TestApp) -> str | None:
    userid: str | None = app.get("/show").json["userid"]
    return userid


def with_catch_all(config: Any) -> None:
    """An exception view that takes everything for a success."""
    config.add_exception_view(lambda error, request: Response("oops"), context=Exception)


def with_callback(callback: Callable[[Session], Any], before: str = "") -> View:
    """A view with a response callback, which reads a key of the session before if one is named."""

    def view(request: Request) -> None:
        if before:
            assert request.session[before]
        request.add_response_callback(lambda request, response: callback(request.session))

    return view


class TestTheCookieIsTheOneThatIsStored:
    @pytest.mark.parametrize("change", [Session.regenerate_id, lambda session: session.login("ada")])
    @pytest.mark.parametrize("failure", ["5xx", "outage"])
    @pytest.mark.parametrize("new", [True, False])
    def test_where_a_new_secret_was_asked_for_but_not_stored(
        self, serve: Serve, spy: SpyStore, change: Callable[[Session], Any], failure: str, new: bool
    ) -> None:
        def view(request: Request) -> Response:
            request.session["a"] = 2
            request.session.set_expiry(lifetime=5000)
            request.session.save()
            change(request.session)
            if failure == "outage":
                spy.failing["update"] = StoreUnavailable("down")
            return Response(status=500 if failure == "5xx" else 200)

        app = serve(view, new=new, persistent="true")
        response = app.get("/", status="5*")
        spy.failing.clear()
        assert "Set-Cookie" in response.headers
        assert contents_of(app)["a"] == 2
        assert userid_of(app) is None
        assert spy.store.count() == 1

    def test_where_a_reload_follows_the_save(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            request.session["a"] = 2
            request.session.save()
            request.session.reload()
            assert request.session["a"] == 2

        app = serve(view, new=True)
        app.get("/")
        assert contents_of(app) == {"a": 2}

    def test_where_a_reload_follows_a_saved_login(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            remember(request, "ada")
            request.session.save()
            request.session.reload()

        app = serve(view)
        app.get("/")
        assert userid_of(app) == "ada"

    def test_an_ending_that_was_carried_out_deletes_it_though_a_reload_follows(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            request.session.invalidate()
            request.session.save()
            request.session.reload()

        app = serve(view)
        assert "Max-Age=0" in app.get("/").headers["Set-Cookie"]

    def test_an_ending_that_a_reload_took_back_deletes_nothing(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            request.session.invalidate()
            request.session.reload()

        app = serve(view)
        assert "Set-Cookie" not in app.get("/").headers
        assert contents_of(app) == CONTENTS

    def test_first_use_in_a_response_callback_sends_one(self, serve: Serve) -> None:
        app = serve(with_callback(lambda session: session.update(a=1)), new=True)
        assert len(app.get("/").headers.getall("Set-Cookie")) == 1

    def test_none_is_sent_for_a_session_that_another_request_ended_after_it_was_made(
        self, serve: Serve, spy: SpyStore
    ) -> None:
        def view(request: Request) -> None:
            request.session["a"] = 1
            request.session.save()
            spy.store.clear()
            request.session["a"] = 2

        assert "Set-Cookie" not in serve(view, new=True).get("/").headers

    @pytest.mark.parametrize("limits", [{"timeout": "none", "lifetime": "none"}, {"timeout": "1h"}])
    def test_a_rolling_persistent_one_is_sent_each_time(self, serve: Serve, limits: dict[str, str]) -> None:
        app = serve(lambda request: None, rolling="true", persistent="true", **limits)
        for _ in range(2):
            assert "Max-Age" in app.get("/show").headers["Set-Cookie"]

    def test_with_it_a_page_is_private_though_the_view_lets_caches_keep_it(self, serve: Serve) -> None:
        def view(request: Request) -> Response:
            request.session["a"] = 1
            return Response(cache_control="max-age=3600")

        app = serve(view, new=True)
        assert app.get("/").headers["Cache-Control"] == "private, max-age=3600"
        assert app.get("/").headers["Cache-Control"] == "max-age=3600"

    def test_a_slow_renewal_does_not_overwrite_that_of_a_login(self, serve: Serve, spy: SpyStore) -> None:
        def poll(request: Request) -> None:
            request.session.touch()

        app = serve(poll, persistent="true")
        slow = TestApp(app.app)
        slow.set_cookie("session", app.cookies["session"])

        def log_in() -> None:
            session = get_sessions(app.app.registry).open(app.cookies["session"].partition(".")[0])
            session.login("ada")
            session.save()

        spy.before["update"] = log_in
        assert "Set-Cookie" not in slow.get("/").headers


class TestWhereTheCookieCannotBeSent:
    @pytest.fixture
    def elsewhere(self) -> Any:
        return lambda request: {"cookie_path": "/elsewhere"} if request.path == "/" else {}

    @pytest.mark.parametrize("change", [Session.regenerate_id, lambda session: session.login("ada")])
    def test_a_new_secret_leaves_the_old_session_alone(
        self, serve: Serve, spy: SpyStore, elsewhere: Any, change: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = serve(lambda request: change(request.session), cookie_options=elsewhere)
        assert "Set-Cookie" not in app.get("/").headers
        assert contents_of(app) == CONTENTS
        assert userid_of(app) is None
        assert spy.store.count() == 1
        assert "No session cookie was sent" in caplog.text

    def test_an_ending_is_carried_out(self, serve: Serve, spy: SpyStore, elsewhere: Any) -> None:
        def view(request: Request) -> None:
            request.session.invalidate()
            request.session["b"] = 1

        serve(view, cookie_options=elsewhere).get("/")
        assert spy.store.count() == 0


class TestResponseCallbacks:
    def test_a_value_that_is_changed_inside_is_saved(self, serve: Serve) -> None:
        app = serve(with_callback(lambda session: session["cart"].append("y"), before="a"))
        app.get("/")
        assert contents_of(app)["cart"] == ["x", "y"]

    def test_a_value_that_the_view_has_read_is_saved(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            cart = request.session["cart"]
            request.add_response_callback(lambda request, response: cart.append("y"))

        app = serve(view)
        app.get("/")
        assert contents_of(app)["cart"] == ["x", "y"]

    def test_a_message_that_is_flashed_is_saved(self, serve: Serve) -> None:
        app = serve(with_callback(lambda session: session.flash("two"), before="a"))
        app.get("/")
        assert contents_of(app)["_f_"] == ["one", "two"]

    def test_several_in_a_row_are_waited_for(self, serve: Serve) -> None:
        def register(request: Request, left: int) -> None:
            def callback(request: Request, response: Response) -> None:
                if left:
                    register(request, left - 1)
                else:
                    request.session["a"] = "last"

            request.add_response_callback(callback)

        def view(request: Request) -> None:
            assert request.session["a"]
            register(request, 5)

        app = serve(view)
        app.get("/")
        assert contents_of(app)["a"] == "last"

    def test_a_subscriber_that_flashes_after_them_hears_that_it_is_too_late(self, serve: Serve) -> None:
        def flash(event: Any) -> None:
            if event.request.path == "/":
                event.request.session.flash("two")

        app = serve(lambda request: None, configure=lambda config: config.add_subscriber(flash, NewResponse))
        with pytest.raises(SessionClosed):
            app.get("/")
        assert contents_of(app)["_f_"] == ["one"]

    def test_a_post_is_not_to_be_sent_again_where_the_save_failed(self, serve: Serve, spy: SpyStore) -> None:
        app = serve(with_callback(lambda session: session.update(a=2)))
        spy.failing["update"] = StoreUnavailable("down")
        assert "Retry-After" not in app.post("/", status=503).headers
        assert "Retry-After" in app.get("/", status=503).headers


class TestErrors:
    @BARE_AND_TM
    @pytest.mark.parametrize(
        ("value", "refused", "status"),
        [
            (2, StoreError("no such table"), 500),
            (2, StoreUnavailable("down"), 503),
            ("x" * 3000, None, 500),
            (1j, None, 500),
        ],
        ids=["refused", "outage", "too large", "not serializable"],
    )
    def test_a_session_that_was_not_saved_is_no_success(
        self, serve: Serve, spy: SpyStore, includes: Any, value: Any, refused: Any, status: int
    ) -> None:
        def view(request: Request) -> None:
            request.session["a"] = items = []
            items.append(value)

        app = serve(view, includes=includes, configure=with_catch_all, max_size=2000)
        if refused:
            spy.failing["update"] = refused
        assert app.get("/", status=status).text == "oops"
        assert contents_of(app) == CONTENTS

    @BARE_AND_TM
    @pytest.mark.parametrize(("error", "status"), [(StoreError("x"), 500), (StoreUnavailable("x"), 503)])
    def test_a_session_that_could_not_be_read_is_no_success(
        self, serve: Serve, spy: SpyStore, includes: Any, error: Exception, status: int
    ) -> None:
        app = serve(lambda request: request.session["a"], includes=includes, configure=with_catch_all)
        spy.failing["load"] = error
        app.get("/", status=status)

    def test_a_transaction_is_not_committed_where_the_session_could_not_be_read(
        self, serve: Serve, spy: SpyStore
    ) -> None:
        outcome = []

        def view(request: Request) -> None:
            request.tm.get().addAfterCommitHook(lambda committed: outcome.append("committed"))
            request.tm.get().addAfterAbortHook(lambda: outcome.append("aborted"))
            assert request.session["a"]

        veto = {"tm.commit_veto": "pyramid_tm.default_commit_veto"}
        app = serve(view, includes=("pyramid_tm",), configure=with_catch_all, **veto)
        app.get("/")
        spy.failing["load"] = StoreUnavailable("down")
        app.post("/", status=503)
        assert outcome == ["committed", "aborted"]

    @BARE_AND_TM
    def test_an_old_session_ends_though_the_new_one_cannot_be_saved(
        self, serve: Serve, spy: SpyStore, includes: Any
    ) -> None:
        def view(request: Request) -> None:
            request.session.invalidate()
            request.session["a"] = items = []
            items.append(1j)

        app = serve(view, includes=includes)
        with pytest.raises(SessionNotSerializable):
            app.get("/")
        assert spy.store.count() == 0

    def test_a_5xx_is_not_replaced_by_an_error_about_what_it_would_not_save(self, serve: Serve) -> None:
        def view(request: Request) -> Response:
            request.session["a"] = items = []
            items.append(1j)
            return Response("the view's own", status=502)

        assert serve(view, includes=("pyramid_tm",)).get("/", status=502).text == "the view's own"

    @pytest.mark.parametrize("status", [200, 500])
    def test_an_ending_that_failed_is_not_tried_again_for_the_same_response(
        self, serve: Serve, spy: SpyStore, status: int
    ) -> None:
        def view(request: Request) -> Response:
            request.session.invalidate()
            return Response(status=status)

        app = serve(view)
        spy.failing["delete"] = StoreUnavailable("down")
        spy.calls.clear()
        assert "Set-Cookie" not in app.get("/", status=503).headers
        assert spy.calls == ["load", "delete"]

    def test_an_ending_that_failed_after_the_tweens_leaves_the_cookie_alone(self, serve: Serve, spy: SpyStore) -> None:
        app = serve(with_callback(Session.invalidate))
        spy.failing["delete"] = StoreUnavailable("down")
        assert "Set-Cookie" not in app.get("/", status=503).headers

    def test_an_update_that_failed_is_not_tried_again_for_the_same_response(self, serve: Serve, spy: SpyStore) -> None:
        app = serve(lambda request: request.session.update(a=2), save_on_error="true")
        spy.failing["update"] = StoreUnavailable("down")
        spy.calls.clear()
        app.get("/", status=503)
        assert spy.calls == ["load", "update"]

    def test_after_an_error_of_ours_nothing_is_saved(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            request.session["a"] = 2
            raise StoreUnavailable("in the middle of it")

        app = serve(view, save_on_error="true")
        app.get("/", status=503)
        assert contents_of(app) == CONTENTS

    def test_an_outage_leaves_an_error_above_it_its_variables(self, serve: Serve, spy: SpyStore) -> None:
        def fail() -> None:
            known = "to whoever looks into the error"  # noqa: F841
            raise ValueError("of the view")

        def view(request: Request) -> Response:
            if request.method == "POST":
                request.session["a"] = 2
                return Response("not saved")
            try:
                fail()
            except ValueError as error:
                spy.failing["create"] = StoreUnavailable("down")
                request.invoke_subrequest(Request.blank("/", method="POST"), use_tweens=True)
                *_, (failed, _) = walk_tb(error.__traceback__)
                return Response(str(list(failed.f_locals)))

        assert serve(view).get("/").text == "['known']"

    def test_an_outage_is_retried_where_pyramid_retry_is_told_so(self, serve: Serve) -> None:
        attempts = []

        def view(request: Request) -> None:
            attempts.append(1)
            if len(attempts) == 1:
                error = StoreUnavailable("for a moment")
                mark_error_retryable(error)
                raise error

        serve(view, includes=("pyramid_retry",)).get("/", status=200)
        assert len(attempts) == 2

    def test_what_an_attempt_that_is_thrown_away_could_not_save_does_not_matter(self, serve: Serve) -> None:
        def view(request: Request) -> None:
            if request.environ["retry.attempt"] == 0:
                request.session["a"] = items = []
                items.append(1j)
                raise RetryableException
            request.session["a"] = 2

        def configure(config: Any) -> None:
            config.add_exception_view(lambda error, request: Response(status=409), context=RetryableException)

        app = serve(view, includes=("pyramid_tm", "pyramid_retry"), configure=configure)
        app.get("/", status=200)
        assert contents_of(app)["a"] == 2


class TestChangesOfOthersMeanwhile:
    @pytest.fixture
    def overwrite(self, spy: SpyStore) -> Callable[[bytes], None]:
        def overwrite_(data: bytes) -> None:
            """Another request's save of these bytes."""
            (key,) = spy.store._records
            assert spy.store.update(key, spy.store._records[key]._replace(data=data))

        return overwrite_

    def test_what_cannot_be_decoded_any_more_is_not_overwritten(
        self, serve: Serve, spy: SpyStore, overwrite: Callable[[bytes], None]
    ) -> None:
        app = serve(lambda request: request.session.update(a=2))
        spy.before["update"] = lambda: overwrite(b"\x80junk")
        with pytest.raises(StoreError, match="cannot be decoded any more"):
            app.get("/")
        assert [record.data for record in spy.store._records.values()] == [b"\x80junk"]

    def test_a_function_that_raises_when_it_runs_again_meets_the_applications_exception_view(
        self, serve: Serve, spy: SpyStore, overwrite: Callable[[bytes], None]
    ) -> None:
        def take_one(left: int) -> int:
            if left == 0:
                raise ValueError("sold out")
            return left - 1

        def configure(config: Any) -> None:
            config.add_exception_view(lambda error, request: Response(str(error), status=409), context=ValueError)

        app = serve(lambda request: request.session.apply("a", take_one), configure=configure)
        spy.before["update"] = lambda: overwrite(orjson.dumps({**CONTENTS, "a": 0}))
        assert app.get("/", status=409).text == "sold out"
        assert contents_of(app)["a"] == 0

    def test_they_are_read_past_any_cache(
        self, open_session: Open, spy: SpyStore, monkeypatch: pytest.MonkeyPatch, overwrite: Callable[[bytes], None]
    ) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        cached = spy.store.load(session.key)
        load = spy.store.load
        monkeypatch.setattr(spy.store, "load", lambda key, fresh=False, at=None: load(key) if fresh else cached)
        overwrite(b'{"a":1,"theirs":1}')
        session["mine"] = 1
        session.save()
        assert session.copy() == {"a": 1, "theirs": 1, "mine": 1}
        overwrite(b'{"a":2}')
        session.reload()
        assert session.copy() == {"a": 2}


class TestGone:
    """A view that goes on after :meth:`Session.save` told it that the session was ended meanwhile."""

    @staticmethod
    def lose(session: Session, spy: SpyStore) -> None:
        session["b"] = 1
        spy.store.clear()
        with pytest.raises(SessionGone):
            session.save()

    def test_a_login_begins_a_new_session_with_what_it_had(self, serve: Serve, spy: SpyStore) -> None:
        def view(request: Request) -> None:
            self.lose(request.session, spy)
            remember(request, "ada")

        app = serve(view)
        before = app.cookies["session"].partition(".")[0]
        app.get("/")
        assert userid_of(app) == "ada"
        assert contents_of(app) == {**CONTENTS, "b": 1}
        assert app.cookies["session"].partition(".")[0] != before

    def test_a_login_as_another_user_begins_one_without(self, serve: Serve, spy: SpyStore) -> None:
        def view(request: Request) -> None:
            if request.params:
                self.lose(request.session, spy)
                remember(request, "bob")
            else:
                remember(request, "ada")

        app = serve(view)
        app.get("/")
        app.get("/?again=1")
        assert userid_of(app) == "bob"
        assert contents_of(app) == {}

    def test_other_changes_are_dropped_and_logged(
        self, serve: Serve, spy: SpyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        def view(request: Request) -> None:
            self.lose(request.session, spy)
            request.session["c"] = 1
            spy.calls.clear()

        app = serve(view)
        response = app.get("/")
        assert "changes were dropped" in caplog.text
        assert spy.calls == []
        assert "Set-Cookie" not in response.headers
        assert spy.store.count() == 0

    def test_saving_again_asks_the_store_no_more(self, open_session: Open, spy: SpyStore) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        self.lose(session, spy)
        spy.calls.clear()
        with pytest.raises(SessionGone):
            session.save()
        session.work.commit(session.work.plan())
        assert spy.calls == []


class TestEndings:
    def test_a_session_made_and_saved_in_the_same_request_ends(self, serve: Serve, spy: SpyStore) -> None:
        def view(request: Request) -> None:
            request.session["a"] = 1
            request.session.save()
            request.session.invalidate()

        assert "Set-Cookie" not in serve(view, new=True).get("/").headers
        assert spy.store.count() == 0

    def test_two_in_one_request_are_both_carried_out(self, serve: Serve, spy: SpyStore) -> None:
        def view(request: Request) -> None:
            request.session["a"] = 1
            request.session.save()
            request.session.invalidate()
            request.session["b"] = 1
            request.session.invalidate()

        serve(view, new=True).get("/")
        assert spy.store.count() == 0

    def test_one_that_failed_stays_to_be_carried_out(self, open_session: Open, spy: SpyStore) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        session.invalidate()
        spy.failing["delete"] = StoreUnavailable("down")
        with pytest.raises(StoreUnavailable):
            session.save()
        spy.failing.clear()
        session.save()
        assert spy.store.count() == 0


class TestSavingTwice:
    def test_what_was_set_of_the_record_is_not_set_again(self, open_session: Open) -> None:
        first = open_session()
        first["a"] = 1
        first.set_expiry(timeout=50)
        first.save()
        second = open_session(cookie_of(first))
        second.set_expiry(timeout=70)
        second.save()
        first["a"] = 2
        first.save()
        assert first.expires == first.renewed + 70

    @pytest.mark.parametrize("change", [Session.touch, lambda session: session.set_expiry(timeout=50)])
    def test_is_one_update(self, open_session: Open, spy: SpyStore, change: Any) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        spy.calls.clear()
        change(session)
        session.save()
        session.save()
        session.work.commit(session.work.plan())
        assert spy.calls == ["update"]


class TestSizeLimitThatWasLowered:
    @pytest.fixture
    def value(self, serve: Serve) -> str:
        return str(serve(lambda request: None).cookies["session"])

    @BARE_AND_TM
    def test_reading_a_larger_session_works(self, serve: Serve, includes: Any, value: str) -> None:
        app = serve(lambda request: Response(request.session["cart"][0]), new=True, includes=includes, max_size=20)
        assert app.get("/", headers={"Cookie": f"session={value}"}).text == "x"

    @BARE_AND_TM
    def test_changing_it_is_refused(self, serve: Serve, includes: Any, value: str) -> None:
        app = serve(lambda request: request.session["cart"].append("y"), new=True, includes=includes, max_size=20)
        with pytest.raises(SessionTooLarge):
            app.get("/", headers={"Cookie": f"session={value}"})
        app.set_cookie("session", value)
        assert contents_of(app) == CONTENTS


class TestUserids:
    @pytest.mark.parametrize("userid", ["", "x" * (LONGEST_USERID + 1), "a\0b", "a\nb", "a\ud800"])
    def test_what_a_database_might_cut_or_refuse_is_refused_at_once(self, open_session: Open, userid: str) -> None:
        session = open_session()
        session["a"] = 1
        session.save()
        before = cookie_of(session)
        with pytest.raises(ValueError, match=f"1 to {LONGEST_USERID} printable"):
            session.login(userid)
        session.save()
        assert (cookie_of(session), session.userid) == (before, None)

    @pytest.mark.parametrize("userid", ["x" * LONGEST_USERID, "Ada Lovelace", "ädä", "7"])
    def test_others_are_stored_as_they_are(
        self, make_persistence: Callable[..., Persistence], any_store: Any, userid: str
    ) -> None:
        session = Session(make_persistence(any_store), SentCookies())
        session.login(userid)
        session.save()
        assert [key for key, _ in any_store.sessions_of(userid)] == [session.key]


class TestDictProtocol:
    def test_a_dict_takes_a_session(self, open_session: Open) -> None:
        session = open_session()
        session["a"] = 1
        merged = {"a": 0, "b": 2} | session
        assert merged == {"a": 1, "b": 2}
        assert type(merged) is dict
        assert session.copy() == {"a": 1}


class TestLimits:
    @pytest.mark.parametrize("limit", ["timeout", "lifetime"])
    @pytest.mark.parametrize("value", [True, LONGEST_DURATION + 1, 1.5])
    def test_a_session_takes_whole_seconds_up_to_a_hundred_years(
        self, open_session: Open, limit: str, value: Any
    ) -> None:
        with pytest.raises(ValueError, match="whole number of seconds"):
            open_session().set_expiry(**{limit: value})

    @pytest.mark.parametrize("setting", ["timeout", "lifetime", "reissue_time"])
    @pytest.mark.parametrize("value", [f"{LONGEST_DURATION + 1}", "99999999999999999d"])
    def test_a_setting_takes_no_more_than_a_hundred_years(self, setting: str, value: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"sessionkit\.{setting} = {value}: must be a hundred years"):
            parse_settings({"sessionkit.secret": SECRET, f"sessionkit.{setting}": value})

    def test_the_longest_can_be_stored(self, make_persistence: Callable[..., Persistence], any_store: Any) -> None:
        session = Session(make_persistence(any_store, timeout=LONGEST_DURATION, lifetime="none"), SentCookies())
        session["a"] = 1
        session.save()
        record = any_store.load(session.key)
        assert record.expires == record.renewed + LONGEST_DURATION


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        [
            "sqlite:///file::memory:?uri=true",
            "sqlite:///file::memory:?cache=shared&uri=true",
            "sqlite:///file:sessions?mode=memory&cache=shared&uri=true",
        ],
    )
    def test_a_uri_of_an_sqlite_database_in_memory_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="in-memory SQLite"):
            create_session_engine(url)

    def test_a_secret_of_bytes_is_the_same_as_of_text(self) -> None:
        of_bytes, of_text = (parse_settings({"sessionkit.secret": s}).secret for s in (SECRET.encode(), SECRET))
        presented = Presented("x" * 22, "y" * 43)
        value = CookieSigner("session", of_bytes).sign(presented)
        assert CookieSigner("session", of_text).verify(value) == presented


class TestMemoryStore:
    def test_a_full_one_makes_room_for_many_though_one_session_expires_each_second(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, looks = 1_000_000, []
        store = MemoryStore(max_sessions=1000)
        expires = Record.expires.fget
        monkeypatch.setattr(memory_module, "time", lambda: now)
        for number in range(1000):
            store.create(f"old {number}", make_record(created=now, renewed=now, timeout=1 + number))
        monkeypatch.setattr(Record, "expires", property(lambda record: (looks.append(1), expires(record))[1]))
        for number in range(100):
            now += 1
            assert store.create(f"new {number}", make_record(created=now, renewed=now, timeout=5000))
        assert 0 < len(looks) <= 1000  # not all of them again and again
        assert store.count() <= 1000
        assert all(store.load(f"new {number}") for number in range(100))


class TestSQLStore:
    def test_a_constraint_that_is_not_about_the_key_is_named(
        self, make_persistence: Callable[..., Persistence], sql_store: SQLStore, tmp_path: Path
    ) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "sessions.sqlite")) as connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'tenant is required'); END"
            )
        session = Session(make_persistence(sql_store), SentCookies())
        session["a"] = 1
        with pytest.raises(StoreError, match="tenant is required"):
            session.save()

    def test_a_key_that_is_taken_is_still_no_error(self, sql_store: SQLStore) -> None:
        assert sql_store.create(KEY, make_record())
        assert sql_store.create(KEY, make_record()) is None

    def test_a_database_that_ignores_spaces_at_the_end_shows_nobody_the_sessions_of_another(
        self, tmp_path: Path
    ) -> None:
        store = SQLStore(create_session_engine(f"sqlite:///{tmp_path}/padded.sqlite"))
        table = sessions_table(sqlalchemy.MetaData())
        table.c.userid.type = sqlalchemy.String(255, collation="RTRIM")
        table.create(store.engine)
        store.create("x" * 22, make_record(userid="ada", authenticated=1))
        store.create("y" * 22, make_record(userid="ada ", authenticated=1))
        assert [record.userid for _, record in store.sessions_of("ada")] == ["ada"]
        assert [key for key, _ in store.sessions_of("ada ")] == ["y" * 22]
        store.close()


def test_a_record_that_is_unreadable_has_a_plain_warning(caplog):
    Persistence(MemoryStore(), Settings(secret=(b"secret",))).decoded("k" * 22, unreadable(1))
    assert "Session kkkkkkkk cannot be read; its visitor gets a new one" in caplog.text
