"""Everything that hangs on a request is freed when it ends, not when the garbage collector runs."""

from __future__ import annotations

import gc
import logging
import traceback
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.events import NewRequest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from pyramid_retry import RetryableException
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from pyramid_sessionkit import BasicAuthSource, BearerTokenSource, StoreUnavailable, get_sessions, user_sessions
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import SECRET
from tests.stores.conftest import mariadb as mariadb
from tests.stores.conftest import memcached as memcached
from tests.stores.conftest import postgresql as postgresql
from tests.transactions.application import TAKEN, Base, Row

ROUNDS = 3

Views = dict[str, Callable[[Request], Response]]


# What a request leaves to the collector.


class Browser:
    """Sends requests and keeps the cookie, as WebTest does, which leaves cycles of its own."""

    def __init__(self, wsgi: Any) -> None:
        self._wsgi = wsgi
        self.cookie = ""

    def get(self, path: str, **environ: str) -> str:
        """The status and where the response leads; or what came out of the application."""
        path, _, query = path.partition("?")
        environ |= {"PATH_INFO": path, "QUERY_STRING": query}
        if self.cookie:
            environ["HTTP_COOKIE"] = self.cookie
        setup_testing_defaults(environ)
        sent: dict[str, str] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            sent.update(headers, status=status)

        try:
            b"".join(self._wsgi(environ, start_response))
        except Exception as error:
            break_pyramids_cycle(error)
            return type(error).__name__
        self.cookie = sent.get("Set-Cookie", self.cookie).partition(";")[0]
        return sent["status"] + sent.get("Location", "")


def break_pyramids_cycle(error: BaseException | None) -> None:
    """Where no exception view takes an error, frames of Pyramid that it went through have it in their variables."""
    if error is None:
        return
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).parent.name in ("pyramid", "pyramid_tm"):
            frame.clear()
    break_pyramids_cycle(error.__context__)


def break_pyramids_other_cycle(event: NewRequest) -> None:
    """Where an exception view takes an error, Pyramid keeps the error and its frames in the request."""

    def forget_error(request: Request) -> None:
        request.__dict__.pop("exc_info", None)
        error = request.exception
        while error is not None:
            error.__traceback__ = None
            error = error.__context__

    event.request.add_finished_callback(forget_error)


def left_by(do: Callable[[], object]) -> Counter[str]:
    """What is left to the collector, by type, once everything is warm."""
    for _ in range(ROUNDS):
        do()
    gc.disable()
    gc.freeze()  # what was there before is not looked at
    try:
        for _ in range(ROUNDS):
            do()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return Counter(type(one).__name__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What pytest has of the log keeps errors, and all that hangs on them."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


# What a request does to its session.


def plain(request: Request) -> Response:
    return Response("the same for everybody")


def look(request: Request) -> Response:
    return Response(str(request.session.get("name")))


def write(request: Request) -> Response:
    request.session["name"] = request.session.get("name", 0) + 1
    return Response()


def nested(request: Request) -> Response:
    request.session.setdefault("list", [{}])[0]["name"] = 1
    request.session["list"].append({})
    return Response()


def log_in(request: Request) -> Response:
    remember(request, request.environ["QUERY_STRING"] or "ada")
    return Response(request.authenticated_userid)


def log_out(request: Request) -> Response:
    forget(request)
    return Response(str(request.identity))


def who(request: Request) -> Response:
    return Response(f"{request.identity} {request.authenticated_userid} {request.has_permission('view')}")


def flash(request: Request) -> Response:
    request.session.flash("saved")
    return Response()


def flashed(request: Request) -> Response:
    return Response(str(request.session.peek_flash() + request.session.pop_flash()))


def form(request: Request) -> Response:
    return Response(request.session.get_csrf_token())


def new_form(request: Request) -> Response:
    return Response(request.session.new_csrf_token())


def regenerate(request: Request) -> Response:
    request.session.regenerate_id()
    return Response()


def limits(request: Request) -> Response:
    request.session.set_expiry(timeout=600, lifetime=6000, persistent=True)
    request.session.touch()
    return Response()


def everything(request: Request) -> Response:
    session = request.session
    session.setdefault("list", []).append(1)
    session.save()
    session.reload()
    session.apply("views", lambda views: views + 1, 0)
    session.invalidate()
    session["again"] = session.copy()
    return Response()


def devices(request: Request) -> Response:
    return Response(str(len(list(user_sessions(request).list()))))


def late(request: Request) -> Response:
    request.add_response_callback(lambda request, response: request.session.update(late=True))
    return Response()


def fails(request: Request) -> Response:
    request.session["name"] = 1
    raise ValueError("what an exception view is for")


def refused(request: Request) -> Response:
    request.session["name"] = object()
    return Response()


def fails_once(request: Request) -> Response:
    write(request)
    if request.environ["retry.attempt"] == 0:
        raise RetryableException
    return Response()


VISITS = {
    "a page without a session": ["plain", "plain"],
    "an anonymous look": ["look"],
    "reading": ["write", "look"],
    "writing": ["write", "write"],
    "what is in a list": ["nested", "nested"],
    "logging in and out": ["log_in", "who", "log_in?bob", "who", "log_out", "who"],
    "flashes": ["flash", "flashed", "plain"],
    "forms": ["form", "form", "write", "form", "new_form"],
    "a new secret": ["write", "regenerate", "write"],
    "limits": ["limits", "write", "limits"],
    "all at once": ["everything", "everything"],
    "a response callback": ["late", "late"],
    "a gate": ["gated", "log_in", "gated"],
    "a value that cannot be saved": ["refused", "write", "refused"],
}
"""The paths that one browser visits."""

OF_VISITS: Views = {
    view.__name__: view
    for view in (
        *(plain, look, write, nested, log_in, log_out, who, flash, flashed, form, new_form, regenerate, limits),
        *(everything, devices, late, refused),
    )
}


class Site:
    """An application, and one without sessions: what that leaves to the collector is Pyramid's and not ours."""

    def __init__(self, views: Views, configure: Callable[[Configurator], None] = plain, **settings: Any) -> None:
        named = {name if "." in name else f"sessionkit.{name}": value for name, value in settings.items()}
        self.app = self._make({"sessionkit.secret": SECRET, **named}, views, configure, "pyramid_sessionkit")
        theirs = {name: value for name, value in named.items() if not name.startswith("sessionkit.")}
        self._control = self._make(theirs, dict.fromkeys(views, plain), configure)

    def _make(
        self, settings: dict[str, Any], views: Views, configure: Callable[[Configurator], None], *includes: str
    ) -> Any:
        config = Configurator(settings=settings)
        for include in includes:
            config.include(include)
        configure(config)
        for name, view in views.items():
            config.add_route(name, f"/{name}")
            config.add_view(view, route_name=name)
        config.add_route("gated", "/gated")
        config.add_view(plain, route_name="gated", **({"logged_in": True} if includes else {}))
        return config.make_wsgi_app()

    def left_by(self, paths: list[str], **environ: str) -> dict[str, int]:
        """What is left of visits to these paths, beyond what Pyramid leaves."""
        visits = [left_by(lambda app=app: visit(app, paths, environ)) for app in (self.app, self._control)]
        return dict(visits[0] - visits[1])


def visit(app: Any, paths: list[str], environ: dict[str, str]) -> list[str]:
    browser = Browser(app)
    return [browser.get(f"/{path}", **environ) for path in paths]


# One process.


@pytest.mark.parametrize("name", VISITS)
def test_a_request_is_freed_when_it_ends(name: str) -> None:
    site = Site(OF_VISITS, login_route="log_in")
    assert visit(site.app, VISITS[name], {})[-1] == (
        "SessionNotSerializable" if "refused" in VISITS[name] else "200 OK"
    )
    assert site.left_by(VISITS[name]) == {}


def sources(config: Configurator) -> None:
    if not hasattr(config, "set_session_identity"):
        return
    config.set_session_identity(lambda request, userid: {"name": userid, "last": request.session.get("name")})
    config.set_session_principals(lambda request, identity: [identity["name"]])
    config.set_session_credentials_hash(lambda request, identity: identity["name"])
    config.add_session_source(BasicAuthSource(lambda request, name, password: name))
    config.add_session_source(BearerTokenSource(lambda request, token: token))


SETUPS: dict[str, dict[str, Any]] = {
    "options": {
        "key_prefix": lambda request: request.method,
        "cookie_options": lambda request: {"cookie_path": request.script_name or "/"},
    },
    "transactions": {"pyramid.includes": "pyramid_tm"},
    "retries": {"pyramid.includes": "pyramid_retry pyramid_tm", "retry.attempts": "3"},
    "rolling": {"rolling": "true", "persistent": "true", "save_uninitialized": "true", "resave": "true"},
    "one session": {"max_sessions_per_user": "1", "reissue_time": "1"},
}


@pytest.mark.parametrize("setup", SETUPS)
def test_no_setting_keeps_a_request(setup: str) -> None:
    site = Site(OF_VISITS, login_route="log_in", **SETUPS[setup])
    visits = dict(VISITS)
    if "pyramid_tm" in SETUPS[setup].get("pyramid.includes", ""):
        # Its tween has the error that an exception view took in a variable: a cycle with the frames of the error.
        del visits["a gate"]
    left = {name: site.left_by(paths) for name, paths in visits.items()}
    assert not any(left.values()), left


BASIC = "Basic " + b64encode(b"ada:secret").decode()


@pytest.mark.parametrize("authorization", ["", BASIC, "Bearer ada", "Bearer"])
def test_no_source_keeps_a_request(authorization: str) -> None:
    site = Site(OF_VISITS, sources, login_route="log_in")
    for paths in (["who"], ["log_in", "who", "log_out", "who"], ["gated"]):
        assert site.left_by(paths, HTTP_AUTHORIZATION=authorization) == {}, paths


@pytest.mark.parametrize("cookie", ["session=forged", f"session={'a' * 22}.{'b' * 43}.{'c' * 43}", "session=-.-.-"])
def test_no_cookie_keeps_a_request(cookie: str) -> None:
    site = Site(OF_VISITS)

    def with_cookie() -> None:
        browser = Browser(site.app)
        browser.cookie = cookie
        browser.get("/look")

    assert left_by(with_cookie) == {}


# Errors.


def with_exception_view(config: Configurator) -> None:
    def rendered(error: Exception, request: Request) -> Response:
        return Response(str(getattr(request, "session", None)), status=500)

    config.add_exception_view(rendered, context=Exception)
    config.add_subscriber(break_pyramids_other_cycle, NewRequest)


OF_FAILURES: Views = {"fails": fails, "refused": refused}


# With pyramid_tm and an exception view, the tween of pyramid_tm has the error in a variable.
FAILURE_SETUPS = pytest.mark.parametrize(("includes", "with_view"), [("", False), ("", True), ("pyramid_tm", False)])


@FAILURE_SETUPS
@pytest.mark.parametrize("path", ["fails", "refused"])
def test_a_request_that_failed_is_freed(path: str, includes: str, with_view: bool) -> None:
    configure = with_exception_view if with_view else plain
    site = Site({path: OF_FAILURES[path]}, configure, **{"pyramid.includes": includes})
    assert site.left_by([path, path]) == {}


def test_an_attempt_that_is_repeated_is_freed() -> None:
    site = Site(
        {"fails_once": fails_once, "look": look},
        with_exception_view,
        **{"pyramid.includes": "pyramid_retry", "retry.attempts": "3"},
    )
    assert visit(site.app, ["fails_once", "look"], {}) == ["200 OK", "200 OK"]
    assert site.left_by(["fails_once", "fails_once"]) == {}


@FAILURE_SETUPS
@pytest.mark.parametrize("operation", ["load", "create", "update", "delete"])
def test_an_outage_keeps_no_request(operation: str, includes: str, with_view: bool) -> None:
    def fail(*args: Any) -> Any:
        raise StoreUnavailable("down")

    store = MemoryStore()
    site = Site(
        {"write": write, "log_out": log_out},
        with_exception_view if with_view else plain,
        store=lambda _: store,
        **{"pyramid.includes": includes},
    )
    browser = Browser(site.app)
    if operation != "create":
        browser.get("/write")
    setattr(store, operation, fail)
    path = "log_out" if operation == "delete" else "write"
    assert browser.get(f"/{path}")[:3] == ("500" if with_view else "503")
    assert site.left_by([path], HTTP_COOKIE=browser.cookie) == {}


# Other stores.


def settings_of(store: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of a store that is there."""
    settings: dict[str, str] = {"store": store if store in ("memcached", "cached_sql") else "sql"}
    if settings["store"] != "sql":
        settings["memcached.servers"] = request.getfixturevalue("memcached").address
    if store in ("postgresql", "mariadb"):
        settings["sql.url"] = request.getfixturevalue(store).url
    elif store != "memcached":
        settings["sql.url"] = f"sqlite:///{folder}/sessions.sqlite"
    if "sql.url" in settings:
        settings["sql.create_table"] = "true"
    return {f"sessionkit.{name}": value for name, value in settings.items()}


@pytest.mark.parametrize(
    "store",
    [
        "sqlite",
        *(
            pytest.param(store, marks=pytest.mark.servers)
            for store in ("postgresql", "mariadb", "memcached", "cached_sql")
        ),
    ],
)
def test_no_store_keeps_a_request(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    site = Site(OF_VISITS, login_route="log_in", **settings_of(store, tmp_path, request))
    left = {name: site.left_by(paths) for name, paths in VISITS.items()}
    get_sessions(site.app.registry).store.close()
    assert not any(left.values()), left


# Joined mode.


def count_rows(request: Request) -> None:
    for row in request.dbsession.scalars(select(Row)):
        row.number += 1


def read_in_transaction(request: Request) -> Response:
    count_rows(request)
    return look(request)


def write_in_transaction(request: Request) -> Response:
    count_rows(request)
    return write(request)


def write_in_savepoint(request: Request) -> Response:
    write(request)
    savepoint = request.dbsession.begin_nested()
    write(request)
    request.session.save()
    savepoint.rollback()
    return Response()


def log_in_and_out(request: Request) -> Response:
    count_rows(request)
    log_in(request)
    request.session.save()
    return log_out(request)


def doomed(request: Request) -> Response:
    write(request)
    request.tm.doom()
    return Response()


def late_in_transaction(request: Request) -> Response:
    count_rows(request)
    return late(request)


JOINED: Views = {
    view.__name__: view
    for view in (
        *(plain, read_in_transaction, write_in_transaction, write_in_savepoint, log_in_and_out, doomed),
        *(late_in_transaction, refused),
    )
}


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def test_joined_mode_keeps_no_request(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = settings_of(database, tmp_path, request)
    engine = create_engine(settings["sessionkit.sql.url"])
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as dbsession, dbsession.begin():
        dbsession.add(Row(name=TAKEN))
    factory = sessionmaker(engine)

    def make_dbsession(request: Request) -> Session:
        # With request in its info, as the cookiecutter has it, each request is in a cycle.
        dbsession = factory()
        zope.sqlalchemy.register(dbsession, transaction_manager=request.tm)
        return dbsession

    def configure(config: Any) -> None:
        config.add_request_method(make_dbsession, "dbsession", reify=True)

    site = Site(
        JOINED,
        configure,
        **settings,
        **{
            "sessionkit.sql.dbsession": "dbsession",
            "pyramid.includes": "pyramid_tm",
            "tm.manager_hook": "pyramid_tm.explicit_manager",
        },
    )
    left = {name: site.left_by(["plain", name, name]) for name in JOINED}
    get_sessions(site.app.registry).store.close()
    engine.dispose()
    assert not any(left.values()), left
