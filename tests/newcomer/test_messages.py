"""Messages for mistakes that nearly everybody makes at first."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember

from pyramid_sessionkit import SessionNotSerializable
from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing import make_session
from tests.conftest import SECRET


def test_a_store_that_there_is_not(make_app: Any) -> None:
    expected = (
        r"sessionkit\.store = mongo: there is no such store; give one of memory, memcached, redis, sql, cached_sql, or"
    )
    with pytest.raises(ConfigurationError, match=expected):
        make_app({}, **{"sessionkit.store": "mongo"})


@pytest.mark.parametrize(
    ("dotted", "message"),
    [
        ("tests.conftest.SECRETS", r"tests\.conftest has no SECRETS; did you mean SECRET\?$"),
        ("tests.conftest.nothing", r"tests\.conftest has no nothing; give the dotted name of a function"),
    ],
)
def test_a_function_that_its_module_does_not_have(make_app: Any, dotted: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"sessionkit\.identity = {dotted} cannot be imported: {message}"):
        make_app({}, **{"sessionkit.identity": dotted})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg2"])
def test_what_to_write_for_postgresql(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigurationError, match=r"write postgresql\+psycopg://.*pyramid_sessionkit\[postgresql\]"):
        create_session_engine(f"{scheme}://host/db")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql+psycopg", "psycopg", "postgresql"), ("mysql+pymysql", "pymysql", "mariadb")],
)
def test_a_missing_driver_names_its_extra(url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf'{module}.*pip install "pyramid_sessionkit\[{extra}\]"$'):
        create_session_engine(f"{url}://host/db")


def test_a_folder_of_sqlite_that_is_missing(tmp_path: Path) -> None:
    store = SQLStore(create_session_engine(f"sqlite:///{tmp_path}/missing/sessions.sqlite"))
    with pytest.raises(
        StoreUnavailable, match=rf"the folder {tmp_path}/missing of sessionkit\.sql\.url does not exist"
    ):
        store.create_table()


def test_a_file_of_sqlite_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "sessions.sqlite").mkdir()
    with pytest.raises(StoreUnavailable, match=r"unable to open database file$"):
        SQLStore(create_session_engine(f"sqlite:///{tmp_path}/sessions.sqlite")).load("k" * 22)


def test_contents_are_no_attributes() -> None:
    session = make_session({"views": 1})
    for use in (lambda: session.views, lambda: setattr(session, "views", 2)):
        with pytest.raises(AttributeError, match=r'no attribute views\..*session\["views"\]'):
            use()
    with pytest.raises(AttributeError, match=r"key|can't set"):
        session.key = "x"  # type: ignore[misc]
    assert not hasattr(session, "views")


def test_remember_takes_no_max_age(make_app: Any) -> None:
    app = make_app({"/": lambda request: remember(request, "ada", max_age=60)})
    with pytest.raises(TypeError, match=r"max_age: pass persistent=True.*sessionkit\.lifetime.*sessionkit\.timeout"):
        app.get("/")


@pytest.mark.parametrize(
    ("queue", "named"), [("", "the flash queue without a name"), ("info", "the flash queue 'info'")]
)
def test_a_flash_message_that_cannot_be_stored(queue: str, named: str) -> None:
    session = make_session()
    session.flash("fine", queue)
    with pytest.raises(SessionNotSerializable, match=rf"messages\[1\]\.price of {named}: complex\."):
        session.flash({"price": 1j}, queue)


def test_an_error_inside_a_property_is_not_renamed(make_app: Any) -> None:
    def key_prefix(request: Request) -> Any:
        return request.tenant

    site = make_app({"/": lambda request: Response(request.session.key)}, **{"sessionkit.key_prefix": key_prefix})
    with pytest.raises(AttributeError, match="tenant"):
        site.get("/")


def takes_userid_alone(userid: str) -> None:
    pass


def takes_request_alone(request: Request) -> None:
    pass


def takes_three(request: Request, userid: str, more: str) -> None:
    pass


def takes_nothing() -> None:
    pass


@pytest.mark.parametrize("function", [takes_userid_alone, takes_three])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("identity", "request, userid"), ("principals", "request, identity"), ("credentials_hash", "request, identity")],
)
def test_a_function_with_the_wrong_arguments(make_app: Any, name: str, arguments: str, function: Any) -> None:
    expected = rf"sessionkit\.{name} is called with \({arguments}\), but {function.__name__} takes \("
    with pytest.raises(ConfigurationError, match=expected):
        make_app({}, **{name: f"tests.newcomer.test_messages.{function.__name__}"})
    with pytest.raises(ConfigurationError, match=expected):
        make_app({}, configure=lambda config: getattr(config, f"set_session_{name}")(function))


@pytest.mark.parametrize("name", ["key_prefix", "cookie_options", "store"])
def test_a_function_of_the_request_without_one(make_app: Any, name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"sessionkit\.{name} is called with .* but takes_nothing takes \(\)$"
    ):
        make_app({}, **{f"sessionkit.{name}": takes_nothing})


@functools.wraps(takes_userid_alone)
def wraps_another(request: Request, userid: str) -> None:
    takes_userid_alone(userid)


@pytest.mark.parametrize(
    "function",
    [lambda *args: None, lambda request, userid, more=None: None, max, wraps_another, functools.cache(wraps_another)],
)
def test_a_function_that_can_be_called(make_app: Any, function: Any) -> None:
    make_app({}, identity=function)


BROKEN = """
[app:main]
use = call:tests.newcomer.test_messages:main
sessionkit.secret = {secret}
sessionkit.store = mongo

[server:main]
use = egg:waitress#main
"""


def main(global_config: Any, **settings: Any) -> Any:
    from pyramid.config import Configurator

    with Configurator(settings=settings) as config:
        config.include("pyramid_sessionkit")
        config.add_route("home", "/")
        config.add_view(lambda request: Response("ok"), route_name="home")
    return config.make_wsgi_app()


def test_pserve_ends_with_the_message_alone(tmp_path: Path) -> None:
    (tmp_path / "app.ini").write_text(BROKEN.format(secret=SECRET))
    command = [sys.executable, "-c", "from pyramid.scripts.pserve import main; main()", str(tmp_path / "app.ini")]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], timeout=60
    )
    assert answer.returncode != 0
    lines = answer.stderr.strip().splitlines()
    assert "ConfigurationError: sessionkit.store = mongo: there is no such store" in lines[-1]
    assert len([line for line in lines if line.startswith("Traceback")]) == 1
