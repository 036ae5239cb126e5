"""The same where a request, or a test, has a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyramid.request import Request
from sqlalchemy import select
from transaction import TransactionManager
from transaction.interfaces import TransientError
from webtest import TestApp

from pyramid_sessionkit import LoggedIn
from pyramid_sessionkit.testing import in_request, login, logout
from tests.transactions.application import Row, Site, get_tm_session
from tests.transactions.conftest import MakeSite, _sites, make_site  # noqa: F401


@pytest.fixture(params=["independent", "joined"])
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:  # noqa: F811
    return make_site("sqlite", request.param, **{"retry.attempts": 3})


@pytest.fixture
def in_test(make_site: MakeSite) -> Iterator[tuple[Site, TestApp]]:  # noqa: F811
    """As the tests of the cookiecutter: all requests are part of one transaction, which is rolled back."""
    site = make_site("sqlite", "joined", **{"retry.attempts": 3})
    tm = TransactionManager(explicit=True)
    tm.begin()
    tm.doom()
    dbsession = get_tm_session(site.factory, tm)
    yield site, TestApp(site.wsgi, extra_environ={"tm.active": True, "tm.manager": tm, "app.dbsession": dbsession})
    tm.abort()


@pytest.mark.parametrize("ago", [0, 60])
def test_a_login_is_committed(site: Site, ago: int) -> None:
    testapp = TestApp(site.wsgi)
    login(testapp, "ada", ago=ago)
    assert testapp.get("/look").json["userid"] == "ada"
    assert site.userids() == ["ada"]
    assert [event.userid for event in site.told if isinstance(event, LoggedIn)] == ["ada"]
    logout(testapp)
    assert testapp.get("/look").json["userid"] is None


@pytest.mark.parametrize("ago", [0, 60])
def test_a_login_in_the_transaction_of_a_test(in_test: tuple[Site, TestApp], ago: int) -> None:
    site, testapp = in_test
    login(testapp, "ada", ago=ago)
    assert testapp.get("/look").json["userid"] == "ada"
    assert site.userids() == []


def test_what_a_function_does_is_rolled_back_with_its_error(site: Site) -> None:
    def fail(request: Any) -> None:
        request.dbsession.add(Row(name="new"))
        request.session["cart"] = ["apples"]
        request.dbsession.execute(select(Row))
        raise ValueError("no apples")

    testapp = TestApp(site.wsgi)
    with pytest.raises(ValueError, match="no apples"):
        in_request(testapp, fail)
    assert "new" not in site.rows()
    assert site.sessions() == []


def test_a_request_that_is_repeated_counts_once(site: Site) -> None:
    attempts: list[Request] = []

    def fail_once(request: Request) -> str:
        attempts.append(request)
        request.session["attempt"] = len(attempts)
        if len(attempts) == 1:
            raise TransientError("again")
        return "done"

    testapp = TestApp(site.wsgi)
    assert in_request(testapp, fail_once) == "done"
    assert testapp.get("/look").json["attempt"] == 2
