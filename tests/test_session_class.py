"""A subclass of Session, and a session factory of the application that puts something around ours."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISession, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp
from zope.interface import implementer

from pyramid_sessionkit import Session, SessionError, get_sessions, user_sessions, why_logged_out
from pyramid_sessionkit.testing import make_session
from tests.conftest import SpyStore

HERE = "tests.test_session_class"


class Shop(Session):
    """Without ``__slots__``, as most would write it."""

    discount = 0

    def add(self, item: str) -> None:
        self["cart"] = [*self.get("cart", []), item]


class OtherArguments(Session):
    def __init__(self, request: Request) -> None:
        pass


@implementer(ISession)
class Wrapper(MutableMapping[str, Any]):
    """What a factory of an application may return: it has what ``ISession`` has, and no more."""

    def __init__(self, inside: Session) -> None:
        self.inside = inside

    def __getitem__(self, name: str) -> Any:
        return self.inside[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.inside[name] = value

    def __delitem__(self, name: str) -> None:
        del self.inside[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inside)

    def __len__(self) -> int:
        return len(self.inside)


def wrapped(config: Configurator) -> None:
    """As the documentation says to do it."""
    config.commit()
    ours = config.registry.getUtility(ISessionFactory)

    @functools.wraps(ours)
    def factory(request: Request) -> Wrapper:
        return Wrapper(ours(request))

    config.set_session_factory(factory)


def put(request: Request) -> Response:
    request.session["n"] = request.session.get("n", 0) + 1
    return Response(str(request.session["n"]))


class TestSubclass:
    def test_it_is_saved(self, make_app: Callable[..., TestApp]) -> None:
        def add(request: Request) -> Response:
            request.session.add("pears")
            return Response(" ".join(request.session["cart"]))

        app = make_app({"/": add}, session_class=f"{HERE}.Shop")
        app.get("/")
        assert app.get("/").text == "pears pears"

    @pytest.mark.parametrize("named", [Shop, f"{HERE}.Shop"])
    def test_the_class_itself_or_its_name(self, make_app: Callable[..., TestApp], named: Any) -> None:
        def view(request: Request) -> Response:
            request.session["n"] = 1
            return Response(request.session.key)

        app = make_app({"/": view}, session_class=named)
        assert type(get_sessions(app.app.registry).open(app.get("/").text)) is Shop

    def test_a_misspelt_attribute_is_refused(self, make_app: Callable[..., TestApp]) -> None:
        def misspelt(request: Request) -> Response:
            request.session.discount = 5  # what the class declares is its own
            request.session.dicsount = 5
            return Response("")

        app = make_app({"/": misspelt}, session_class=Shop)
        with pytest.raises(AttributeError, match=r'no attribute dicsount.*session\["dicsount"\]'):
            app.get("/")

    @pytest.mark.parametrize(
        ("named", "said"),
        [
            (f"{HERE}.put", "is not a subclass of"),
            ("builtins.dict", r"is not a subclass of pyramid_sessionkit\.Session"),
            ("pyramid_sessionkit.SecondSession", r"nobody can log in: derive it from pyramid_sessionkit\.Session"),
            (f"{HERE}.Nothing", "has no Nothing"),
            ("no.such.Session", "such as myapp.sessions.MySession"),
            (f"{HERE}.OtherArguments", r"OtherArguments takes \(request\)"),
        ],
    )
    def test_what_is_no_subclass_is_refused(self, make_app: Callable[..., TestApp], named: str, said: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"sessionkit\.session_class.*{said}"):
            make_app({}, session_class=named)


class TestWrapper:
    def test_it_is_saved(self, make_app: Callable[..., TestApp]) -> None:
        app = make_app({"/": put}, configure=wrapped)
        app.get("/")
        assert app.get("/").text == "2"

    def test_login_and_logout(self, make_app: Callable[..., TestApp]) -> None:
        views = {
            "/login": lambda request: Response(headerlist=remember(request, "ada")),
            "/logout": lambda request: Response(headerlist=forget(request)),
            "/": lambda request: Response(str(request.authenticated_userid)),
        }
        app = make_app(views, configure=wrapped)
        app.get("/login")
        assert app.get("/").text == "ada"
        app.get("/logout")
        assert app.get("/").text == "None"

    def test_gates_lists_and_tokens(self, make_app: Callable[..., TestApp]) -> None:
        def gated(config: Configurator) -> None:
            wrapped(config)
            config.add_route("/fresh", "/fresh")
            config.add_view(lambda request: Response("fresh"), route_name="/fresh", fresh_login=60)

        def page(request: Request) -> Response:
            assert why_logged_out(request) is None
            return Response(json_body=[info.userid for info in user_sessions(request).list()])

        def login(request: Request) -> Response:
            return Response(headerlist=remember(request, "ada"))

        app = make_app({"/login": login, "/": page}, configure=gated)
        app.get("/login")
        assert app.get("/").json == ["ada"]
        assert app.get("/fresh").text == "fresh"

    def test_a_login_ends_when_the_password_changes(self, make_app: Callable[..., TestApp]) -> None:
        password = ["old"]
        views = {
            "/login": lambda request: Response(headerlist=remember(request, "ada")),
            "/": lambda request: Response(str(request.authenticated_userid)),
        }
        app = make_app(views, configure=wrapped, credentials_hash=lambda request, identity: password[0])
        app.get("/login")
        assert app.get("/").text == "ada"
        password[0] = "new"
        assert app.get("/").text == "None"

    def test_no_warning_where_it_says_whom_it_calls(self, make_app: Callable[..., TestApp], caplog: Any) -> None:
        make_app({}, configure=wrapped)
        assert "session factory" not in caplog.text

    def test_one_that_does_not_say_so_is_saved_with_a_warning(
        self, make_app: Callable[..., TestApp], caplog: Any
    ) -> None:
        def unmarked(config: Configurator) -> None:
            config.commit()
            ours = config.registry.getUtility(ISessionFactory)
            config.set_session_factory(lambda request: Wrapper(ours(request)))

        app = make_app({"/": put}, configure=unmarked)
        assert "@functools.wraps(ours)" in caplog.text
        app.get("/")
        assert app.get("/").text == "2"

    def test_asked_twice_the_factory_gives_one_session(self, make_app: Callable[..., TestApp], spy: SpyStore) -> None:
        def twice(request: Request) -> Response:
            factory = request.registry.getUtility(ISessionFactory)
            factory(request)["n"] = 1
            assert request.session["n"] == 1
            assert factory(request) is request.session
            return Response("")

        make_app({"/": twice}).get("/")
        assert spy.calls == ["create"]


def test_a_session_that_nobody_would_save_is_refused(make_app: Callable[..., TestApp]) -> None:
    def own(request: Request) -> Response:
        request.session = make_session()
        request.session["n"] = 1
        return Response("saved?")

    with pytest.raises(SessionError, match=r"would be lost: call its save\(\)"):
        make_app({"/": own}).get("/")


def test_what_takes_the_place_of_a_used_session_is_refused(make_app: Callable[..., TestApp]) -> None:
    def own(request: Request) -> Response:
        request.session["n"] = 1
        request.session = make_session()
        request.session["n"] = 2
        return Response("saved?")

    with pytest.raises(SessionError, match=r"would be lost: call its save\(\)"):
        make_app({"/": own}).get("/")
