"""What is saved when: one table for all ways in which a request can end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyramid.httpexceptions import HTTPBadRequest, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from pyramid_retry import RetryableException
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from transaction.interfaces import TransientError

from tests.transactions.application import TAKEN, Row, Site, Visitor, status_of
from tests.transactions.conftest import MakeSite

# table.txt is shown in the docs too. The view changes the session, adds a row to the application's table, and then ends
# as the first column says.
#
# settings: veto           tm.commit_veto = pyramid_tm.default_commit_veto
#           on_error       sessionkit.save_on_error = true
#           retry          pyramid_retry, 3 attempts
#           postgresql     only there: no other database here checks at the commit
# answer:   raises         the exception leaves the application, and its server answers 500
#           raises/400     in joined mode 400: a session that cannot be saved any more aborts the transaction
# row:      whether the application's row was committed
# change:   whether the change of the session was saved: contents and flash messages, or a new session and its cookie
# logout:   whether the session was ended
# login:    whether the visitor was logged in, and their browser got the cookie of it
#
# The last three: in independent mode / in joined mode; ? is left open. What is not saved leaves the visitor exactly as
# they were. session.save() in the view saves at once in independent mode; in joined mode it is committed with the row.
TABLE = Path(__file__).with_name("table.txt").read_text()

MODES = ("independent", "joined")

SETTINGS: dict[str, dict[str, Any]] = {
    "veto": {"tm.commit_veto": "pyramid_tm.default_commit_veto"},
    "on_error": {"sessionkit.save_on_error": "true"},
    "retry": {"retry.attempts": "3"},
    "postgresql": {},
}


class Failing:
    """Joins the transaction, and refuses to vote for it: before the database does, or after."""

    transaction_manager = None

    def __init__(self, sort_key: str) -> None:
        self._sort_key = sort_key

    def sortKey(self) -> str:
        return self._sort_key

    def tpc_vote(self, _: Any) -> None:
        raise RuntimeError("no")

    abort = tpc_begin = commit = tpc_finish = tpc_abort = lambda self, _: None


BEFORE_THE_DATABASE, AFTER_THE_DATABASE = Failing("a"), Failing("~z")

Ending = Callable[[Request], Response]


def returns(status: int) -> Ending:
    return lambda request: Response(status=status)


def raises(make_error: Callable[[], Exception], rendered_as: int | None = None) -> Ending:
    def end(request: Request) -> Response:
        expect_rendering(request, rendered_as)
        raise make_error()

    return end


def doomed(request: Request) -> Response:
    request.tm.doom()
    return Response()


def hook_fails(rendered_as: int | None = None) -> Ending:
    def end(request: Request) -> Response:
        expect_rendering(request, rendered_as)
        request.tm.get().addBeforeCommitHook(fail, (RuntimeError,))
        return Response()

    return end


def vote_fails(manager: Failing, rendered_as: int | None = None) -> Ending:
    def end(request: Request) -> Response:
        expect_rendering(request, rendered_as)
        request.tm.get().join(manager)
        return Response()

    return end


def constraint_fails(rendered_as: int | None = None) -> Ending:
    def end(request: Request) -> Response:
        expect_rendering(request, rendered_as)
        request.dbsession.execute(text("INSERT INTO deferred VALUES ('twice'), ('twice')"))
        return Response()

    return end


def not_unique(request: Request) -> Response:
    expect_rendering(request, 400)
    request.dbsession.add(Row(name=TAKEN))
    request.dbsession.flush()
    raise AssertionError


def caught_in_savepoint(request: Request) -> Response:
    request.dbsession.flush()
    with pytest.raises(IntegrityError), request.dbsession.begin_nested():
        request.dbsession.add(Row(name=TAKEN))
    return Response(status=400)


def caught(request: Request) -> Response:
    request.dbsession.add(Row(name=TAKEN))
    with pytest.raises(IntegrityError):
        request.dbsession.flush()
    return Response(status=400)


def caught_after_flush(request: Request) -> Response:
    request.dbsession.flush()
    return caught(request)


def caught_and_rolled_back(request: Request) -> Response:
    response = caught(request)
    request.dbsession.rollback()
    return response


def retryable(times: int, rendered_as: int | None = None, at_commit: bool = False) -> Ending:
    def end(request: Request) -> Response:
        if request.environ["retry.attempt"] < times:
            expect_rendering(request, rendered_as)
            if not at_commit:
                raise RetryableException
            request.tm.get().addBeforeCommitHook(fail, (TransientError,))
        return Response()

    return end


def fail(error: type[Exception]) -> None:
    raise error


def expect_rendering(request: Request, rendered_as: int | None) -> None:
    if rendered_as is not None:
        request.rendered_as = rendered_as


ENDINGS: dict[str, Ending] = {
    **{f"returns {status}": returns(status) for status in (200, 303, 400, 500)},
    "raises HTTPSeeOther": raises(lambda: HTTPSeeOther("/")),
    "raises HTTPBadRequest": raises(HTTPBadRequest),
    "raises ValueError": raises(ValueError),
    **{f"raises ValueError, rendered as {status}": raises(ValueError, status) for status in (400, 500, 200)},
    "dooms the transaction, returns 200": doomed,
    "the commit fails, in a hook before it": hook_fails(),
    "the commit fails, in a hook before it, rendered as 409": hook_fails(409),
    "the commit fails, in a hook before it, rendered as 500": hook_fails(500),
    "the commit fails, in a vote before the database": vote_fails(BEFORE_THE_DATABASE),
    "the commit fails, in a vote before the database, as 409": vote_fails(BEFORE_THE_DATABASE, 409),
    "the commit fails, in a vote after the database": vote_fails(AFTER_THE_DATABASE),
    "the commit fails, in a vote after the database, as 409": vote_fails(AFTER_THE_DATABASE, 409),
    "the commit fails, in a deferred constraint": constraint_fails(),
    "the commit fails, in a deferred constraint, rendered as 409": constraint_fails(409),
    "IntegrityError, rendered as 400": not_unique,
    "IntegrityError caught, in begin_nested, returns 400": caught_in_savepoint,
    "IntegrityError caught, returns 400": caught,
    "IntegrityError caught, after another flush, returns 400": caught_after_flush,
    "IntegrityError caught, then dbsession.rollback(), 400": caught_and_rolled_back,
    "retryable error, 1 time": retryable(1),
    "retryable error, 2 times": retryable(2),
    "retryable error, 3 times": retryable(3),
    "retryable error, 1 time, rendered as 409": retryable(1, 409),
    "retryable error, 2 times, rendered as 409": retryable(2, 409),
    "retryable error, 3 times, rendered as 409": retryable(3, 409),
    "retryable error, 3 times, rendered as 503": retryable(3, 503),
    "retryable error at the commit, 1 time": retryable(1, at_commit=True),
    "retryable error at the commit, 2 times": retryable(2, at_commit=True),
    "retryable error at the commit, 3 times": retryable(3, at_commit=True),
    "retryable error at the commit, 1 time, rendered as 409": retryable(1, 409, at_commit=True),
    "retryable error at the commit, 3 times, rendered as 409": retryable(3, 409, at_commit=True),
}


class Situation(NamedTuple):
    """A line of the table. What it says of both modes is by mode; None is left open."""

    name: str
    settings: tuple[str, ...]
    answer: dict[str, str]
    row: bool
    change: dict[str, bool | None]
    logout: dict[str, bool | None]
    login: dict[str, bool | None]

    def databases(self, mode: str) -> tuple[str, ...]:
        """In independent mode the session has a database of its own: the application's other one changes nothing."""
        if "postgresql" in self.settings:
            return ("postgresql",)
        return ("sqlite", "postgresql") if mode == "joined" else ("sqlite",)

    def new_session(self, mode: str) -> bool | None:
        """A visitor without a response gets no cookie, so that a session for them would be of no use."""
        if self.login[mode] is None:
            return None
        return self.change[mode] and self.answer[mode] != "raises"


def situations() -> list[Situation]:
    lines = TABLE.splitlines()[2:]
    return [situation(*(cell.strip() for cell in line.split("|"))) for line in lines]


def situation(name: str, settings: str, answer: str, row: str, change: str, logout: str, login: str) -> Situation:
    answers = dict(zip(("independent", "joined"), answer.split("/") * 2, strict=False))
    return Situation(
        name, tuple(settings.split()), answers, promise(row) is True, both(change), both(logout), both(login)
    )


def both(cell: str) -> dict[str, bool | None]:
    return dict(zip(("independent", "joined"), map(promise, cell.split("/")), strict=True))


def promise(word: str) -> bool | None:
    return {"yes": True, "no": False, "?": None}[word.strip()]


SITUATIONS = situations()


def every_situation(*only: str) -> pytest.MarkDecorator:
    """Runs a test for each line of the table, in both modes, as ``site`` and ``situation``."""
    chosen = [situation for situation in SITUATIONS if not only or situation.name in only]
    return pytest.mark.parametrize(
        ("mode", "database", "situation"),
        [
            pytest.param(
                mode,
                database,
                situation,
                id="-".join((mode, database, situation.name, *situation.settings)),
                marks=[pytest.mark.servers] if database == "postgresql" else [],
            )
            for mode in MODES
            for situation in chosen
            for database in situation.databases(mode)
        ],
    )


@pytest.fixture
def annotate_user() -> bool:
    return False


@pytest.fixture
def site(make_site: MakeSite, mode: str, database: str, situation: Situation, annotate_user: bool) -> Site:
    settings = {"tm.annotate_user": "true"} if annotate_user else {}
    for word in situation.settings:
        settings |= SETTINGS[word]
    return make_site(database, mode, **settings)


def put_in(request: Request) -> None:
    request.session.setdefault("cart", []).append("new")
    request.session.flash("done")


def save_at_once(request: Request) -> None:
    put_in(request)
    request.session.save()


def log_in(request: Request) -> None:
    put_in(request)
    remember(request, "ada")


def log_out(request: Request) -> None:
    forget(request)


def act(visitor: Visitor, situation: Situation, change: Callable[[Request], None]) -> Any:
    """The answer, once it and the application's row were found to be what the table says."""

    def view(request: Request) -> Response:
        change(request)
        request.dbsession.add(Row(name="new"))
        return ENDINGS[situation.name](request)

    answer = visitor.act(view)
    expected = {situation.answer[visitor.site.mode]}
    if change is save_at_once and visitor.site.mode == "joined" and "caught" in situation.name:
        # What is saved is lost with the transaction, and to commit that is refused: as of any flush before.
        expected |= {"raises"}
    assert status_of(answer) in expected, answer
    assert ("new" in visitor.site.rows()) is situation.row
    return answer


def cookie_sent(answer: Any) -> bool:
    return not isinstance(answer, Exception) and "Set-Cookie" in answer.headers


BEFORE = {"userid": None, "flashes": [], "cart": ["old"]}
AFTER = {"userid": None, "flashes": ["done"], "cart": ["old", "new"]}
NOTHING: dict[str, Any] = {"userid": None, "flashes": []}


def check_change(site: Site, situation: Situation) -> None:
    visitor = site.visitor()
    before = site.sessions()
    answer = act(visitor, situation, put_in)
    assert not cookie_sent(answer)
    if situation.change[site.mode]:
        assert visitor.look() == AFTER
        assert [row[0] for row in site.sessions()] == [row[0] for row in before]
    else:
        assert site.sessions() == before
        assert visitor.look() == BEFORE


def check_logout(site: Site, situation: Situation) -> None:
    visitor = site.visitor("ada")
    before, cookie = site.sessions(), visitor.cookie
    answer = act(visitor, situation, log_out)
    if situation.logout[site.mode]:
        assert site.sessions() == []
        if situation.login[site.mode] is not None:
            assert (visitor.cookie is None) is (status_of(answer) != "raises")
        assert visitor.look() == NOTHING
    else:
        assert site.sessions() == before
        assert not cookie_sent(answer)
        assert visitor.cookie == cookie
        assert visitor.look() == BEFORE | {"userid": "ada"}


def check_login(site: Site, situation: Situation) -> None:
    visitor = site.visitor()
    before, cookie = site.sessions(), visitor.cookie
    old_tab = visitor.same()
    answer = act(visitor, situation, log_in)
    if situation.login[site.mode]:
        assert cookie_sent(answer)
        assert visitor.cookie != cookie
        # The key stays, and the secret does not.
        assert [row[0] for row in site.sessions()] == [row[0] for row in before]
        assert site.userids() == ["ada"]
        assert visitor.look() == AFTER | {"userid": "ada"}
        assert old_tab.look() == NOTHING
    elif situation.login[site.mode] is False:
        assert site.userids() == [None]
        assert [row[0] for row in site.sessions()] == [row[0] for row in before]
        assert not cookie_sent(answer)
        assert visitor.cookie == cookie
        saved = situation.change[site.mode]
        assert visitor.look() in ([BEFORE, AFTER] if saved else [BEFORE])
        assert saved or site.sessions() == before


@every_situation()
def test_a_change_of_the_contents(site: Site, situation: Situation) -> None:
    check_change(site, situation)


@every_situation()
def test_a_new_session(site: Site, situation: Situation) -> None:
    visitor = Visitor(site)
    answer = act(visitor, situation, put_in)
    if situation.new_session(site.mode):
        assert cookie_sent(answer)
        assert visitor.look() == AFTER | {"cart": ["new"]}
        assert site.userids() == [None]
    elif situation.new_session(site.mode) is False:
        assert not cookie_sent(answer)
        assert site.sessions() == []


@every_situation()
def test_a_login(site: Site, situation: Situation) -> None:
    check_login(site, situation)


@every_situation()
def test_a_logout(site: Site, situation: Situation) -> None:
    check_logout(site, situation)


@every_situation()
def test_saving_at_once(site: Site, situation: Situation) -> None:
    visitor = site.visitor()
    before = site.sessions()
    act(visitor, situation, save_at_once)
    if site.mode == "joined" and not situation.row:
        assert site.sessions() == before
        assert visitor.look() == BEFORE
    elif "retry" not in situation.settings or site.mode == "joined":
        assert visitor.look() == AFTER
    else:
        # Attempts that are thrown away have saved too.
        shown = visitor.look()
        assert shown["cart"][:2] == ["old", "new"]
        assert len(shown["cart"]) == len(shown["flashes"]) + 1


@pytest.mark.parametrize("annotate_user", [True])
@pytest.mark.parametrize("check", [check_change, check_login, check_logout])
@every_situation(
    "returns 200",
    "returns 400",
    "returns 500",
    "raises HTTPSeeOther",
    "raises ValueError",
    "the commit fails, in a vote before the database, as 409",
    "IntegrityError, rendered as 400",
    "retryable error, 2 times",
    "retryable error at the commit, 3 times, rendered as 409",
)
def test_with_annotate_user(site: Site, situation: Situation, check: Callable[[Site, Situation], None]) -> None:
    check(site, situation)


def test_the_table_is_complete() -> None:
    assert {situation.name for situation in SITUATIONS} == set(ENDINGS)
    assert len({situation[:2] for situation in SITUATIONS}) == len(SITUATIONS)
