"""Joined mode beyond the table: test fixtures, exception views, subrequests, callbacks, conflicts."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import transaction
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from pyramid_sessionkit import (
    LoggedIn,
    LoggedOut,
    SessionCreated,
    SessionEnded,
    SessionEvent,
    SessionRegenerated,
    TransactionFailed,
    user_sessions,
    why_logged_out,
)
from pyramid_sessionkit.testing.conformance import in_threads
from tests.transactions.application import TAKEN, Row, Site, Visitor, get_tm_session, look, status_of
from tests.transactions.conftest import MakeSite
from tests.transactions.test_table import AFTER, BEFORE, NOTHING, SETTINGS, fail, put_in

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.servers))
SECONDS = 20
"""Long enough for a busy machine; only what hangs takes so long."""


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(make_site: MakeSite, database: str) -> Site:
    return make_site(database, "joined")


@pytest.fixture(params=["commits", "dooms", "raises"])
def outcome(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def end(request: Request, outcome: str) -> Response:
    """What a view does last."""
    request.dbsession.add(Row(name="new"))
    if outcome == "dooms":
        request.tm.doom()
    if outcome == "raises":
        raise ValueError
    return Response()


def kinds(site: Site) -> list[type]:
    return [type(event) for event in site.told]


class TestFixturesOfTheCookiecutter:
    """They begin a transaction that all requests of a test share, and that nobody commits."""

    @pytest.fixture(params=[True, False], ids=["doomed", "not doomed"])
    def tm(self, request: pytest.FixtureRequest) -> Iterator[transaction.TransactionManager]:
        tm = transaction.TransactionManager(explicit=True)
        tm.begin()
        if request.param:
            tm.doom()
        yield tm
        tm.abort()

    @pytest.fixture
    def dbsession(self, site: Site, tm: transaction.TransactionManager) -> Session:
        return get_tm_session(site.factory, tm)

    @pytest.fixture
    def visitor(self, site: Site, tm: transaction.TransactionManager, dbsession: Session) -> Visitor:
        return Visitor(site, **{"tm.active": True, "tm.manager": tm, "app.dbsession": dbsession})

    def log_in(self, request: Request) -> Response:
        put_in(request)
        remember(request, "ada")
        request.dbsession.add(Row(name="new"))
        return HTTPSeeOther("/look")

    def test_a_login_lasts_to_the_end_of_the_test(
        self, site: Site, visitor: Visitor, dbsession: Session, tm: transaction.TransactionManager
    ) -> None:
        answer = visitor.act(self.log_in)
        assert "Set-Cookie" in answer.headers
        for _ in range(2):
            assert visitor.look() == {"userid": "ada", "flashes": ["done"], "cart": ["new"]}
        assert sorted(dbsession.scalars(select(Row.name))) == ["new", TAKEN]
        assert site.sessions() == []
        tm.abort()
        tm.begin()
        assert site.sessions() == []
        assert set(site.rows()) == {TAKEN}

    def test_a_logout(self, visitor: Visitor, site: Site) -> None:
        def log_out(request: Request) -> Response:
            forget(request)
            return Response()

        visitor.act(self.log_in)
        old_tab = Visitor(site)
        old_tab.browser.extra_environ = visitor.browser.extra_environ
        old_tab.browser.set_cookie("session", visitor.cookie or "")
        assert old_tab.look()["userid"] == "ada"
        assert "Set-Cookie" in visitor.act(log_out).headers
        assert visitor.cookie is None
        assert old_tab.look() == NOTHING

    def test_requests_one_after_the_other(self, visitor: Visitor) -> None:
        def count(request: Request) -> Response:
            return Response(str(request.session.apply("n", lambda n: n + 1, 0)))

        assert [visitor.act(count).text for _ in range(4)] == ["1", "2", "3", "4"]

    def test_what_the_test_itself_puts_into_the_database(self, visitor: Visitor, dbsession: Session) -> None:
        dbsession.add(Row(name="made by the test"))

        def view(request: Request) -> Response:
            put_in(request)
            return Response(str(request.dbsession.scalars(select(Row.name)).all()))

        assert "made by the test" in visitor.act(view).text
        assert visitor.look()["cart"] == ["new"]

    def test_session_save(self, visitor: Visitor, site: Site) -> None:
        def view(request: Request) -> Response:
            put_in(request)
            request.session.save()
            return Response()

        visitor.act(view)
        assert visitor.look()["cart"] == ["new"]
        assert site.sessions() == []

    def test_events_are_told(self, visitor: Visitor, site: Site) -> None:
        visitor.act(self.log_in)
        assert kinds(site) == [SessionCreated, LoggedIn]

    def test_a_view_that_fails_leaves_the_session_alone(self, visitor: Visitor) -> None:
        def view(request: Request) -> Response:
            put_in(request)
            remember(request, "eve")
            raise ValueError

        visitor.act(self.log_in)
        cookie = visitor.cookie
        assert isinstance(visitor.act(view), ValueError)
        assert visitor.cookie == cookie
        assert visitor.look() == {"userid": "ada", "flashes": ["done"], "cart": ["new"]}


class TestExceptionViews:
    """They may ask who is logged in though the transaction takes no more statements."""

    @pytest.fixture(params=["false", "true"], ids=["", "annotate_user"])
    def site(self, make_site: MakeSite, database: str, request: pytest.FixtureRequest) -> Site:
        return make_site(database, "joined", **{"tm.annotate_user": request.param})

    @pytest.fixture(params=[False, True], ids=["", "read before"])
    def read_before(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture(autouse=True)
    def _show(self, site: Site) -> None:
        def show(error: Exception, request: Request) -> Response:
            return Response(json={**look(request), "error": type(error).__name__}, status=request.rendered_as)

        site.render = show

    def fails(self, visitor: Visitor, statement: Any, read_before: bool, change: bool = False) -> Any:
        def view(request: Request) -> Response:
            request.rendered_as = 400
            if read_before:
                request.session.get("cart")
            if change:
                put_in(request)
            statement(request)
            return Response()

        return visitor.act(view)

    def flush(self, request: Request) -> None:
        request.dbsession.add(Row(name=TAKEN))
        request.dbsession.flush()

    def statement(self, request: Request) -> None:
        request.dbsession.execute(text("SELECT nothing FROM nowhere"))

    def commit(self, request: Request) -> None:
        request.dbsession.add(Row(name="new"))
        request.tm.get().addBeforeCommitHook(fail, (RuntimeError,))

    def vote(self, request: Request) -> None:
        request.dbsession.add(Row(name=TAKEN))

    @pytest.mark.parametrize("how", ["flush", "statement", "commit", "vote"])
    def test_the_session_is_shown(self, site: Site, how: str, read_before: bool) -> None:
        visitor = site.visitor("ada")
        before = site.sessions()
        answer = self.fails(visitor, getattr(self, how), read_before)
        assert answer.status_int == 400
        assert answer.json["error"] in ("IntegrityError", "OperationalError", "ProgrammingError", "RuntimeError")
        assert answer.json | {"error": ""} == BEFORE | {"userid": "ada", "error": ""}
        assert site.sessions() == before

    @pytest.mark.parametrize("how", ["flush", "statement", "commit", "vote"])
    def test_nothing_is_saved(self, site: Site, how: str) -> None:
        visitor = site.visitor("ada")
        before = site.sessions()
        assert self.fails(visitor, getattr(self, how), False, change=True).status_int == 400
        assert site.sessions() == before
        assert visitor.look() == BEFORE | {"userid": "ada"}

    @pytest.mark.parametrize("how", ["commit", "vote"])
    def test_after_a_failed_commit_they_begin_anew(self, site: Site, how: str) -> None:
        """What the exception view puts into the session is no part of the transaction any more."""
        shown = []

        def show(error: Exception, request: Request) -> Response:
            shown.append(look(request))
            request.session.flash("sorry")
            return Response(status=409)

        site.render = show
        visitor = site.visitor("ada")
        stored = BEFORE | {"userid": "ada"}
        assert self.fails(visitor, getattr(self, how), False, change=True).status_int == 409
        if how == "vote":
            assert shown == [stored]
            assert visitor.look() == stored | {"flashes": ["sorry"]}
        else:
            # Nobody is told of a hook that fails before the commit; what the view shows and adds is taken back with it.
            assert visitor.look() == stored


def test_an_error_in_sql_that_the_view_catches(make_site: MakeSite) -> None:
    """SQLite goes on after it."""
    site = make_site("sqlite", "joined")

    def view(request: Request) -> Response:
        put_in(request)
        with contextlib.suppress(DBAPIError):
            request.dbsession.execute(text("SELECT nothing FROM nowhere"))
        return end(request, "commits")

    visitor = site.visitor()
    assert status_of(visitor.act(view)) == "200"
    assert visitor.look() == AFTER
    assert "new" in site.rows()


@pytest.mark.servers
def test_a_transaction_that_postgresql_has_given_up(make_site: MakeSite) -> None:
    site = make_site("postgresql", "joined")

    def view(request: Request) -> Response:
        put_in(request)
        with contextlib.suppress(DBAPIError):
            request.dbsession.execute(text("SELECT nothing FROM nowhere"))
        return Response(status=400)

    visitor = site.visitor()
    before = site.sessions()
    assert status_of(visitor.act(view)) == "400"
    assert site.sessions() == before


def test_saving_in_a_transaction_that_failed_says_so(site: Site) -> None:
    def view(request: Request) -> Response:
        put_in(request)
        request.dbsession.add(Row(name=TAKEN))
        with contextlib.suppress(IntegrityError):
            request.dbsession.flush()
        request.session.save()
        raise AssertionError

    visitor = site.visitor()
    before = site.sessions()
    answer = visitor.act(view)
    assert isinstance(answer, TransactionFailed)
    assert "begin_nested" in str(answer)
    assert site.sessions() == before


@pytest.mark.parametrize("veto", [False, True])
@pytest.mark.parametrize("where", ["before the commit", "in the vote"])
def test_a_failed_commit_that_is_rendered_leaves_nothing_locked(
    make_site: MakeSite, database: str, veto: bool, where: str
) -> None:
    """pyramid_tm aborts no transaction whose commit failed, if an exception view answers."""
    site = make_site(database, "joined", **SETTINGS["veto"] if veto else {})

    def view(request: Request) -> Response:
        request.rendered_as = 409
        put_in(request)
        request.dbsession.add(Row(name="new"))
        if where == "before the commit":
            request.tm.get().addBeforeCommitHook(fail, (RuntimeError,))
        else:
            request.dbsession.add(Row(name=TAKEN))
        return Response()

    def again(request: Request) -> Response:
        put_in(request)
        return end(request, "commits")

    visitor = site.visitor()
    gc.disable()  # which would let go of it sooner or later
    try:
        assert status_of(visitor.act(view)) == "409"
        assert status_of(visitor.act(again)) == "200"
    finally:
        gc.enable()
    assert visitor.look() == AFTER


class TestSubrequests:
    @pytest.mark.parametrize("use_tweens", [True, False])
    def test_it_saves_its_own(self, site: Site, use_tweens: bool) -> None:
        def inner(request: Request) -> Response:
            put_in(request)
            return Response("inner")

        def outer(request: Request) -> Response:
            subrequest = Request.blank("/act?view=inner", headers={"Cookie": request.headers["Cookie"]})
            return request.invoke_subrequest(subrequest, use_tweens=use_tweens)

        site.views["inner"] = inner
        visitor = site.visitor()
        assert visitor.act(outer).text == "inner"
        assert visitor.look() == AFTER

    @pytest.mark.parametrize("use_tweens", [True, False])
    @pytest.mark.parametrize("status", [200, 400])
    def test_in_the_transaction_of_its_parent(
        self, make_site: MakeSite, database: str, use_tweens: bool, status: int
    ) -> None:
        site = make_site(database, "joined", **SETTINGS["veto"])

        def inner(request: Request) -> Response:
            put_in(request)
            request.dbsession.add(Row(name="new"))
            return Response("inner")

        def outer(request: Request) -> Response:
            subrequest = Request.blank("/act?view=inner", headers={"Cookie": request.headers["Cookie"]})
            subrequest.environ |= {"tm.active": True, "tm.manager": request.tm, "app.dbsession": request.dbsession}
            request.invoke_subrequest(subrequest, use_tweens=use_tweens)
            return Response(status=status)

        site.views["inner"] = inner
        visitor = site.visitor()
        before = site.sessions()
        assert status_of(visitor.act(outer)) == str(status)
        assert ("new" in site.rows()) is (status == 200)
        assert visitor.look() == (AFTER if status == 200 else BEFORE)
        assert (site.sessions() == before) is (status == 400)

    @pytest.mark.parametrize("parent_first", [True, False])
    def test_both_change_the_session_of_one_visitor(self, site: Site, parent_first: bool) -> None:
        def inner(request: Request) -> Response:
            request.session["inner"] = 1
            return Response()

        def outer(request: Request) -> Response:
            if parent_first:
                request.session["outer"] = 1
            subrequest = Request.blank("/act?view=inner", headers={"Cookie": request.headers["Cookie"]})
            request.invoke_subrequest(subrequest, use_tweens=True)
            request.session["outer"] = 1
            return Response()

        site.views["inner"] = inner
        visitor = site.visitor()
        assert status_of(visitor.act(outer)) == "200"
        assert visitor.look() == BEFORE | {"inner": 1, "outer": 1}


class TestResponseCallbacks:
    @pytest.mark.parametrize("change_in_the_view", [True, False])
    def test_a_change_after_the_commit_is_saved(self, site: Site, change_in_the_view: bool) -> None:
        def view(request: Request) -> Response:
            request.add_response_callback(lambda request, response: request.session.flash("late"))
            if change_in_the_view:
                put_in(request)
            return end(request, "commits")

        visitor = site.visitor()
        assert status_of(visitor.act(view)) == "200"
        assert visitor.look() == (AFTER if change_in_the_view else BEFORE) | {
            "flashes": ["done", "late"] if change_in_the_view else ["late"]
        }

    def test_a_new_session_gets_its_cookie(self, site: Site) -> None:
        def view(request: Request) -> Response:
            request.add_response_callback(lambda request, response: request.session.flash("late"))
            return end(request, "commits")

        visitor = Visitor(site)
        assert len(visitor.act(view).headers.getall("Set-Cookie")) == 1
        assert visitor.look()["flashes"] == ["late"]

    def test_it_sees_what_was_rolled_back_no_more(self, site: Site) -> None:
        seen = []

        def view(request: Request) -> Response:
            request.add_response_callback(lambda request, response: seen.append(look(request)))
            put_in(request)
            remember(request, "eve")
            return end(request, "dooms")

        visitor = site.visitor()
        before = site.sessions()
        assert "Set-Cookie" not in visitor.act(view).headers
        assert seen == [BEFORE | {"userid": seen[0]["userid"]}]
        assert site.sessions() == before


class TestEndings:
    def test_session_save_follows_the_transaction(self, site: Site, outcome: str) -> None:
        def view(request: Request) -> Response:
            put_in(request)
            request.session.save()
            assert site.sessions() == before
            return end(request, outcome)

        visitor = site.visitor()
        before = site.sessions()
        visitor.act(view)
        assert visitor.look() == (AFTER if outcome == "commits" else BEFORE)
        assert (site.sessions() == before) is (outcome != "commits")

    def test_a_login_that_was_saved_at_once(self, site: Site, outcome: str) -> None:
        def view(request: Request) -> Response:
            remember(request, "ada")
            request.session.save()
            return end(request, outcome)

        visitor = site.visitor()
        cookie = visitor.cookie
        visitor.act(view)
        assert (visitor.cookie == cookie) is (outcome != "commits")
        assert visitor.look() == BEFORE | {"userid": "ada" if outcome == "commits" else None}
        assert kinds(site) == ([SessionRegenerated, LoggedIn] if outcome == "commits" else [])

    def test_revoke_others(self, site: Site, outcome: str) -> None:
        def view(request: Request) -> Response:
            assert user_sessions(request).revoke_others() == 2
            return end(request, outcome)

        others, visitor = [site.visitor("ada"), site.visitor("ada")], site.visitor("ada")
        visitor.act(view)
        assert visitor.look()["userid"] == "ada"
        assert {other.look()["userid"] for other in others} == {None if outcome == "commits" else "ada"}
        assert kinds(site) == ([SessionEnded] * 2 if outcome == "commits" else [])

    def test_revoke_all(self, site: Site, outcome: str) -> None:
        def view(request: Request) -> Response:
            assert user_sessions(request).revoke_all() == 2
            return end(request, outcome)

        other, visitor = site.visitor("ada"), site.visitor("ada")
        visitor.act(view)
        assert {one.look()["userid"] for one in (other, visitor)} == {None if outcome == "commits" else "ada"}

    def test_a_login_that_was_revoked_is_told_why(self, make_site: MakeSite, database: str, outcome: str) -> None:
        """The trace is written after the commit: a transaction never fails for it."""
        site = make_site(database, "joined")

        def view(request: Request) -> Response:
            user_sessions(request).revoke_others()
            return end(request, outcome)

        other, visitor = site.visitor("ada"), site.visitor("ada")
        visitor.act(view)
        answer = other.act(lambda request: Response(str(why_logged_out(request))))
        assert answer.text == ("revoked" if outcome == "commits" else "None")

    def test_max_sessions_per_user(self, make_site: MakeSite, database: str, outcome: str) -> None:
        site = make_site(database, "joined", **{"sessionkit.max_sessions_per_user": "1"})

        def view(request: Request) -> Response:
            remember(request, "ada")
            return end(request, outcome)

        first, second = site.visitor("ada"), Visitor(site)
        site.execute("UPDATE sessions SET created = created - 10")
        second.act(view)
        committed = outcome == "commits"
        assert site.userids() == ["ada"]
        assert first.look()["userid"] == (None if committed else "ada")
        assert second.look()["userid"] == ("ada" if committed else None)
        assert kinds(site) == ([SessionCreated, LoggedIn, SessionEnded] if committed else [])


def log_in_as_eve(request: Request) -> None:
    remember(request, "eve")


class TestEvents:
    @pytest.mark.parametrize(
        ("change", "userid", "expected"),
        [
            (log_in_as_eve, None, [SessionRegenerated, LoggedIn]),
            (log_in_as_eve, "ada", [SessionEnded, LoggedOut, SessionCreated, LoggedIn]),
            (forget, "ada", [SessionEnded, LoggedOut]),
        ],
    )
    @pytest.mark.parametrize("at_once", [True, False])
    def test_they_are_told_after_the_commit(
        self, site: Site, outcome: str, change: Any, userid: str | None, expected: list[type], at_once: bool
    ) -> None:
        def view(request: Request) -> Response:
            change(request)
            if at_once:
                request.session.save()
                assert site.told == []
            return end(request, outcome)

        seen = []

        def on_event(event: SessionEvent) -> None:
            site.told.append(event)
            seen.append(("new" in site.rows(), site.sessions()))

        visitor = site.visitor(userid)
        site.on_event = on_event
        visitor.act(view)
        if outcome == "commits":
            assert kinds(site) == expected
            assert seen == [(True, site.sessions())] * len(expected)
        else:
            assert site.told == []

    def test_a_failed_commit_tells_of_nothing(self, site: Site) -> None:
        def view(request: Request) -> Response:
            remember(request, "eve")
            request.dbsession.add(Row(name=TAKEN))
            return Response()

        visitor = site.visitor("ada")
        assert isinstance(visitor.act(view), IntegrityError)
        assert site.told == []
        assert visitor.look()["userid"] == "ada"


@pytest.mark.servers
class TestConflicts:
    """Several requests at once on one session."""

    def together(self, count: int) -> threading.Barrier:
        return threading.Barrier(count, timeout=SECONDS)

    def test_read_committed_merges(self, make_site: MakeSite) -> None:
        site = make_site("postgresql", "joined")
        barrier = self.together(8)

        def view(request: Request) -> Response:
            name = request.params["name"]
            assert request.session["cart"] == ["old"]
            barrier.wait()
            request.session[f"key {name}"] = name
            request.session["cart"].append(name)
            request.session.apply("n", lambda n: n + 1, 0)
            request.dbsession.add(Row(name=name))
            return Response()

        visitor = site.visitor()
        names = [f"tab {number}" for number in range(8)]
        site.views["put"] = view
        answers = in_threads(lambda number: visitor.same().act("put", name=names[number]), 8)
        assert [status_of(answer) for answer in answers] == ["200"] * 8
        shown = visitor.look()
        assert {shown[f"key {name}"] for name in names} == set(names)
        assert sorted(shown["cart"]) == sorted(["old", *names])
        assert shown["n"] == 8
        assert set(site.rows()) == {TAKEN, *names}

    @pytest.mark.parametrize("first_commits", [True, False])
    def test_the_second_waits_for_the_first(self, make_site: MakeSite, first_commits: bool) -> None:
        site = make_site("postgresql", "joined")
        both_have_read, first_has_written = self.together(2), threading.Event()

        def view(request: Request) -> Response:
            name = request.params["name"]
            assert request.session["cart"] == ["old"]
            both_have_read.wait()
            if name == "second":
                assert first_has_written.wait(SECONDS)
            request.session["cart"].append(name)
            request.session.save()
            first_has_written.set()
            if name == "first":
                return end(request, "commits" if first_commits else "dooms")
            return Response()

        visitor = site.visitor()
        site.views["put"] = view
        names = ("first", "second")
        answers = in_threads(lambda number: visitor.same().act("put", name=names[number]), 2)
        assert [status_of(answer) for answer in answers] == ["200"] * 2
        assert visitor.look()["cart"] == (["old", "first", "second"] if first_commits else ["old", "second"])

    def test_a_logout_beside_a_change(self, make_site: MakeSite) -> None:
        site = make_site("postgresql", "joined")
        barrier, ended = self.together(2), threading.Event()

        def change(request: Request) -> Response:
            request.session.get("cart")
            barrier.wait()
            assert ended.wait(SECONDS)
            put_in(request)
            return end(request, "commits")

        def log_out(request: Request) -> Response:
            request.session.get("cart")
            barrier.wait()
            forget(request)
            request.session.save()
            ended.set()
            return Response()

        visitor = site.visitor("ada")
        site.views |= {"change": change, "log_out": log_out}
        both = in_threads(lambda number: visitor.same().act(("change", "log_out")[number]), 2)
        assert [status_of(answer) for answer in both] == ["200"] * 2
        assert site.sessions() == []
        assert visitor.look() == NOTHING

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_stricter_levels_repeat_the_request(self, make_site: MakeSite, level: str) -> None:
        site = make_site("postgresql", "joined", {"isolation_level": level}, **{"retry.attempts": "1000"})
        attempts = []

        def view(request: Request) -> Response:
            attempts.append(1)
            request.session.apply("n", lambda n: n + 1, 0)
            if "row" in request.params:
                row = request.dbsession.scalars(select(Row).where(Row.name == TAKEN)).one()
                row.number += 1
            return Response()

        visitor = site.visitor()
        site.views["count"] = view

        def work(number: int) -> list[str]:
            tab = visitor.same()
            return [status_of(tab.act("count", **({"row": 1} if each % 2 else {}))) for each in range(6)]

        assert in_threads(work, 4) == [["200"] * 6] * 4
        assert visitor.look()["n"] == 24
        assert site.rows()[TAKEN] == 12
        assert len(attempts) > 24

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_without_retries_the_second_is_told_to_try_again(self, make_site: MakeSite, level: str) -> None:
        site = make_site("postgresql", "joined", {"isolation_level": level})
        barrier = self.together(2)

        def view(request: Request) -> Response:
            request.session.apply("n", lambda n: n + 1, 0)
            request.dbsession.add(Row(name=request.params["name"]))
            barrier.wait()
            return Response()

        visitor = site.visitor()
        site.views["count"] = view
        answers = in_threads(lambda number: visitor.same().act("count", name=f"tab {number}"), 2)
        assert sorted(status_of(answer) for answer in answers) == ["200", "503"]
        refused = max(answers, key=status_of)
        assert refused.headers["Retry-After"]
        assert "Set-Cookie" not in refused.headers
        assert visitor.look()["n"] == 1
        assert len(site.rows()) == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_savepoint_takes_back_no_more_than_itself(site: Site, known: bool) -> None:
    def view(request: Request) -> Response:
        request.session["before"] = 1
        savepoint = request.dbsession.begin_nested()
        request.session["inside"] = 1
        request.session.save()
        savepoint.rollback()
        return end(request, "commits")

    visitor = site.visitor() if known else Visitor(site)
    assert status_of(visitor.act(view)) == "200"
    assert visitor.look()["before"] == 1


def test_a_login_before_a_savepoint_stays(site: Site) -> None:
    def view(request: Request) -> Response:
        remember(request, "ada")
        request.session.save()
        savepoint = request.dbsession.begin_nested()
        request.session["inside"] = 1
        request.session.save()
        savepoint.rollback()
        return end(request, "commits")

    visitor = site.visitor()
    answer = visitor.act(view)
    assert "Set-Cookie" in answer.headers
    shown = visitor.look()
    assert shown["userid"] == "ada"
    assert "inside" not in shown
    assert kinds(site)[-1] is LoggedIn
