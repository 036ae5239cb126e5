"""``session.do_not_renew()``: a page that asks the server by itself keeps nobody logged in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember

from pyramid_sessionkit.exceptions import SessionClosed
from pyramid_sessionkit.session import Session
from tests.conftest import SpyStore, cookie_of, stored

Open = Callable[..., Session]
Clock = Callable[[float], None]
LATER = 600  # half of the idle timeout


def read(session: Session) -> None:
    session.get("a")


def write(session: Session) -> None:
    session["polled"] = True


def mutate(session: Session) -> None:
    session["list"].append(1)


def write_twice(session: Session) -> None:
    session["polled"] = 1
    session.save()
    session["polled"] = 2


def replace_id(session: Session) -> None:
    session.regenerate_id()


def touch_before(session: Session) -> None:
    session.touch()
    session.do_not_renew()


@pytest.mark.parametrize("settings", [{}, {"rolling": True}, {"resave": True}], ids=str)
@pytest.mark.parametrize("act", [read, write, mutate, write_twice, replace_id, touch_before])
@pytest.mark.parametrize("first", [True, False], ids=["said first", "said last"])
def test_a_poll_does_not_restart_the_idle_timeout(
    open_session: Open, clock: Clock, settings: dict[str, Any], act: Callable[[Session], None], first: bool
) -> None:
    cookie = stored(open_session, {"a": 1, "list": []}, **settings)
    before = open_session(cookie).expires
    clock(LATER)
    session = open_session(cookie)
    if first or act is write_twice:
        session.do_not_renew()
    act(session)
    session.do_not_renew()
    session.save()
    cookie = cookie_of(session)
    assert open_session(cookie).expires == before


def test_what_a_poll_merges_renews_nothing(open_session: Open, clock: Clock, spy: SpyStore) -> None:
    cookie = stored(open_session, {"a": 1})
    before = open_session(cookie).expires
    other = open_session(cookie)
    other.do_not_renew()
    other["other"] = 1
    clock(LATER)
    poll = open_session(cookie)
    poll.do_not_renew()
    poll["polled"] = 1
    spy.before["update"] = other.save
    poll.save()
    after = open_session(cookie)
    assert (dict(after), after.expires) == ({"a": 1, "other": 1, "polled": 1}, before)


def test_a_request_beside_a_poll_renews(open_session: Open, clock: Clock, spy: SpyStore) -> None:
    cookie = stored(open_session, {"a": 1})
    clock(LATER)
    poll, click = open_session(cookie), open_session(cookie)
    poll.do_not_renew()
    poll["polled"], click["clicked"] = 1, 1
    spy.before["update"] = click.save
    poll.save()
    after = open_session(cookie)
    assert after.renewed == click.renewed
    assert set(after) == {"a", "polled", "clicked"}


@pytest.mark.parametrize("act", [Session.touch, lambda session: session.login("ada")], ids=["touch", "login"])
def test_a_touch_or_a_login_afterwards_renews(open_session: Open, clock: Clock, act: Any) -> None:
    cookie = stored(open_session, {"a": 1})
    before = open_session(cookie).renewed
    clock(LATER)
    session = open_session(cookie)
    session.do_not_renew()
    act(session)
    session.save()
    assert open_session(cookie_of(session)).renewed >= before + LATER


def test_a_poll_after_a_login_does_not_undo_it(open_session: Open, clock: Clock) -> None:
    cookie = stored(open_session, {"a": 1})
    before = open_session(cookie).renewed
    clock(LATER)
    session = open_session(cookie)
    session.login("ada")
    session.do_not_renew()
    session.save()
    assert open_session(cookie_of(session)).renewed >= before + LATER


def test_to_say_so_reads_and_stores_nothing(open_session: Open, spy: SpyStore) -> None:
    cookie = stored(open_session, {"a": 1}, save_uninitialized=True)
    spy.calls.clear()
    for session in (open_session(cookie), open_session()):
        session.do_not_renew()
        session.save()
    assert spy.calls == []


def test_too_late_is_an_error(open_session: Open) -> None:
    session = open_session()
    session.work.close()
    with pytest.raises(SessionClosed):
        session.do_not_renew()


def test_a_user_who_left_an_open_page_is_logged_out(make_app: Any, clock: Clock) -> None:
    def login(request: Request) -> Response:
        remember(request, "ada")
        return Response()

    def poll(request: Request) -> Response:
        request.session.do_not_renew()
        return Response(str(request.authenticated_userid))

    browser = make_app({"/login": login, "/poll": poll}, rolling=True, persistent=True)
    browser.get("/login")
    for minute in (5, 10, 15):
        clock(minute * 60)
        answer = browser.get("/poll")
        assert answer.text == "ada"
        assert "Set-Cookie" not in answer.headers
    clock(21 * 60)
    assert browser.get("/poll").text == "None"


def test_what_a_poll_writes_sends_no_rolling_cookie(make_app: Any, clock: Clock) -> None:
    def click(request: Request) -> Response:
        request.session["clicked"] = 1
        return Response()

    def poll(request: Request) -> Response:
        request.session["polled"] = request.params["n"]
        request.session.do_not_renew()
        return Response()

    browser = make_app({"/click": click, "/poll": poll}, rolling=True, persistent=True)
    browser.get("/click")
    clock(60)
    assert "Set-Cookie" not in browser.get("/poll?n=1").headers
    assert "Set-Cookie" in browser.get("/click").headers
