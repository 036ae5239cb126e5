"""``config.add_session``: settings under their own prefix, and what is refused at start-up."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from secrets import token_bytes
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError, ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from pyramid_sessionkit import SecondSession, Session, SessionError, StoreError, get_sessions
from tests.conftest import SECRET

NOT_A_CLASS = Session.clear


class Basket(SecondSession):
    pass


class NotSecond(Session):
    pass


def page(request: Request) -> Response:
    request.basket["n"] = 1
    return Response(type(request.basket).__name__)


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        configured(**settings)
    return str(refused.value)


def configured(add: Callable[[Configurator], Any] | None = None, **settings: Any) -> Configurator:
    config = Configurator(settings={"sessionkit.secret": SECRET, **settings})
    config.include("pyramid_sessionkit")
    if add is None:
        config.add_session("basket")
    else:
        add(config)
    config.commit()
    return config


def settings_of(config: Configurator, name: str = "basket") -> Any:
    return get_sessions(config.registry, name).settings


def test_what_is_not_set_has_a_default_that_works() -> None:
    settings = settings_of(configured())
    assert settings.secret == (SECRET.encode(),)
    assert settings.cookie.name == "basket"
    assert settings.sql.table == "basket_sessions"
    assert settings.memcached.prefix == settings.redis.prefix == "basket:"
    assert settings.timeout == 1200, "what the first one has set is not a default"


def test_each_has_its_own_settings() -> None:
    config = configured(**{"sessionkit.timeout": "5m", "basket.timeout": "10m", "basket.cookie_name": "cart"})
    assert [settings_of(config, name).timeout for name in ("session", "basket")] == [300, 600]
    assert settings_of(config).cookie.name == "cart"


def test_it_is_sealed_and_behind_a_proxy_as_the_first_is() -> None:
    pytest.importorskip("cryptography")
    key = urlsafe_b64encode(token_bytes(32)).decode()
    first = {"sessionkit.trust_proxy": "true", "sessionkit.seal_key": key}
    settings = settings_of(configured(**first))
    assert settings.trust_proxy
    assert settings.seal_key == settings_of(configured(**first), "session").seal_key != ()
    assert not settings_of(configured(**first, **{"basket.trust_proxy": "false"})).trust_proxy


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"basket.timout": "5m"}, "basket.timout is not a setting of pyramid_sessionkit; did you mean basket.timeout?"),
        ({"basket.timeout": "soon"}, "basket.timeout = soon: must be a duration"),
        ({"basket.store": "sql"}, "basket.store = sql needs a database: set basket.sql.url or sqlalchemy.url"),
        ({"basket.store": "nosuch"}, "basket.store = nosuch: there is no such store"),
        (
            {"basket.cookie_name": "session"},
            "basket.cookie_name = session is the cookie of request.session too: give each its own",
        ),
        ({"basket.session_class": "tests.second_session.test_setup.NotSecond"}, "pyramid_sessionkit.SecondSession"),
        ({"basket.session_class": "tests.second_session.test_setup.NOT_A_CLASS"}, "basket.session_class"),
    ],
)
def test_errors_name_the_settings_of_that_session(settings: dict[str, Any], said: str) -> None:
    assert said in refusal(**settings)


def put(request: Request) -> Response:
    request.basket["text"] = "x" * 100
    return Response("")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shop.max_size": "50"}, r"but shop\.max_size is 50;"),
        ({"shop.key_prefix": lambda request: "no prefix"}, r"shop\.key_prefix must return"),
    ],
)
def test_errors_of_requests_name_the_settings_of_that_session(settings: dict[str, Any], said: str) -> None:
    config = configured(lambda config: config.add_session("basket", prefix="shop."), **settings)
    config.add_route("put", "/")
    config.add_view(put, route_name="put")
    with pytest.raises(SessionError, match=said):
        TestApp(config.make_wsgi_app()).get("/")


def test_the_memory_store_of_a_second_session_warns_by_its_setting(caplog: pytest.LogCaptureFixture) -> None:
    config = configured(lambda config: config.add_session("basket"))
    config.add_route("put", "/")
    config.add_view(put, route_name="put")
    TestApp(config.make_wsgi_app()).get("/", extra_environ={"wsgi.multiprocess": True})
    assert "basket.store = memory, but the server runs several processes" in caplog.text


@pytest.mark.parametrize(
    "setting",
    [
        "security_policy",
        "identity",
        "principals",
        "credentials_hash",
        "login_route",
        "confirm_route",
        "max_sessions_per_user",
        "adopt",
        "header_name",
        "sql.dbsession",
    ],
)
def test_what_the_first_alone_can_do_is_refused(setting: str) -> None:
    assert f"basket.{setting} cannot be set: " in refusal(**{f"basket.{setting}": "x"})
    assert "request.session" in refusal(**{f"basket.{setting}": "x"})


def test_two_sessions_in_one_table_are_refused(tmp_path: Any) -> None:
    both = {
        "sqlalchemy.url": f"sqlite:///{tmp_path}/app.sqlite",
        "sessionkit.store": "sql",
        "basket.store": "sql",
        "sessionkit.sql.create_table": "true",
        "basket.sql.create_table": "true",
    }
    assert "basket.sql.table = sessions is where request.session is stored too: give each its own" in refusal(
        **both, **{"basket.sql.table": "Sessions"}
    )
    assert settings_of(configured(**both)).sql.table == "basket_sessions"


@pytest.mark.parametrize("store", ["memcached", "redis"])
def test_two_sessions_under_one_prefix_are_refused(store: str) -> None:
    pytest.importorskip(store if store == "redis" else "pymemcache")
    both = {"sessionkit.store": store, "basket.store": store, f"basket.{store}.prefix": "sessionkit:"}
    assert f"basket.{store}.prefix = sessionkit: is where request.session is stored too" in refusal(**both)


def test_one_store_object_for_two_sessions_is_refused(spy: Any) -> None:
    assert "basket.store" in refusal(**{"sessionkit.store": lambda _: spy, "basket.store": lambda _: spy})


def test_one_store_object_is_found_behind_sealing_too(spy: Any) -> None:
    key = urlsafe_b64encode(token_bytes(32)).decode()
    both = {"sessionkit.store": lambda _: spy, "basket.store": lambda _: spy, "sessionkit.seal_key": key}
    assert "basket.store returned the store of request.session" in refusal(**both)


def test_errors_of_its_store_name_its_settings(tmp_path: Any) -> None:
    config = configured(**{"basket.store": "sql", "basket.sql.url": f"sqlite:///{tmp_path}/baskets.sqlite"})
    sessions = get_sessions(config.registry, "basket")
    with pytest.raises(StoreError, match=r"basket_sessions is missing.*: set basket\.sql\.create_table = true"):
        sessions.get("k" * 22)
    sessions.store.close()


def test_a_cookie_that_is_not_sent_names_its_settings(caplog: pytest.LogCaptureFixture) -> None:
    config = configured(**{"basket.cookie_secure": "true"})
    config.add_view(page)
    TestApp(config.make_wsgi_app()).get("/")
    assert "basket.cookie_secure is true but the request came over plain HTTP" in caplog.text
    assert "basket.trust_proxy" in caplog.text


@pytest.mark.parametrize(
    "name", ["session", "params", "identity", "context", "registry", "environ", "class", "a b", "_x", ""]
)
def test_a_name_that_requests_have_already_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be the name of a session: .*such as 'basket'"):
        configured(lambda config: config.add_session(name))


@pytest.mark.parametrize("prefix", ["basket", "sessionkit.", "sessionkit.basket.", ".", ""])
def test_a_prefix_that_others_have_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be what settings begin with: .*such as 'basket\.'"):
        configured(lambda config: config.add_session("basket", prefix=prefix))


def test_two_of_one_name_are_a_conflict() -> None:
    def twice(config: Configurator) -> None:
        config.add_session("basket")
        config.add_session("basket")

    with pytest.raises(ConfigurationConflictError, match="basket"):
        configured(twice)


def test_after_a_commit_the_later_one_is_in_force() -> None:
    def again(config: Configurator) -> None:
        config.add_session("basket")
        config.commit()
        config.add_session("basket", prefix="shop.")

    assert settings_of(configured(again, **{"shop.timeout": "7m"})).timeout == 420


def test_three_sessions_and_a_prefix_of_ones_own() -> None:
    def add(config: Configurator) -> None:
        config.add_session("basket", prefix="shop.basket.")
        config.add_session("wishes")

    config = configured(add, **{"shop.basket.timeout": "7m"})
    assert settings_of(config).timeout == 420
    assert settings_of(config, "wishes").cookie.name == "wishes"


def test_a_package_may_add_one_before_the_application_commits() -> None:
    def package(config: Configurator) -> None:
        config.add_session("basket")

    config = configured(lambda config: config.include(package))
    assert settings_of(config).cookie.name == "basket"


def test_autocommit() -> None:
    config = Configurator(settings={"sessionkit.secret": SECRET}, autocommit=True)
    config.include("pyramid_sessionkit")
    config.add_session("basket")
    assert settings_of(config).cookie.name == "basket"


def test_a_class_of_ones_own() -> None:
    config = configured(**{"basket.session_class": "tests.second_session.test_setup.Basket"})
    config.add_view(page)
    assert TestApp(config.make_wsgi_app()).get("/").text == "Basket"


def test_a_store_factory_finds_the_settings_of_its_session() -> None:
    from pyramid_sessionkit.stores.memory import MemoryStore

    asked: list[str] = []

    def store(settings: dict[str, Any]) -> MemoryStore:
        asked.append(settings["sessionkit.custom.place"])
        return MemoryStore()

    configured(
        **{
            "sessionkit.store": store,
            "basket.store": store,
            "sessionkit.custom.place": "here",
            "basket.custom.place": "there",
        }
    )
    assert asked == ["here", "there"]


def test_an_unknown_session_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no session 'cart'; it has basket, session"):
        get_sessions(configured().registry, "cart")
