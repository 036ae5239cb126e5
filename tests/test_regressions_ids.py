"""What a user is entitled to, and did not get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import StoreUnavailable, user_sessions
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import SpyStore, cookie_of
from tests.races.test_id_changes import Race
from tests.servers.proxy import Proxy
from tests.stores.conftest import memcached as memcached

Make = Callable[..., TestApp]


def login(request: Request) -> Response:
    remember(request, request.params.get("userid", "ada"))
    return Response()


def who(request: Request) -> Response:
    return Response(f"{request.authenticated_userid} {dict(request.session)}")


class AnsweredTooLate:
    """A store that does what it is told, and whose answer to one operation is lost."""

    def __init__(self, spy: SpyStore, operation: str) -> None:
        self.store, self.operation = spy.store, operation
        self.done = False

    def __enter__(self) -> None:
        method = getattr(self.store, self.operation)

        def late(*args: Any) -> Any:
            method(*args)
            raise StoreUnavailable("the answer was lost")

        setattr(self.store, self.operation, late)

    def __exit__(self, *_: Any) -> None:
        delattr(self.store, self.operation)


# A logout that failed must not take the cookie away.


def test_an_outage_at_logout_keeps_the_cookie(make_app: Make, spy: SpyStore) -> None:
    def logout(request: Request) -> Response:
        forget(request)
        return Response(request.session.get_csrf_token())  # the page has a form in it

    app = make_app({"/login": login, "/logout": logout, "/who": who})
    app.get("/login")
    spy.failing["delete"] = StoreUnavailable("down")
    answer = app.post("/logout", status=503)
    assert "Set-Cookie" not in answer.headers
    spy.failing.clear()
    assert app.get("/who").text.startswith("ada")


# What is stored with a blank cookie.


def test_a_write_tried_again_after_a_lost_answer_is_kept(make_app: Make, spy: SpyStore) -> None:
    def add(request: Request) -> Response:
        request.session["cart"] = 1
        return Response()

    app = make_app({"/form": lambda r: Response(r.session.get_csrf_token()), "/add": add, "/who": who})
    app.get("/form")
    with AnsweredTooLate(spy, "create"):
        app.post("/add", status=503)
    assert app.post("/add").status_int == 200
    assert app.get("/who").text == "None {'cart': 1}"


@pytest.mark.parametrize("third", ["login:ada", "login:bob"])
def test_a_second_click_on_login_beside_a_write_works(third: str) -> None:
    for _, (browser,), order in Race(MemoryStore(), "form").orders(("write:a",), ("login:ada",), (third,)):
        for wishes, answer in browser.answers:
            assert answer.status in (200, 503), (wishes, order)


# Damaged records.


@pytest.mark.parametrize("field", ["verifier", "salt", "credentials"])
def test_a_record_with_damaged_text_is_a_new_session(make_app: Make, sql_store: Any, field: str) -> None:
    def configure(config: Any) -> None:
        config.set_session_credentials_hash(lambda request, identity: "1")

    app = make_app({"/login": login, "/who": who}, configure=configure, store=lambda _: sql_store)
    app.get("/login")
    with sql_store.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE sessions SET {field} = '\xe9'"))
    assert app.get("/who").status_int == 200
    assert app.get("/login").status_int == 200


@pytest.mark.parametrize("field", ["authenticated", "timeout", "deadline", "renewed", "created", "replaced"])
@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0, -1])
def test_a_record_with_a_huge_number_keeps_nobody_out(make_app: Make, sql_store: Any, field: str, value: int) -> None:
    def write(request: Request) -> Response:
        request.session["n"] = request.session.get("n", 0) + 1
        user_sessions(request).list()
        return Response()

    app = make_app(
        {"/login": login, "/write": write, "/who": who}, store=lambda _: sql_store, max_sessions_per_user="2"
    )
    app.get("/login")
    with sql_store.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE sessions SET {field} = :value"), {"value": value})
    other = TestApp(app.app)
    assert other.get("/login").status_int == 200
    assert other.get("/who").text.startswith("ada")
    assert app.get("/who").status_int == 200
    assert app.get("/write").status_int == 200
    assert app.get("/login").status_int == 200


# Responses.


@pytest.mark.parametrize("second_writes", [False, True])
def test_a_shared_response_under_way_gets_no_other_cookie(make_app: Make, second_writes: bool) -> None:
    shared = Response("the same")
    found: list[Any] = []

    def view(request: Request) -> Response:
        def put(request: Request, _: Any) -> None:
            request.session["visitor"] = 1

        def meanwhile(request: Request, _: Any) -> None:
            found.append(TestApp(app.app).get("/?write=1"))

        if "write" in request.params:
            request.add_response_callback(put)
        if "wait" in request.params:
            request.add_response_callback(meanwhile)
        return shared

    app = make_app({"/": view})
    waiting = app.get("/?wait=1")
    assert len(found[0].headers.getall("Set-Cookie")) == 1
    assert "Set-Cookie" not in waiting.headers


@pytest.mark.parametrize("first", ["anonymous", "other", "same"])
def test_limits_set_before_a_login_hold_for_it(make_app: Make, spy: SpyStore, first: str) -> None:
    def short(request: Request) -> Response:
        request.session.set_expiry(timeout=60)
        remember(request, "ada")
        return Response()

    app = make_app({"/login": login, "/short": short})
    if first != "anonymous":
        app.get("/login?userid=" + {"other": "bob", "same": "ada"}[first])
    app.get("/short")
    ((_, record),) = spy.store.sessions_of("ada")
    assert record.timeout == 60


@pytest.mark.parametrize("how", ["judged", "other"])
def test_a_saved_login_that_ends_at_once_is_answered(make_app: Make, how: str) -> None:
    passwords = {"ada": "1", "bob": "1"}

    def view(request: Request) -> Response:
        remember(request, "ada")
        request.session.save()
        if how == "judged":
            passwords["ada"] = "2"  # in another request
            assert request.authenticated_userid is None
            return Response("nobody")
        remember(request, "bob")
        return Response("nobody", status=500)

    def configure(config: Any) -> None:
        config.set_session_credentials_hash(lambda request, identity: passwords[identity])

    answer = make_app({"/": view}, configure=configure).get("/", expect_errors=True)
    assert answer.text == "nobody"
    assert "Set-Cookie" not in answer.headers


class _LosesOneAnswer(Proxy):
    """Breaks the connection instead of passing on one answer."""

    left = 0

    @property
    def lose_answers(self) -> bool:
        self.left -= 1
        return self.left == 0

    @lose_answers.setter
    def lose_answers(self, _: bool) -> None:
        pass


@pytest.mark.servers
@pytest.mark.parametrize("blank", [False, True])
def test_a_first_write_told_of_success_is_kept(make_app: Make, memcached: Any, blank: bool) -> None:
    """A dead connection is opened again and the record added again, which is there by then."""

    def add(request: Request) -> Response:
        request.session["cart"] = 1
        return Response()

    proxy = _LosesOneAnswer(int(memcached.address.rpartition(":")[2]))
    form = lambda request: Response(request.session.get_csrf_token())  # noqa: E731
    app = make_app(
        {"/form": form, "/add": add, "/who": who},
        store="memcached",
        **{"sessionkit.memcached.servers": f"127.0.0.1:{proxy.port}"},
    )
    TestApp(app.app).get("/add")  # opens the connection that is kept
    if blank:
        app.get("/form")
    proxy.left = 1
    assert app.post("/add").status_int == 200
    assert app.get("/who").text == "None {'cart': 1}"
    proxy.close()


def test_a_save_that_failed_is_made_good_in_the_request(make_app: Make, spy: SpyStore) -> None:
    def add(request: Request) -> Response:
        request.session["cart"] = 1
        with AnsweredTooLate(spy, "create"), pytest.raises(StoreUnavailable):
            request.session.save()
        return Response()

    app = make_app({"/add": add, "/who": who})
    assert app.post("/add").status_int == 200
    assert app.get("/who").text == "None {'cart': 1}"


@pytest.mark.parametrize("method", ["invalidate", "logout"])
def test_a_login_after_an_ending_beside_another_login(method: str) -> None:
    for site, (browser,), order in Race(MemoryStore(), "write:old").orders(("login:ada",), (method, "login:bob")):
        told = [answer.body["userid"] for _, answer in browser.answers[1:] if answer.status == 200]
        assert site.whose(browser.cookie) == told[-1], order


def test_who_met_a_new_session_may_save_again(open_session: Callable[..., Session]) -> None:
    """Two requests came with the cookie of a session that has ended, and the second saves in its view, too."""
    ended = open_session()
    ended["a"] = 1
    ended.save()
    dead = cookie_of(ended)
    ended.invalidate()
    ended.save()
    first, second = open_session(dead), open_session(dead)
    first["first"], second["second"] = 1, 1
    first.save()
    second.save()
    second["more"] = 1
    second.save()
    assert open_session(cookie_of(first)).copy() == {"first": 1, "second": 1, "more": 1}
