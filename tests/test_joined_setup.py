"""What start-up says of joined mode, and of an order of the tweens that would save nothing."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request

from pyramid_sessionkit import IJoinable
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import SECRET

TM = "pyramid_tm.tm_tween_factory"
OUTER = "pyramid_sessionkit.tweens.outer_tween_factory"
INNER = "pyramid_sessionkit.tweens.inner_tween_factory"
EXCVIEW = "pyramid.tweens.excview_tween_factory"


def start(*includes: str, attribute: bool = True, factory: Any = None, **settings: str) -> Any:
    named = {name if "." in name else f"sessionkit.{name}": value for name, value in settings.items()}
    config = Configurator(settings={"sessionkit.secret": SECRET, **named}, request_factory=factory)
    for include in includes:
        config.include(include)
    if attribute:
        config.add_request_method(lambda request: None, "dbsession", reify=True)
    return config.make_wsgi_app()


@pytest.fixture
def settings(tmp_path: Any) -> dict[str, str]:
    return {
        "store": "sql",
        "sessionkit.sql.url": f"sqlite:///{tmp_path}/joined.sqlite",
        "sessionkit.sql.dbsession": "dbsession",
    }


@pytest.mark.parametrize("includes", [("pyramid_tm", "pyramid_sessionkit"), ("pyramid_sessionkit", "pyramid_tm")])
def test_it_starts_in_any_order(settings: dict[str, str], includes: tuple[str, ...]) -> None:
    assert start(*includes, **settings)


def test_pyramid_tm_is_needed(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r'sql\.dbsession needs pyramid_tm.*config\.include\("pyramid_tm"\)'):
        start("pyramid_sessionkit", **settings)


def test_requests_need_the_attribute(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"sql\.dbsession = dbsession, but requests have no such attribute"):
        start("pyramid_tm", "pyramid_sessionkit", attribute=False, **settings)


def test_a_request_factory_may_have_it(settings: dict[str, str]) -> None:
    class OwnRequest(Request):
        dbsession = None

    assert start("pyramid_tm", "pyramid_sessionkit", attribute=False, factory=OwnRequest, **settings)


@pytest.mark.parametrize("store", ["memory", "memcached", "cached_sql"])
def test_the_store_has_to_be_sql(settings: dict[str, str], store: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sql\.dbsession = dbsession needs sessionkit\.store = sql"):
        start("pyramid_tm", "pyramid_sessionkit", **settings | {"store": store})


def test_a_bad_name(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"sql\.dbsession = request\.db: must be the name of an attribute"):
        start("pyramid_tm", "pyramid_sessionkit", **settings | {"sessionkit.sql.dbsession": "request.db"})


def test_a_missing_package_names_the_extra(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zope.sqlalchemy", None)
    with pytest.raises(ConfigurationError, match=r'pip install "pyramid_sessionkit\[joined\]"'):
        start("pyramid_tm", "pyramid_sessionkit", **settings)


@pytest.mark.parametrize(
    ("listed", "needed"),
    [
        ((TM, EXCVIEW), (OUTER, TM, INNER, EXCVIEW)),
        ((OUTER, TM, EXCVIEW), (OUTER, TM, INNER, EXCVIEW)),
        ((TM, OUTER, INNER, EXCVIEW), (OUTER, TM, INNER, EXCVIEW)),
        ((OUTER, INNER, TM, EXCVIEW), (OUTER, TM, INNER, EXCVIEW)),
        ((OUTER, TM, EXCVIEW, INNER), (OUTER, TM, INNER, EXCVIEW)),
        ((EXCVIEW,), (OUTER, EXCVIEW)),
        ((EXCVIEW, OUTER), (OUTER, EXCVIEW)),
    ],
)
@pytest.mark.parametrize("store", ["memory", "joined"])
def test_a_wrong_list_of_tweens_is_refused(
    settings: dict[str, str], listed: tuple[str, ...], needed: tuple[str, ...], store: str
) -> None:
    chosen = settings if store == "joined" else {}
    with pytest.raises(ConfigurationError) as refused:
        start("pyramid_tm", "pyramid_sessionkit", **chosen | {"pyramid.tweens": "\n".join(listed)})
    assert " ".join(needed) in str(refused.value)


@pytest.mark.parametrize(
    "listed", [(OUTER, TM, INNER, EXCVIEW), ("tests.test_joined_setup.pass_on", OUTER, TM, INNER, EXCVIEW), (OUTER,)]
)
def test_a_right_list_of_tweens_is_not(listed: tuple[str, ...]) -> None:
    assert start("pyramid_sessionkit", **{"pyramid.tweens": "\n".join(listed)})


def pass_on(handler: Any, registry: Any) -> Any:
    return handler


def test_only_sql_is_joinable(sql_store: Any) -> None:
    assert IJoinable.providedBy(sql_store)
    assert not IJoinable.providedBy(MemoryStore())
