"""Packages that real applications have: pyramid_services, pyramid_exclog and pyramid_mailer, with pyramid_retry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from pyramid_mailer import get_mailer
from pyramid_mailer.interfaces import IMailer
from pyramid_mailer.mailer import Mailer
from pyramid_mailer.message import Message
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from webtest import TestApp

from pyramid_sessionkit import SessionNotSerializable
from tests.applications.steps import settings_of


def see(request: Request) -> Response:
    return Response(json_body=[request.authenticated_userid, dict(request.session)])


def log_in(request: Request) -> Response:
    remember(request, "ada")
    request.find_service(name="cart").append("apples")
    return Response()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., TestApp]]:
    """An application with these views, whose SQLAlchemy session is a service."""
    engine = create_engine(f"sqlite:///{tmp_path}/application.sqlite")
    session_factory = sessionmaker(engine)

    def make_dbsession(context: Any, request: Request) -> Any:
        dbsession = session_factory()
        zope.sqlalchemy.register(dbsession, transaction_manager=request.tm)
        return dbsession

    def start_(mode: str, *includes: str, views: tuple[Any, ...] = (), **settings: str) -> TestApp:
        explicit = {"tm.manager_hook": "pyramid_tm.explicit_manager"}
        config = Configurator(settings=settings_of(mode, tmp_path) | explicit | settings)
        for include in ("pyramid_tm", "pyramid_retry", "pyramid_services", *includes, "pyramid_sessionkit"):
            config.include(include)
        config.register_service_factory(make_dbsession, name="dbsession")
        config.register_service_factory(lambda context, request: request.session.setdefault("cart", []), name="cart")
        config.add_request_method(lambda request: request.find_service(name="dbsession"), "dbsession", reify=True)
        for view in (see, log_in, *views):
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__)
        config.add_exception_view(lambda error, request: Response("oops", status=500), context=ZeroDivisionError)
        return TestApp(config.make_wsgi_app())

    yield start_
    engine.dispose()


BOTH = pytest.mark.parametrize("mode", ["independent", "joined"])


@BOTH
def test_a_service_may_use_the_session(start: Callable[..., TestApp], mode: str) -> None:
    def order(request: Request) -> Response:
        request.find_service(name="cart").append("pears")
        return Response()

    browser = start(mode, views=(order,))
    browser.get("/log_in")
    browser.get("/order")
    assert browser.get("/see").json == ["ada", {"cart": ["apples", "pears"]}]


@pytest.mark.filterwarnings("ignore:.*unauthenticated_userid:DeprecationWarning")
@BOTH
def test_logs_of_errors_need_not_have_the_session_id(
    start: Callable[..., TestApp], caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    def fail(request: Request) -> Response:
        assert request.authenticated_userid == "ada"
        request.session["cart"].append("poison")
        return Response(1 / 0)

    settings = {"exclog.extra_info": "true", "exclog.hidden_cookies": "session"}
    browser = start(mode, "pyramid_exclog", views=(fail,), **settings)
    browser.get("/log_in")
    secret = browser.cookies["session"].split(".")[1]
    browser.get("/fail", status=500)
    (logged,) = [record.getMessage() for record in caplog.records if record.name == "exc_logger"]
    assert "session=hidden" in logged
    assert secret not in logged
    assert browser.get("/see").json == ["ada", {"cart": ["apples"]}]


class Post(list[Any]):
    """What was sent, instead of a server."""

    def send(self, sender: str, recipients: Any, message: Any) -> None:
        self.extend(recipients)


@BOTH
def test_a_session_that_cannot_be_saved_sends_no_mail(start: Callable[..., TestApp], mode: str) -> None:
    def invite(request: Request) -> Response:
        get_mailer(request).send(Message("Welcome", [request.params["to"]], "Hello", sender="us@example.com"))
        # Inside a list it is looked at when the session is saved, and not before.
        request.session.setdefault("invited", []).append(object() if "bob" in request.params["to"] else 1)
        return Response()

    browser, post = start(mode, views=(invite,)), Post()
    browser.app.registry.registerUtility(Mailer(smtp_mailer=post), IMailer)
    browser.get("/invite?to=ada@example.com")
    with pytest.raises(SessionNotSerializable):
        browser.get("/invite?to=bob@example.com")
    assert post == ["ada@example.com"]
