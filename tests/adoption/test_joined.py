"""In joined mode an adoption does not wait for the request's transaction, nor go back with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from pyramid_sessionkit.adoption import Adopted
from tests.adoption.old_site import DictSessions, NewSite


def add_dbsession(config: Configurator, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS notes (text VARCHAR(20))"))

    def dbsession(request: Any) -> Session:
        session = Session(engine)
        zope.sqlalchemy.register(session, transaction_manager=request.tm)
        return session

    def change(request: Any) -> dict[str, Any]:
        seen = dict(request.session)
        request.session["n"] = 1
        request.dbsession.execute(text("INSERT INTO notes VALUES ('one')"))
        if "fail" in request.params:
            raise HTTPBadRequest
        return seen

    config.add_settings({"tm.manager_hook": "pyramid_tm.explicit_manager"})
    config.include("pyramid_tm")
    config.add_request_method(dbsession, reify=True)
    config.add_route("change", "/change")
    config.add_view(change, route_name="change", renderer="json")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[NewSite]:
    url = f"sqlite:///{tmp_path}/s.sqlite"
    settings = {"store": "sql", "sql.url": url, "sql.create_table": "true", "sql.dbsession": "dbsession"}
    old = DictSessions({"t": Adopted({"cart": ["apples"]}, userid="ada")})
    engine = create_engine(url)
    yield NewSite(old, settings, lambda config: add_dbsession(config, engine))
    engine.dispose()


def test_it_is_adopted_beside_the_transaction(site: NewSite) -> None:
    browser = site.browser(old="t")
    assert browser.get("/change").json == {"cart": ["apples"]}
    assert browser.get("/show").json == {"contents": {"cart": ["apples"], "n": 1}, "userid": "ada"}


def test_a_transaction_that_is_rolled_back_loses_no_session(site: NewSite) -> None:
    browser = site.browser(old="t")
    assert browser.get("/change?fail=1").status_int == 400
    assert browser.get("/show").json == {"contents": {"cart": ["apples"]}, "userid": "ada"}


def test_a_logout_holds(site: NewSite) -> None:
    browser = site.browser(old="t")
    browser.get("/logout")
    assert site.browser(old="t").get("/show").json["userid"] is None
