"""A session that a script or a task opens by its key, beside the requests of its visitor."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

import pytest

from pyramid_sessionkit import SessionGone, get_sessions
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.state import Presented
from pyramid_sessionkit.user_sessions import Sessions
from tests.conftest import SentCookies, SpyStore, cookie_of

MARK = "adopted-" + "m" * 14

Task = Callable[[], Session]


@pytest.fixture
def persistence(any_store: Any, make_persistence: Any) -> Persistence:
    found: Persistence = make_persistence(SpyStore(any_store))
    return found


@pytest.fixture
def cookie(persistence: Persistence) -> Presented:
    session = Session(persistence, SentCookies())
    session["cart"] = ["tea"]
    session.save()
    return cookie_of(session)


@pytest.fixture
def task(persistence: Persistence, cookie: Presented) -> Task:
    return lambda: Sessions(persistence).open(cookie.key)


@pytest.fixture
def browse(persistence: Persistence, cookie: Presented) -> Task:
    """A request of the visitor."""
    return lambda: Session(persistence, SentCookies(cookie))


def stored(persistence: Persistence) -> int:
    return int(persistence.store.count())


@pytest.mark.parametrize("key", ["k" * 22, "short", "", "no key at all! no key at all!", MARK])
def test_a_key_that_names_no_session_is_refused(persistence: Persistence, key: str) -> None:
    persistence.store.create(MARK, persistence.load_again(opened_once(persistence)))
    with pytest.raises(SessionGone):
        Sessions(persistence).open(key)


def opened_once(persistence: Persistence) -> str:
    session = Session(persistence, SentCookies())
    session["a"] = 1
    session.save()
    return session.key


def test_one_that_has_ended_is_refused(persistence: Persistence, cookie: Presented, task: Task) -> None:
    persistence.store.delete(cookie.key)
    with pytest.raises(SessionGone):
        task()
    assert stored(persistence) == 0


def test_a_cookie_opens_nothing_and_is_not_shown(persistence: Persistence, cookie: Presented) -> None:
    with pytest.raises(SessionGone, match=r"pass session\.key, and not the cookie") as error:
        Sessions(persistence).open(f"{cookie.key}.{cookie.secret}")
    assert cookie.secret not in str(error.value)


def test_it_is_read_from_the_store_once(persistence: Persistence, task: Task) -> None:
    calls = persistence.store.calls
    calls.clear()
    session = task()
    session["a"] = 1
    session.save()
    assert calls == ["load", "update"]


@pytest.mark.parametrize("first", ["task", "request"])
def test_what_a_task_writes_is_merged_with_a_request(task: Task, browse: Task, first: str) -> None:
    work, request = task(), browse()
    work["report"] = "ready"
    request["cart"].append("milk")
    for session in (work, request) if first == "task" else (request, work):
        session.save()
    assert browse().copy() == {"cart": ["tea", "milk"], "report": "ready"}


@pytest.mark.parametrize("settings", [{}, {"rolling": "true"}, {"resave": "true"}, {"reissue_time": "1s"}])
@pytest.mark.parametrize("conflict", [False, True])
def test_a_task_does_not_keep_its_visitor_logged_in(
    any_store: Any, make_persistence: Any, settings: dict[str, str], conflict: bool
) -> None:
    persistence = make_persistence(any_store, **settings)
    key = opened_once(persistence)
    before = int(time()) - 600
    persistence.replace(key, persistence.load_again(key), lambda record: record._replace(renewed=before))
    work = Sessions(persistence).open(key)
    work["report"] = "ready"
    if conflict:
        other = Sessions(persistence).open(key)
        other["more"] = True
        other.save()
    work.save()
    assert any_store.load(key).renewed == before
    work["again"] = True
    work.save()
    assert any_store.load(key).renewed == before
    work.touch()
    work.save()
    assert any_store.load(key).renewed >= before + 600


def test_a_renewal_of_a_request_stays(persistence: Persistence, task: Task, browse: Task) -> None:
    work, request = task(), browse()
    work["report"] = "ready"
    request.touch()
    request.work._pending.fields["renewed"] += 60
    request.save()
    work.save()
    assert persistence.load_again(work.key).renewed == request.renewed


def test_a_task_that_comes_too_late_creates_nothing(persistence: Persistence, task: Task, browse: Task) -> None:
    work, request = task(), browse()
    request.invalidate()
    request.save()
    work["report"] = "ready"
    for _ in range(2):
        with pytest.raises(SessionGone):
            work.save()
        with pytest.raises(SessionGone):
            work.reload()
    assert stored(persistence) == 0


@pytest.mark.parametrize("end", [Session.clear, Session.invalidate])
def test_a_task_that_ended_it_begins_no_other(
    any_store: Any, make_persistence: Any, end: Callable[[Session], None]
) -> None:
    """Nobody would have its cookie."""
    persistence = make_persistence(any_store, delete_empty="true")
    work = Sessions(persistence).open(opened_once(persistence))
    end(work)
    work.save()
    work["report"] = "ready"
    with pytest.raises(SessionGone, match="has ended"):
        work.save()
    assert stored(persistence) == 0


def test_a_login_meanwhile_does_not_stop_a_long_task(
    persistence: Persistence, task: Task, browse: Task, clock: Any
) -> None:
    work, request = task(), browse()
    request.login("ada")
    request["cart"].append("milk")
    request.save()
    clock(300)
    work["report"] = "ready"
    work.save()
    work["cart"].append("salt")
    work.save()
    assert work.userid == "ada"
    again = Session(persistence, SentCookies(cookie_of(request)))
    assert (again.userid, again["report"], again["cart"]) == ("ada", "ready", ["tea", "milk", "salt"])


def test_a_session_of_another_with_this_key_is_left_alone(
    persistence: Persistence, cookie: Presented, task: Task
) -> None:
    work = task()
    record = persistence.load_again(cookie.key)
    persistence.store.delete(cookie.key)
    persistence.store.create(cookie.key, record._replace(salt="another", verifier="e" * 64, data=b"{}"))
    work["report"] = "ready"
    with pytest.raises(SessionGone):
        work.save()
    assert persistence.load_again(cookie.key).data == b"{}"


def test_where_it_has_expired_it_is_refused(make_app: Any, spy: SpyStore, clock: Any) -> None:
    app = make_app({"/": lambda request: request.session.__setitem__("a", 1) or request.response})
    app.get("/")
    key = app.cookies["session"].partition(".")[0]
    sessions = get_sessions(app.app.registry)
    assert sessions.open(key)["a"] == 1
    clock(1201)
    with pytest.raises(SessionGone):
        sessions.open(key)
