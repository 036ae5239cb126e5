from __future__ import annotations

import re
from typing import Any

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response

import pyramid_sessionkit
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import SpyStore

NOT_CALLABLE = "text"


def own_prefix(request: Request) -> str:
    return f"tenant-{request.params['tenant']}_"


def own_store(settings: dict[str, Any]) -> MemoryStore:
    return MemoryStore(int(settings["sessionkit.custom.size"]))


def options(request: Request) -> dict[str, Any]:
    return {"cookie_samesite": "Strict"}


def write(request: Request) -> Response:
    request.session["a"] = 1
    return Response("ok")


def test_everything_public_is_importable() -> None:
    assert all(hasattr(pyramid_sessionkit, name) for name in pyramid_sessionkit.__all__)
    errors = [
        name
        for name, value in vars(pyramid_sessionkit.exceptions).items()
        if getattr(value, "__module__", None) == pyramid_sessionkit.exceptions.__name__
    ]
    assert set(errors) <= set(pyramid_sessionkit.__all__)


def test_a_store_of_ones_own(make_app: Any) -> None:
    app = make_app({}, **{"sessionkit.store": "tests.test_includeme.own_store", "sessionkit.custom.size": "7"})
    assert app.app.registry.getUtility(ISessionFactory).persistence.store._max_sessions == 7


def test_a_key_prefix_and_cookie_options_of_ones_own(make_app: Any, spy: SpyStore) -> None:
    app = make_app(
        {"/": write}, key_prefix="tests.test_includeme.own_prefix", cookie_options="tests.test_includeme.options"
    )
    header = app.get("/?tenant=7").headers["Set-Cookie"]
    assert re.match(r"session=tenant-7_[A-Za-z0-9]{22}\.", header)
    assert "SameSite=Strict" in header
    assert [key[:9] for key in spy.store._records] == ["tenant-7_"]
    assert app.get("/?tenant=8").headers.get("Set-Cookie") is None


@pytest.mark.parametrize("prefix", ["x" * 43, "a.b", "a b", "é", "a\n", None, 7, b"a"])
def test_a_bad_key_prefix_is_refused(make_app: Any, spy: SpyStore, prefix: Any) -> None:
    app = make_app({"/": write}, key_prefix=lambda request: prefix)
    with pytest.raises(
        pyramid_sessionkit.SessionError, match=r"sessionkit\.key_prefix must return up to 42 characters"
    ):
        app.get("/")
    assert spy.calls == []


@pytest.mark.parametrize("prefix", ["x" * 42, "", "Az09-_"])
def test_the_longest_and_the_shortest_key_prefix(make_app: Any, spy: SpyStore, prefix: str) -> None:
    app = make_app({"/": write}, key_prefix=lambda request: prefix)
    app.get("/")
    spy.calls.clear()
    app.get("/")
    assert spy.calls == ["load"]


@pytest.mark.parametrize("name", ["store", "identity", "principals", "cookie_options", "key_prefix"])
@pytest.mark.parametrize(
    ("dotted", "problem"),
    [
        ("no.such.module", "cannot be imported"),
        ("tests.nothing", "cannot be imported"),
        ("tests.test_includeme.NOT_CALLABLE", "not callable"),
    ],
)
def test_a_bad_dotted_name_names_the_setting(make_app: Any, name: str, dotted: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"sessionkit\.{name} = {dotted}.*{problem}"):
        make_app({}, **{f"sessionkit.{name}": dotted})


def test_a_missing_package_names_the_extra(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyramid_sessionkit.stores.sql", None)
    with pytest.raises(ConfigurationError, match=r'pip install "pyramid_sessionkit\[sql\]"'):
        make_app({}, **{"sessionkit.store": "sql"})


def test_the_memory_store_warns_of_other_processes_once(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app({"/": write}, **{"sessionkit.store": "memory"})
    app.get("/", extra_environ={"wsgi.multiprocess": False})
    assert "several processes" not in caplog.text
    for _ in range(2):
        app.get("/", extra_environ={"wsgi.multiprocess": True})
    assert caplog.text.count("several processes") == 1


@pytest.mark.parametrize(("setting", "expected"), [({}, "false"), ({"tm.annotate_user": "true"}, "true")])
def test_annotate_user_is_off_unless_asked_for(make_app: Any, setting: dict[str, str], expected: str) -> None:
    assert make_app({}, **setting).app.registry.settings["tm.annotate_user"] == expected
