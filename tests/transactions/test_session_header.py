"""With pyramid_tm and pyramid_retry, sessions saved after the transaction or as a part of it."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from pyramid_retry import RetryableException

from tests.session_header.site import NAME
from tests.transactions.application import Site
from tests.transactions.conftest import MakeSite
from tests.transactions.test_table import MODES


@pytest.fixture(params=MODES)
def site(make_site: MakeSite, request: pytest.FixtureRequest) -> Site:
    return make_site("sqlite", request.param, **{"retry.attempts": "3", "sessionkit.header_name": NAME})


def act(site: Site, view: Any, session: str = "") -> Response:
    """What a client gets that sends this ID, when this is done for it."""
    site.views["act"] = view
    return Request.blank("/act?view=act", headers={NAME: session}).get_response(site.wsgi)


def whose(site: Site, session: str) -> str:
    return str(act(site, lambda request: Response(str(request.authenticated_userid)), session).text)


def test_a_login_is_there_after_the_commit(site: Site) -> None:
    def login(request: Any) -> Response:
        remember(request, "ada")
        return Response()

    session = act(site, login).headers[NAME]
    assert whose(site, session) == "ada"


def test_a_login_whose_attempt_is_repeated_counts_once(site: Site) -> None:
    def login(request: Any) -> Response:
        request.session.apply("attempts", lambda n: n + 1, 0)
        remember(request, "ada")
        if request.environ["retry.attempt"] < 2:
            raise RetryableException
        return Response(str(request.session["attempts"]))

    before = len(site.sessions())
    response = act(site, login)
    assert response.text == "1"
    assert whose(site, response.headers[NAME]) == "ada"
    assert len(site.sessions()) == before + 1


def test_a_request_that_is_repeated_keeps_the_session_it_saved(site: Site) -> None:
    """The first attempt replaces the ID for good, and the client has not got the new one yet."""

    def put(request: Any) -> Response:
        request.session["cart"] = ["old"]
        return Response()

    def login(request: Any) -> Response:
        seen = request.session.get("cart")
        if request.environ["retry.attempt"] == 0:
            remember(request, "ada")
            request.session.save()
            raise RetryableException
        return Response(str(seen))

    first = act(site, put).headers[NAME]
    response = act(site, login, first)
    assert response.text == "['old']"
    expected = None if site.mode == "joined" else "ada"
    assert whose(site, response.headers.get(NAME, first)) == str(expected)


def test_a_transaction_that_is_rolled_back_sends_no_id(site: Site) -> None:
    def fail(request: Any) -> Response:
        request.session["cart"] = ["old"]
        return Response(status=500)

    assert NAME not in act(site, fail).headers
