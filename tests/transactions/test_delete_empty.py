"""``sessionkit.delete_empty`` in joined mode: the removal is a part of the request's transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyramid.request import Request
from pyramid.response import Response

from pyramid_sessionkit import SessionCreated, SessionEnded, get_sessions
from pyramid_sessionkit.session import Session
from tests.transactions.application import Site, Visitor
from tests.transactions.conftest import MakeSite

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


def site_on(make_site: MakeSite, database: str) -> Site:
    return make_site(database, "joined", **{"sessionkit.delete_empty": "true"})


def empty(request: Request) -> Response:
    request.session.clear()
    return Response()


def empty_and_abort(request: Request) -> Response:
    request.session.clear()
    request.session.save()
    request.tm.doom()
    return Response()


def alive(site: Site) -> int:
    return get_sessions(site.config.registry).count()


@pytest.mark.parametrize("database", DATABASES)
def test_a_removal_is_committed_with_the_request(make_site: MakeSite, database: str) -> None:
    site = site_on(make_site, database)
    visitor = site.visitor()
    visitor.act(empty)
    assert (alive(site), visitor.cookie) == (0, None)
    assert [event.reason for event in site.told if isinstance(event, SessionEnded)] == ["emptied"]


@pytest.mark.parametrize("database", DATABASES)
def test_a_removal_is_rolled_back_with_the_request(make_site: MakeSite, database: str) -> None:
    site = site_on(make_site, database)
    visitor = site.visitor()
    visitor.act(empty_and_abort)
    assert visitor.look()["cart"] == ["old"]
    assert site.told == []


@pytest.mark.parametrize("end", [Session.clear, Session.invalidate])
def test_a_list_changed_before_a_savepoint_is_saved(make_site: MakeSite, end: Callable[[Session], None]) -> None:
    site = site_on(make_site, "sqlite")
    visitor = site.visitor()

    def view(request: Request) -> Response:
        request.session["cart"].append("new")
        savepoint = request.dbsession.begin_nested()
        end(request.session)
        request.session.save()
        savepoint.rollback()
        return Response()

    visitor.act(view)
    assert visitor.look()["cart"] == ["old", "new"]
    assert site.told == []


@pytest.mark.parametrize("removed_first", [True, False])
@pytest.mark.servers
def test_what_races_with_a_removal_is_kept(make_site: MakeSite, removed_first: bool) -> None:
    site = site_on(make_site, "postgresql")
    visitor = site.visitor()
    other = visitor.same()

    def store(request: Request) -> Response:
        request.session["note"] = "new"
        return Response()

    def during(request: Request) -> Response:
        request.session.get("cart")
        site.views["other"] = store if removed_first is False else empty
        Visitor.act(other, "other")
        return empty(request) if removed_first is False else store(request)

    visitor.act(during)
    assert visitor.look() == {"userid": None, "flashes": [], "note": "new"}
    created = [event for event in site.told if isinstance(event, SessionCreated)]
    assert len(created) == removed_first
