"""What a request does with two sessions: each is saved, sent and ended by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from webtest import TestApp

from pyramid_sessionkit import (
    BearerTokenSource,
    NotSupported,
    SessionClosed,
    SessionCreated,
    SessionEnded,
    SessionError,
    StoreError,
    StoreUnavailable,
    get_sessions,
)
from pyramid_sessionkit.in_use import sessions_in_use
from pyramid_sessionkit.testing import make_session
from tests.conftest import SpyStore

TwoSessions = Callable[..., TestApp]


def both(request: Request) -> Response:
    request.session["n"] = request.session.get("n", 0) + 1
    request.basket["n"] = request.basket.get("n", 0) + 10
    return Response(f"{request.session['n']} {request.basket['n']}")


def fill(request: Request) -> Response:
    request.basket["item"] = "pears"
    return Response("filled")


def nothing(request: Request) -> Response:
    return Response("nothing")


def cookies(response: Any) -> list[str]:
    return sorted(value.partition("=")[0] for value in response.headers.getall("Set-Cookie"))


def test_each_session_has_its_own_cookie_and_store(two_sessions: TwoSessions, spy: SpyStore, basket: SpyStore) -> None:
    app = two_sessions({"/": both})
    response = app.get("/")
    assert cookies(response) == ["basket", "session"]
    assert response.headers.getall("Vary") == ["Cookie"]
    assert response.headers.getall("Cache-Control") == ["no-store"]
    assert app.get("/").text == "2 20"
    assert [len(store.store._records) for store in (spy, basket)] == [1, 1]


def test_a_session_that_is_not_used_costs_nothing(two_sessions: TwoSessions, spy: SpyStore, basket: SpyStore) -> None:
    app = two_sessions({"/": both, "/fill": fill, "/nothing": nothing})
    app.get("/")
    spy.calls.clear()
    basket.calls.clear()
    app.get("/nothing")
    assert (spy.calls, basket.calls) == ([], [])
    app.get("/fill")
    assert (spy.calls, basket.calls) == ([], ["load", "update"])


def test_no_cookie_of_one_opens_the_other(two_sessions: TwoSessions, spy: SpyStore, basket: SpyStore) -> None:
    app = two_sessions({"/": both})
    app.get("/")
    sent = app.cookies["session"], app.cookies["basket"]
    app.reset()
    spy.calls.clear()
    basket.calls.clear()
    assert app.get("/", headers={"Cookie": f"session={sent[1]}; basket={sent[0]}"}).text == "1 10"
    assert "load" not in spy.calls + basket.calls, "the signature is refused before any store is asked"


def test_what_is_derived_for_one_is_worth_nothing_to_the_other(two_sessions: TwoSessions) -> None:
    registry = two_sessions({}).app.registry
    first, second = (get_sessions(registry, name)._persistence.tokens for name in ("session", "basket"))
    token = first.csrf_token("k" * 22, None, "")
    assert first.csrf_claims(token, "k" * 22) is not None
    assert second.csrf_claims(token, "k" * 22) is None


def test_a_page_for_a_logged_in_user_with_a_basket_is_not_kept(two_sessions: TwoSessions) -> None:
    def login(request: Request) -> Response:
        return Response(headerlist=remember(request, "ada"))

    def page(request: Request) -> Response:
        request.basket["seen"] = request.session.userid
        return Response("for ada")

    app = two_sessions({"/login": login, "/": page})
    app.get("/login")
    response = app.get("/")
    assert cookies(response) == ["basket"]
    assert response.headers.getall("Cache-Control") == ["no-store"]
    assert app.get("/").headers.getall("Cache-Control") == ["private"]


def test_a_response_object_for_everybody_carries_no_basket(two_sessions: TwoSessions) -> None:
    shared = Response("the same for all")

    def page(request: Request) -> Response:
        if request.params:
            request.add_response_callback(lambda request, response: both(request))
        return shared

    app = two_sessions({"/": page})
    assert cookies(app.get("/?put=1")) == ["basket", "session"]
    app.reset()
    assert cookies(app.get("/")) == []


def test_a_response_callback_may_fill_the_basket(two_sessions: TwoSessions) -> None:
    def late(request: Request) -> Response:
        request.add_response_callback(lambda request, response: request.basket.update(n=1))
        return Response(str(request.basket.get("n")))

    app = two_sessions({"/": late})
    assert cookies(app.get("/")) == ["basket"]
    assert app.get("/").text == "1"


def test_both_are_closed_when_the_response_is_on_its_way(two_sessions: TwoSessions) -> None:
    kept: list[Any] = []

    def page(request: Request) -> Response:
        kept.extend([request.session, request.basket])
        return Response("")

    two_sessions({"/": page}).get("/")
    for session in kept:
        with pytest.raises(SessionClosed):
            session["late"] = 1


def test_a_late_change_inside_a_list_of_each_is_logged(two_sessions: TwoSessions, caplog: Any) -> None:
    def page(request: Request) -> Response:
        request.session["list"] = request.basket["list"] = []
        lists = request.session["list"], request.basket["list"]
        request.add_finished_callback(lambda request: [found.append(1) for found in lists])
        return Response("")

    two_sessions({"/": page}).get("/")
    assert caplog.text.count("changed inside a list or dict after it was saved") == 2


@pytest.mark.parametrize(("failing", "after"), [("spy", "2 20"), ("basket", "3 20")])
def test_an_outage_of_one_store_is_no_success(
    two_sessions: TwoSessions, request: pytest.FixtureRequest, failing: str, after: str
) -> None:
    app = two_sessions({"/": both})
    app.get("/")
    store = request.getfixturevalue(failing)
    store.failing["update"] = StoreUnavailable("down")
    assert cookies(app.get("/", status=503)) == []
    store.failing.clear()
    # The first was used first, and so saved first: nothing is saved after a failure.
    assert app.get("/").text == after


@pytest.mark.parametrize("error", [StoreUnavailable("down"), StoreError("refused"), RuntimeError("broken")])
def test_a_logout_is_carried_out_beside_a_failing_basket(
    two_sessions: TwoSessions, spy: SpyStore, basket: SpyStore, error: Exception
) -> None:
    def leave(request: Request) -> Response:
        request.basket["n"] = 0
        request.session.invalidate()
        return Response("bye")

    app = two_sessions({"/": both, "/leave": leave})
    app.get("/")
    basket.failing["update"] = error
    with suppress(StoreError, RuntimeError):
        app.get("/leave", status=503)
    assert len(spy.store._records) == 0, "the session that was to end has ended"


def test_an_outage_in_the_last_callback_sends_no_cookie_at_all(two_sessions: TwoSessions, spy: SpyStore) -> None:
    def late(request: Request) -> Response:
        def change(request: Request, response: Response) -> None:
            request.basket["n"] = request.session["n"] = 1

        request.add_response_callback(change)
        return Response("")

    spy.failing["create"] = StoreUnavailable("down")
    response = two_sessions({"/": late}).get("/", status=503)
    assert "session" not in cookies(response)
    assert response.headers.getall("Cache-Control") == ["no-store"]


def test_the_basket_logs_nobody_in(two_sessions: TwoSessions) -> None:
    app = two_sessions({"/": lambda request: request.basket.login("ada")})
    with pytest.raises(NotSupported, match="logs nobody in"):
        app.get("/")


def test_a_logout_leaves_the_basket_alone(two_sessions: TwoSessions) -> None:
    def leave(request: Request) -> Response:
        request.session.invalidate()
        return Response("bye")

    app = two_sessions({"/": both, "/leave": leave})
    app.get("/")
    app.get("/leave")
    assert app.get("/").text == "1 20"


def test_a_session_that_nobody_would_save_is_refused(two_sessions: TwoSessions, basket: SpyStore) -> None:
    def own(request: Request) -> Response:
        request.basket["n"] = 1
        request.session = make_session()
        remember(request, "ada")
        return Response("logged in?")

    with pytest.raises(SessionError, match=r"would be lost: call its save\(\)"):
        two_sessions({"/": own}).get("/")
    assert basket.calls == [], "no success is reported, and so nothing is saved"


def test_events_and_log_say_which_session(two_sessions: TwoSessions, caplog: Any) -> None:
    told: list[Any] = []

    def subscribe(config: Any) -> None:
        config.add_subscriber(told.append, SessionCreated)
        config.add_subscriber(told.append, SessionEnded)

    def empty(request: Request) -> Response:
        request.basket.invalidate()
        return Response("")

    app = two_sessions({"/": both, "/empty": empty}, configure=subscribe)
    app.get("/")
    app.get("/empty")
    assert [(type(event), event.session) for event in told] == [
        (SessionCreated, "session"),
        (SessionCreated, "basket"),
        (SessionEnded, "basket"),
    ]
    lines = [line for line in caplog.messages if line.startswith("event=")]
    assert [line.endswith(" session=basket") for line in lines] == [False, True, True]


def test_nothing_of_either_is_kept_for_an_error(two_sessions: TwoSessions, spy: SpyStore, basket: SpyStore) -> None:
    def fail(request: Request) -> Response:
        request.session["n"] = request.basket["n"] = 1
        return Response("", status=500)

    response = two_sessions({"/": fail}).get("/", status=500)
    assert cookies(response) == []
    assert (spy.calls, basket.calls) == ([], [])


def test_the_sessions_in_use_are_named(two_sessions: TwoSessions) -> None:
    def page(request: Request) -> Response:
        before = list(sessions_in_use(request))
        request.basket.get("n")
        after = {name: work.used for name, work in sessions_in_use(request).items()}
        return Response(json_body=[before, after])

    assert two_sessions({"/": page}).get("/").json == [[], {"basket": True}]


def test_a_subrequest_has_sessions_of_its_own(two_sessions: TwoSessions) -> None:
    def outer(request: Request) -> Response:
        inner = Request.blank("/", cookies=request.cookies)
        inner.registry = request.registry
        response = request.invoke_subrequest(inner, use_tweens=True)
        assert request.basket is not inner.basket
        return response

    app = two_sessions({"/": both, "/outer": outer})
    app.get("/")
    assert app.get("/outer").text == "2 20"


def test_the_key_of_one_may_depend_on_the_other(two_sessions: TwoSessions, basket: SpyStore) -> None:
    def tenant(request: Request) -> str:
        return str(request.session.get("tenant", "none")) + "-"

    app = two_sessions({"/": fill}, **{"basket.key_prefix": tenant})
    app.get("/")
    assert [key[:5] for key in basket.store._records] == ["none-"]


def test_a_client_with_a_session_header_gets_a_cookie_for_the_basket(two_sessions: TwoSessions) -> None:
    app = two_sessions({"/": both}, header_name="X-Session")
    response = app.get("/", headers={"X-Session": ""})
    assert cookies(response) == ["basket"]
    assert response.headers.getall("Vary") == ["Cookie, X-Session"]
    assert app.get("/", headers={"X-Session": response.headers["X-Session"]}).text == "2 20"


def test_cookie_options_of_one_are_not_those_of_the_other(two_sessions: TwoSessions) -> None:
    def strict(request: Request) -> dict[str, str]:
        return {"cookie_samesite": "Strict"}

    def secure(request: Request) -> dict[str, str]:
        return {"cookie_priority": "High"}

    app = two_sessions({"/": both}, cookie_options=strict, **{"basket.cookie_options": secure})
    sent = sorted(app.get("/").headers.getall("Set-Cookie"))
    assert ["SameSite=Strict" in value for value in sent] == [False, True]
    assert ["Priority=High" in value for value in sent] == [True, False]


def test_a_bearer_token_beside_a_basket_is_checked_for_csrf(two_sessions: TwoSessions) -> None:
    def configure(config: Any) -> None:
        config.add_session_source(BearerTokenSource(lambda request, token: "ada"))
        config.set_default_csrf_options(require_csrf=True)

    app = two_sessions({"/": nothing, "/fill": fill}, configure=configure)
    bearer = {"Authorization": "Bearer x"}
    app.post("/", headers=bearer)
    app.get("/fill")
    app.post("/", headers=bearer, status=400)


class TestWithTransactions:
    """pyramid_tm and pyramid_retry."""

    def make(self, two_sessions: TwoSessions, views: dict[str, Any], **settings: Any) -> TestApp:
        def configure(config: Any) -> None:
            config.include("pyramid_retry")
            config.include("pyramid_tm")

        return two_sessions(views, configure=configure, **settings)

    def test_a_basket_that_cannot_be_saved_aborts_the_transaction(
        self, two_sessions: TwoSessions, spy: SpyStore
    ) -> None:
        ended: list[bool] = []

        def page(request: Request) -> Response:
            request.tm.get().addAfterCommitHook(lambda success: ended.append(success))
            request.tm.get().addAfterAbortHook(lambda: ended.append(False))
            request.session["n"] = 1
            request.basket["n"] = ["x" * 2000]
            return Response("")

        app = self.make(two_sessions, {"/": page}, **{"basket.max_size": "1000"})
        with pytest.raises(Exception, match="max_size"):
            app.get("/")
        assert ended == [False]
        assert "create" not in spy.calls

    def test_a_retried_request_keeps_each_session_apart(self, two_sessions: TwoSessions) -> None:
        from pyramid_retry import RetryableException

        tried: list[int] = []

        def flaky(request: Request) -> Response:
            tried.append(1)
            for session in (request.session, request.basket):
                session["n"] = len(tried)
                session.regenerate_id()
                session.save()
            if len(tried) % 2:
                raise RetryableException
            return Response(f"{request.session.key} {request.basket.key}")

        def page(request: Request) -> Response:
            return Response(f"{request.session.key} {request.basket.key}")

        app = self.make(two_sessions, {"/": flaky, "/page": page})
        keys = app.get("/").text
        assert app.get("/page").text == keys
        assert app.get("/").text == keys

    def test_a_rejected_request_saves_both(self, two_sessions: TwoSessions) -> None:
        def rejected(request: Request) -> Response:
            both(request)
            raise HTTPBadRequest

        app = self.make(two_sessions, {"/": both, "/rejected": rejected})
        app.get("/rejected", status=400)
        assert app.get("/").text == "2 20"
