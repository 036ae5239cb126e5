"""Joined mode where the application itself ends transactions, or leaves a request without one."""

from __future__ import annotations

from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from sqlalchemy.orm import Session

from pyramid_sessionkit import StoreError
from tests.transactions.application import Row, Site
from tests.transactions.conftest import MakeSite

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.servers))


@pytest.fixture(params=DATABASES)
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    return make_site(request.param, "joined")


def no_transaction(request: Request) -> bool:
    return False


class TestWithoutATransaction:
    @pytest.fixture(params=["independent", "joined"])
    def mode(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=DATABASES)
    def site(self, request: pytest.FixtureRequest, make_site: MakeSite, mode: str) -> Site:
        return make_site(
            request.param, mode, **{"tm.activate_hook": "tests.transactions.test_joined_ends.no_transaction"}
        )

    def test_a_session_is_saved_by_itself(self, site: Site) -> None:
        visitor = site.visitor("ada")
        assert visitor.look()["userid"] == "ada"

    def test_a_logout_is_carried_out_whatever_the_view_does(self, site: Site) -> None:
        visitor = site.visitor("ada")

        def log_out(request: Request) -> Response:
            forget(request)
            raise ValueError

        assert isinstance(visitor.act(log_out), ValueError)
        assert visitor.look()["userid"] is None


class TestAbortedInTheView:
    @pytest.mark.parametrize("saved", [True, False])
    def test_what_came_before_is_forgotten_and_what_comes_after_is_saved(self, site: Site, saved: bool) -> None:
        visitor = site.visitor("ada")

        def abort(request: Request) -> Response:
            request.session["before"] = 1
            if saved:
                request.session.save()
            request.tm.abort()
            request.tm.begin()
            request.session["after"] = 1
            return Response()

        visitor.act(abort)
        seen = visitor.look()
        assert ("after" in seen, seen["userid"], seen["cart"]) == (True, "ada", ["old"])
        assert "before" not in seen

    def test_a_logout_before_is_forgotten(self, site: Site) -> None:
        visitor = site.visitor("ada")

        def log_out(request: Request) -> Response:
            forget(request)
            request.session.save()
            request.tm.abort()
            request.tm.begin()
            return Response()

        visitor.act(log_out)
        assert visitor.look()["userid"] == "ada"
        assert site.told == []


class TestSavedInASavepointThatIsRolledBack:
    @pytest.fixture
    def site(self, make_site: MakeSite, postgresql: Any) -> Site:
        return make_site("postgresql", "joined")

    def within(self, request: Request, change: Any) -> Response:
        savepoint = request.dbsession.begin_nested()
        change(request)
        request.session.save()
        savepoint.rollback()
        request.dbsession.add(Row(name="new"))
        return Response()

    @pytest.mark.servers
    @pytest.mark.parametrize(
        "change",
        [
            lambda request: request.session.update(x=1),
            lambda request: remember(request, "bob"),
            lambda request: forget(request),
        ],
        ids=["change", "login", "logout"],
    )
    def test_it_never_was(self, site: Site, change: Any) -> None:
        visitor = site.visitor("ada")
        before = site.sessions()
        answer = visitor.act(lambda request: self.within(request, change))
        assert "Set-Cookie" not in answer.headers
        assert site.sessions() == before
        assert site.told == []
        assert "new" in site.rows()
        assert visitor.look()["userid"] == "ada"

    @pytest.mark.servers
    def test_nor_was_a_new_session(self, site: Site) -> None:
        visitor = site.visitor()
        visitor.browser.reset()
        before = site.sessions()
        answer = visitor.act(lambda request: self.within(request, lambda request: request.session.update(x=1)))
        assert "Set-Cookie" not in answer.headers
        assert site.sessions() == before
        assert site.told == []


class TestADbsessionThatTakesNoPart:
    def test_in_request_tm(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        visitor = site.visitor("ada")

        def elsewhere(request: Request) -> Response:
            with Session(site.engine) as other:
                zope.sqlalchemy.register(other)
                request.dbsession = other
                request.session["x"] = 1
                request.session.save()
            return Response()

        error = visitor.act(elsewhere)
        assert isinstance(error, StoreError)
        assert "transaction_manager=request.tm" in str(error)
        assert "x" not in visitor.look()

    def test_that_is_read_only(self, site: Site) -> None:
        visitor = site.visitor("ada")

        def read_only(request: Request) -> Response:
            dbsession = Session(site.engine)
            zope.sqlalchemy.register(
                dbsession, zope.sqlalchemy.datamanager.STATUS_READONLY, transaction_manager=request.tm
            )
            request.dbsession = dbsession
            request.session["x"] = 1
            return Response()

        error = visitor.act(read_only)
        assert isinstance(error, StoreError)
        assert "dbsession takes no writes" in str(error)


def test_what_a_veto_itself_puts_in_is_vetoed(make_site: MakeSite) -> None:
    site = make_site("sqlite", "joined", **{"tm.commit_veto": "tests.transactions.test_joined_ends.flash_and_veto"})
    visitor = site.visitor("ada")
    visitor.act(lambda request: Response(status=400))
    assert visitor.look()["flashes"] == []


def flash_and_veto(request: Request, response: Response) -> bool:
    if response.status_int == 400:
        request.session.flash("vetoed")
    return bool(response.status_int == 400)
