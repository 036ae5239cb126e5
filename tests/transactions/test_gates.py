"""What a subscriber of LoginRequired puts into the session, where the session is a part of the transaction."""

from __future__ import annotations

from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from webtest import TestApp

from pyramid_sessionkit import LoginRequired, get_sessions
from tests.conftest import SECRET

VETO = {"tm.commit_veto": "pyramid_tm.default_commit_veto"}


@pytest.mark.parametrize(
    ("joined", "settings", "keeps"), [(False, {}, True), (True, {}, False), (True, VETO, True), (False, VETO, True)]
)
def test_a_gate_says_whether_what_is_written_is_kept(
    joined: bool, settings: dict[str, Any], keeps: bool, tmp_path: Any
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/site.sqlite")
    told: list[bool] = []

    def dbsession(request: Request) -> Any:
        made = sessionmaker(engine)()
        zope.sqlalchemy.register(made, transaction_manager=request.tm)
        return made

    def keep(event: LoginRequired) -> None:
        told.append(event.keeps)
        event.request.session["kept"] = "a long text"

    config = Configurator(
        settings={
            "tm.manager_hook": "pyramid_tm.explicit_manager",
            "sessionkit.secret": SECRET,
            "sessionkit.store": "sql",
            "sessionkit.sql.url": str(engine.url),
            "sessionkit.sql.create_table": "true",
            "sessionkit.login_route": "login",
        }
        | ({"sessionkit.sql.dbsession": "dbsession"} if joined else {})
        | settings
    )
    config.include("pyramid_tm")
    config.include("pyramid_sessionkit")
    config.add_request_method(dbsession, reify=True)
    config.add_subscriber(keep, LoginRequired)
    config.add_route("login", "/login")
    config.add_view(lambda request: Response(request.session.get("kept", "nothing")), route_name="login")
    config.add_view(lambda request: Response(""), logged_in=True)
    app = TestApp(config.make_wsgi_app())
    try:
        assert app.post("/").follow().text == ("a long text" if keeps else "nothing")
        assert told == [keeps]
    finally:
        get_sessions(app.app.registry).store.close()
        engine.dispose()
