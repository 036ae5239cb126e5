"""An attempt that pyramid_retry throws away leaves nothing; the next begins with what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from pyramid_retry import RetryableException
from transaction.interfaces import TransientError

from pyramid_sessionkit import LoggedIn, LoggedOut, SessionCreated, SessionEnded, SessionRegenerated, user_sessions
from tests.transactions.application import Row, Site, Visitor, status_of
from tests.transactions.conftest import MakeSite
from tests.transactions.test_table import MODES, expect_rendering, fail

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.servers))


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(make_site: MakeSite, mode: str, database: str) -> Site:
    return make_site(database, mode, **{"retry.attempts": "3"})


@pytest.fixture(params=[None, 409, 503], ids=["not rendered", "rendered as 409", "rendered as 503"])
def rendered_as(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[False, True], ids=["in the view", "at the commit"])
def at_commit(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def attempt(request: Request) -> int:
    """Which one this is, from 1."""
    return int(request.environ["retry.attempt"]) + 1


def fails_twice(request: Request, rendered_as: int | None, at_commit: bool) -> Response:
    """The end of a view whose third attempt succeeds."""
    request.dbsession.add(Row(name="new"))
    if attempt(request) < 3:
        expect_rendering(request, rendered_as)
        if not at_commit:
            raise RetryableException
        request.tm.get().addBeforeCommitHook(fail, (TransientError,))
    return Response(f"attempt {attempt(request)}")


def kinds(site: Site) -> list[type]:
    return [type(event) for event in site.told]


def test_each_attempt_begins_with_what_is_stored(site: Site, rendered_as: int | None, at_commit: bool) -> None:
    seen = []

    def view(request: Request) -> Response:
        session = request.session
        seen.append((session.key, session.copy()))
        session["cart"].append(attempt(request))
        session.flash(f"attempt {attempt(request)}")
        session.apply("attempts", lambda n: n + 1, 0)
        return fails_twice(request, rendered_as, at_commit)

    visitor = site.visitor()
    before = site.sessions()
    answer = visitor.act(view)
    assert answer.text == "attempt 3"
    assert "Set-Cookie" not in answer.headers
    assert seen == [(before[0][0], {"cart": ["old"]})] * 3
    assert visitor.look() == {"userid": None, "cart": ["old", 3], "flashes": ["attempt 3"], "attempts": 1}
    assert site.rows()["new"] == 0


def test_another_request_between_two_attempts(site: Site, rendered_as: int | None) -> None:
    visitor = site.visitor()
    other = visitor.same()

    def put_in_beside(request: Request) -> Response:
        request.session["cart"].append("beside")
        return Response()

    site.views["beside"] = put_in_beside

    def view(request: Request) -> Response:
        if attempt(request) == 2:
            assert status_of(other.act("beside")) == "200"
        request.session["cart"].append(attempt(request))
        return fails_twice(request, rendered_as, False)

    assert visitor.act(view).text == "attempt 3"
    assert visitor.look()["cart"] == ["old", "beside", 3]


@pytest.mark.parametrize("read_in_the_view", [False, True])
def test_response_callbacks_of_an_attempt_that_is_thrown_away(
    site: Site, rendered_as: int | None, at_commit: bool, read_in_the_view: bool
) -> None:
    called = []

    def call_back(request: Request, response: Response) -> None:
        called.append(attempt(request))
        request.session.flash(f"attempt {attempt(request)}")

    def view(request: Request) -> Response:
        if read_in_the_view:
            request.session.get("cart")
        request.add_response_callback(call_back)
        return fails_twice(request, rendered_as, at_commit)

    visitor = Visitor(site)
    answer = visitor.act(view)
    assert called == ([3] if rendered_as is None else [1, 2, 3])
    assert len(answer.headers.getall("Set-Cookie")) == 1
    assert visitor.look()["flashes"] == ["attempt 3"]
    assert site.userids() == [None]
    assert kinds(site) == [SessionCreated]


def test_a_login_is_told_once(site: Site, rendered_as: int | None, at_commit: bool) -> None:
    def view(request: Request) -> Response:
        assert request.session.userid is None
        remember(request, "ada")
        return fails_twice(request, rendered_as, at_commit)

    visitor = site.visitor()
    cookie = visitor.cookie
    answer = visitor.act(view)
    assert len(answer.headers.getall("Set-Cookie")) == 1
    assert visitor.cookie != cookie
    assert visitor.look()["userid"] == "ada"
    assert site.userids() == ["ada"]
    assert kinds(site) == [SessionRegenerated, LoggedIn]


def test_a_login_of_a_new_visitor_is_told_once(site: Site, rendered_as: int | None, at_commit: bool) -> None:
    def view(request: Request) -> Response:
        remember(request, "ada")
        return fails_twice(request, rendered_as, at_commit)

    visitor = Visitor(site)
    visitor.act(view)
    assert visitor.look()["userid"] == "ada"
    assert kinds(site) == [SessionCreated, LoggedIn]


def test_a_logout_is_told_once(site: Site, rendered_as: int | None, at_commit: bool) -> None:
    def view(request: Request) -> Response:
        assert request.session.userid == "ada"
        forget(request)
        request.session.flash("bye")
        return fails_twice(request, rendered_as, at_commit)

    visitor = site.visitor("ada")
    visitor.act(view)
    assert visitor.look() == {"userid": None, "flashes": ["bye"]}
    assert kinds(site) == [SessionEnded, LoggedOut, SessionCreated]


def test_revocations_wait_for_the_attempt_that_counts(site: Site, rendered_as: int | None, at_commit: bool) -> None:
    def view(request: Request) -> Response:
        assert user_sessions(request).revoke_others() == 1
        return fails_twice(request, rendered_as, at_commit)

    other, visitor = site.visitor("ada"), site.visitor("ada")
    visitor.act(view)
    assert visitor.look()["userid"] == "ada"
    assert other.look()["userid"] is None
    assert kinds(site) == [SessionEnded]


def nothing(request: Request) -> None:
    pass


def log_in_as_another(request: Request) -> None:
    remember(request, "eve")


@pytest.mark.parametrize(("change", "ends"), [(nothing, False), (forget, True), (log_in_as_another, True)])
def test_attempts_that_all_fail(site: Site, change: Callable[[Request], Any], ends: bool) -> None:
    def view(request: Request) -> Response:
        assert request.session["cart"] == ["old"]
        request.session["cart"].append("new")
        change(request)
        raise RetryableException

    visitor = site.visitor("ada")
    before = site.sessions()
    assert isinstance(visitor.act(view), RetryableException)
    # Endings are carried out in independent mode, but once, for the last attempt.
    ended = ends and site.mode == "independent"
    assert kinds(site) == ([SessionEnded, LoggedOut] if ended else [])
    assert site.sessions() == ([] if ended else before)


def test_an_attempt_that_is_committed_and_thrown_away_saves_no_session(
    make_site: MakeSite, mode: str, database: str
) -> None:
    """A veto that has nothing against a 200 lets pyramid_tm commit an attempt that pyramid_retry repeats."""
    veto = {"tm.commit_veto": "pyramid_tm.default_commit_veto"}
    site = make_site(database, mode, **{"retry.attempts": "3"} | veto)

    def view(request: Request) -> Response:
        request.dbsession.add(Row(name=f"attempt {attempt(request)}"))
        request.session["cart"].append(attempt(request))
        remember(request, "ada")
        if attempt(request) < 3:
            expect_rendering(request, 200)
            raise RetryableException
        return Response()

    visitor = site.visitor()
    visitor.act(view)
    assert {"attempt 1", "attempt 2", "attempt 3"} < set(site.rows())
    assert visitor.look() == {"userid": "ada", "cart": ["old", 3], "flashes": []}
    assert kinds(site) == [SessionRegenerated, LoggedIn]


@pytest.mark.parametrize("log_in", [False, True], ids=["new secret", "login"])
def test_a_retry_keeps_its_session_under_a_new_secret(site: Site, rendered_as: int | None, log_in: bool) -> None:
    """Another request replaces the secret between two attempts: what the last one does is still merged."""
    visitor = site.visitor()
    other = visitor.same()

    def replace(request: Request) -> Response:
        if log_in:
            remember(request, "ada")
        else:
            request.session.regenerate_id()
        request.session["private"] = "theirs"
        return Response()

    site.views["replace"] = replace

    def view(request: Request) -> Response:
        # Loaded before the other request, in the first attempt.
        assert request.session.copy() == {"cart": ["old"]}
        if attempt(request) == 2:
            assert status_of(other.act("replace")) == "200"
        request.session["cart"].append(attempt(request))
        return fails_twice(request, rendered_as, False)

    answer = visitor.act(view)
    assert (answer.text, "Set-Cookie" in answer.headers) == ("attempt 3", False)
    seen = {"userid": "ada" if log_in else None, "flashes": [], "cart": ["old", 3], "private": "theirs"}
    assert other.look() == seen
    assert len(site.sessions()) == 1


def test_a_retry_goes_on_with_the_login_that_was_saved(
    make_site: MakeSite, database: str, rendered_as: int | None
) -> None:
    """In joined mode it is rolled back with the attempt."""
    site = make_site(database, "independent", **{"retry.attempts": "3"})

    def view(request: Request) -> Response:
        if attempt(request) == 1:
            remember(request, "ada")
            request.session.save()
        assert request.session.userid == "ada"
        request.session["cart"].append(attempt(request))
        return fails_twice(request, rendered_as, False)

    visitor = site.visitor()
    assert len(visitor.act(view).headers.getall("Set-Cookie")) == 1
    assert visitor.look() == {"userid": "ada", "flashes": [], "cart": ["old", 3]}
    assert kinds(site) == [SessionRegenerated, LoggedIn]


@pytest.mark.parametrize("headers", [{}, {"Cookie": "session=hidden"}], ids=["none", "another"])
def test_a_copy_of_the_request_is_who_its_cookie_says(site: Site, headers: dict[str, str]) -> None:
    """An application may ask itself for a page as a stranger sees it."""

    def view(request: Request) -> Response:
        assert request.session.userid == "ada"
        copy = request.copy_get()
        copy.path_info = "/look"
        copy.headers.pop("Cookie")
        copy.headers.update(headers)
        return request.invoke_subrequest(copy)

    assert site.visitor("ada").act(view).json == {"userid": None, "flashes": []}
