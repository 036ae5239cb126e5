"""The first session in joined mode: it is a part of the transaction, and the second is saved after the commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker
from webtest import TestApp

from pyramid_sessionkit import SessionTooLarge, get_sessions
from tests.conftest import SECRET


class Site:
    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE rows (name text)"))
        config = Configurator(
            settings={
                "tm.manager_hook": "pyramid_tm.explicit_manager",
                "sqlalchemy.url": url,
                "sessionkit.secret": SECRET,
                "sessionkit.store": "sql",
                "sessionkit.sql.create_table": "true",
                "sessionkit.sql.dbsession": "dbsession",
                "basket.store": "sql",
                "basket.sql.create_table": "true",
                "basket.max_size": "1000",
            }
        )
        config.include("pyramid_tm")
        config.include("pyramid_sessionkit")
        config.add_session("basket")
        factory = sessionmaker(self.engine)

        def dbsession(request: Request) -> Any:
            made = factory()
            zope.sqlalchemy.register(made, transaction_manager=request.tm)
            return made

        config.add_request_method(dbsession, reify=True)
        config.add_view(put)
        self.app = TestApp(config.make_wsgi_app())

    def close(self) -> None:
        for name in ("session", "basket"):
            get_sessions(self.app.app.registry, name).store.close()
        self.engine.dispose()

    def stored(self) -> list[int]:
        """How many rows of the application, sessions and baskets there are."""
        with self.engine.connect() as connection:
            return [
                connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0
                for table in ("rows", "sessions", "basket_sessions")
            ]


def put(request: Request) -> Response:
    request.dbsession.execute(text("INSERT INTO rows VALUES ('one')"))
    if "basket" not in request.params:
        request.session["n"] = 1
    request.basket["text"] = "x" * int(request.params.get("long", 1))
    if "raise" in request.params:
        raise HTTPBadRequest
    return Response("ok")


@pytest.fixture
def site(tmp_path: Any) -> Iterator[Site]:
    site = Site(f"sqlite:///{tmp_path}/app.sqlite")
    yield site
    site.close()


def test_both_are_saved_with_the_transaction(site: Site) -> None:
    site.app.get("/")
    assert site.stored() == [1, 1, 1]


@pytest.mark.parametrize("alone", ["", "basket=alone&"])
def test_a_basket_that_cannot_be_saved_aborts_all(site: Site, alone: str) -> None:
    with pytest.raises(SessionTooLarge):
        site.app.get(f"/?{alone}long=2000")
    assert site.stored() == [0, 0, 0]


def test_what_a_rejected_request_put_into_the_basket_stays(site: Site) -> None:
    site.app.get("/?raise=1", status=400)
    assert site.stored() == [0, 0, 1]
