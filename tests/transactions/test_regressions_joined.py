"""What a user is entitled to in joined mode, and did not get."""

from __future__ import annotations

import pytest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember

from pyramid_sessionkit import user_sessions
from tests.transactions.application import Row, Site, Visitor
from tests.transactions.conftest import MakeSite


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site("sqlite", "joined", **{"tm.commit_veto": "pyramid_tm.default_commit_veto"})


@pytest.mark.parametrize("known", [False, True])
def test_what_came_before_a_savepoint_stays(site: Site, known: bool) -> None:
    def view(request: Request) -> Response:
        request.session["cart"] = ["new"]
        remember(request, "ada")
        savepoint = request.dbsession.begin_nested()
        request.dbsession.add(Row(name="x"))
        request.session.save()
        savepoint.rollback()
        return Response("welcome")

    visitor = site.visitor() if known else Visitor(site)
    assert visitor.act(view).text == "welcome"
    assert visitor.look() == {"userid": "ada", "flashes": [], "cart": ["new"]}


def test_a_list_of_sessions_in_a_savepoint_costs_nothing(site: Site) -> None:
    site.visitor("ada")

    def view(request: Request) -> Response:
        remember(request, "ada")
        request.session["cart"] = ["new"]
        savepoint = request.dbsession.begin_nested()
        user_sessions(request).list()
        savepoint.rollback()
        return Response("welcome")

    visitor = Visitor(site)
    assert visitor.act(view).text == "welcome"
    assert visitor.look()["userid"] == "ada"


@pytest.mark.parametrize("how", ["veto", "doom", "raise"])
def test_a_logout_rolled_back_keeps_the_cookie(site: Site, how: str) -> None:
    def view(request: Request) -> Response:
        forget(request)
        token = request.session.get_csrf_token()  # the page has a form in it
        if how == "doom":
            request.tm.doom()
        if how == "raise":
            request.rendered_as = 409
            raise ValueError
        return Response(token, status=409 if how == "veto" else 200)

    visitor = site.visitor("ada")
    answer = visitor.act(view)
    assert site.userids() == ["ada"]
    assert "Set-Cookie" not in answer.headers
    assert visitor.look()["userid"] == "ada"


@pytest.mark.parametrize("how", ["veto", "doom", "raise", "commit"])
def test_a_page_of_a_user_is_private_however_it_ends(site: Site, how: str) -> None:
    def render(error: Exception, request: Request) -> Response:
        return Response(f"hello {request.authenticated_userid}", status=404)

    def view(request: Request) -> Response:
        body = f"hello {request.authenticated_userid}"
        if how == "doom":
            request.tm.doom()
        if how == "raise":
            request.rendered_as = 404
            raise ValueError
        return Response(body, status=404 if how == "veto" else 200)

    site.render = render
    visitor = site.visitor("ada")
    answer = visitor.act(view)
    assert answer.text == "hello ada"
    assert answer.headers.get("Cache-Control") == "private"
