"""A visitor of a site with express-session, as npm has it today, comes to ours."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from pyramid_sessionkit.adoption.express import (
    CONNECT_PG_SIMPLE,
    EXPRESS_MYSQL_SESSION,
    ExpressSessions,
    Records,
    RedisRecords,
    SQLRecords,
)
from tests.adoption.express_site import SECRET, ExpressSite
from tests.adoption.migration import migrate
from tests.adoption.old_site import NewSite
from tests.adoption.pages import modules, old_sessions
from tests.adoption.record_express import SERVERS

pytestmark = pytest.mark.servers

CART = {"cart": ["apples", "Bücher"]}


@pytest.fixture(scope="module", params=SERVERS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Records]]:
    """A server on which express-session keeps its sessions, and what reads them there."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        if request.param == "redis":
            with server.client() as client:
                yield ("redis", server), RedisRecords(client)
        else:
            table = CONNECT_PG_SIMPLE if request.param == "postgresql" else EXPRESS_MYSQL_SESSION
            engine = sa.create_engine(server.url)
            yield (request.param, server), SQLRecords(engine, table)
            engine.dispose()


@pytest.fixture
def old_site(store: Any, tmp_path: Any) -> Iterator[ExpressSite]:
    (name, server), _ = store
    with ExpressSite(name, server.port, tmp_path, secret=["of today", SECRET], cookie={"maxAge": 86_400_000}) as site:
        yield site


def test_visitors_of_express_lose_nothing(store: Any, old_site: ExpressSite) -> None:
    old = ExpressSessions("of today", store[1])
    new = NewSite(old)
    ada = old_site.visit("/login?id=7", "/put")
    visitor = old_site.visit("/put")
    assert dict(old.all()).keys() == {
        ada.split(".")[0].removeprefix("s%3A"),
        visitor.split(".")[0].removeprefix("s%3A"),
    }
    browser = new.browser(**{"connect.sid": ada})
    assert browser.get("/show").json == {"contents": CART, "userid": "7"}
    assert list(browser.cookies) == ["session"]
    assert new.browser(**{"connect.sid": visitor}).get("/show").json == {"contents": CART, "userid": None}
    assert old_site.get("/show", ada) == {"cart": None, "user": None}, "the old record is still there"


def test_fifty_visitors_of_express_move_in(store: Any, old_site: ExpressSite, settings: dict[str, Any]) -> None:
    def visit(name: str | None, fruit: str) -> dict[str, str]:
        login = [f"/login?id={name}"] if name else []
        return {"connect.sid": old_site.visit(*login, f"/put?fruit={quote(fruit)}")}

    migrate(visit, ExpressSessions("of today", store[1]), settings)


def test_what_the_page_says_is_right(store: Any, old_site: ExpressSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_SESSION_SECRET", "of today")
    (name, server), _ = store
    in_redis, in_postgresql = modules("express")
    module = in_redis if name == "redis" else in_postgresql
    for url in ("redis://localhost:6379/0", "postgresql+psycopg://app:password@localhost/oldsite"):
        module = module.replace(url, server.url)
    if name == "mariadb":
        module = module.replace("CONNECT_PG_SIMPLE", "EXPRESS_MYSQL_SESSION")
    old = old_sessions(module)
    browser = NewSite(old).browser(**{"connect.sid": old_site.visit("/login?id=7", "/put")})
    assert browser.get("/show").json == {"contents": CART, "userid": "7"}
    assert old.keep
    records = old._records
    records._redis.close() if name == "redis" else records._engine.dispose()


def test_with_keep_one_can_go_back_to_express(store: Any, old_site: ExpressSite) -> None:
    ada = old_site.visit("/login?id=7", "/put")
    new = NewSite(ExpressSessions("of today", store[1], keep=True))
    browser = new.browser(**{"connect.sid": ada})
    assert browser.get("/show").json["userid"] == "7"
    assert old_site.get("/show", browser.cookies["connect.sid"]) == {"cart": CART["cart"], "user": 7}
    browser.get("/logout")
    assert new.browser(**{"connect.sid": ada}).get("/show").json["userid"] is None


def test_who_logged_out_of_express_stays_out(store: Any, old_site: ExpressSite) -> None:
    ada = old_site.visit("/login?id=7", "/put")
    old_site.get("/logout", ada)
    new = NewSite(ExpressSessions("of today", store[1]))
    assert new.browser(**{"connect.sid": ada}).get("/show").json == {"contents": {}, "userid": None}


def test_what_has_ended_there_opens_nothing(store: Any, tmp_path: Any) -> None:
    (name, server), records = store
    with ExpressSite(name, server.port, tmp_path, cookie={"maxAge": 1000}) as site:
        ada = site.visit("/login?id=7")
        sleep(2.5)
        assert site.get("/show", ada)["user"] is None
    assert NewSite(ExpressSessions(SECRET, records)).browser(**{"connect.sid": ada}).get("/show").json["userid"] is None
