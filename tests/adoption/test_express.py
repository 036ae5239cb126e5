"""Sessions of express-session go on in ours: what was recorded of the real one (``record_express``)."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote, unquote

import pytest
import sqlalchemy as sa
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request

from pyramid_sessionkit.adoption.express import (
    CONNECT_PG_SIMPLE,
    CONNECT_SQLITE3,
    EXPRESS_MYSQL_SESSION,
    ExpressSessions,
    Records,
    RedisRecords,
    SQLRecords,
    Table,
)
from pyramid_sessionkit.adoption.express import records as express_records
from pyramid_sessionkit.exceptions import NotSupported
from tests.adoption.old_site import NewSite
from tests.servers.redis import Redis

RECORDED = json.loads(Path(__file__).with_name("express_recorded.json").read_text())
SECRET = RECORDED["secret"]
COOKIE = RECORDED["redis"]["cookie"]
SID = RECORDED["redis"]["key"].removeprefix("sess:")
CART = {"cart": ["apples", "Bücher"]}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAY = 86400


class DictRecords(Records):
    def __init__(self, **records: Any) -> None:
        self.records = records

    def get(self, sid: str) -> Any:
        return self.records.get(sid)

    def delete(self, sid: str) -> None:
        del self.records[sid]


def sessions(record: Any = None, **arguments: Any) -> ExpressSessions:
    found = RECORDED["redis"]["value"] if record is None else json.dumps(record)
    return ExpressSessions(SECRET, DictRecords(**{SID: found}), **arguments)


def sent(*cookies: str) -> Request:
    return Request.blank("/", headers={"Cookie": "; ".join(f"connect.sid={cookie}" for cookie in cookies)})


def signed(sid: str, secret: str = SECRET) -> str:
    signature = b64encode(hmac.digest(secret.encode(), sid.encode(), "sha256")).decode().rstrip("=")
    return quote(f"s:{sid}.{signature}", safe="")


# The cookie.


@pytest.mark.parametrize("store", ["redis", "postgresql", "mariadb"])
def test_a_cookie_of_express_session_is_understood(store: str) -> None:
    recorded = RECORDED[store]
    sid = recorded.get("key", "").removeprefix("sess:") or recorded["row"].get("sid") or recorded["row"]["session_id"]
    assert sessions().token(sent(recorded["cookie"])) == sid
    assert signed(sid) == recorded["cookie"]


def test_the_token_is_the_same_however_it_is_encoded() -> None:
    again = unquote(COOKIE).replace("/", "%2f").replace(":", "%3a")
    assert again != COOKIE
    assert sessions().token(sent(again)) == SID


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        SID,
        f"s%3A{SID}",
        f"s%3A{SID}.",
        COOKIE[:-1],
        COOKIE.replace(SID, "x" + SID[1:]),
        COOKIE.removeprefix("s%3A"),
        f"{COOKIE}%3D",
        f"{COOKIE}ä",
        f"{COOKIE}%FF",
        signed(SID, "another"),
        signed(""),
    ],
)
def test_what_is_not_signed_opens_nothing(cookie: str) -> None:
    old = sessions()
    assert old.token(sent(cookie)) is None
    assert NewSite(old).browser(**{"connect.sid": cookie}).get("/show").json["userid"] is None


def test_several_secrets_are_tried() -> None:
    old = ExpressSessions(["of today", SECRET], DictRecords())
    assert old.token(sent(COOKIE)) == SID
    assert old.token(sent(signed(SID, "of today"))) == SID
    assert old.token(sent(signed(SID, "another"))) is None


def test_the_one_that_is_signed_is_taken() -> None:
    assert sessions().token(sent("of another path", COOKIE)) == SID


@pytest.mark.parametrize("secret", ["", None, [], [SECRET, ""]])
def test_it_does_not_start_without_a_secret(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret of the old library"):
        ExpressSessions(secret, DictRecords())


def test_it_does_not_start_without_records() -> None:
    with pytest.raises(ConfigurationError, match="RedisRecords"):
        ExpressSessions(SECRET, "redis://localhost:6379/0")  # type: ignore[arg-type]


def test_its_cookie_is_deleted_where_it_was_set() -> None:
    old = sessions(cookie="sid", cookie_path="/shop", cookie_domain="example.com")
    (header,) = old.deletions(Request.blank("/", headers={"Cookie": "sid=x"}))
    assert header.startswith("sid=; Max-Age=0; ")
    assert header.endswith("; Path=/shop; Domain=example.com")


# The contents.


def test_contents_and_user_go_on() -> None:
    old = sessions()
    browser = NewSite(old).browser(**{"connect.sid": COOKIE})
    assert browser.get("/show").json == {"contents": CART, "userid": "7"}
    assert list(browser.cookies) == ["session"]
    assert old._records.get(SID) is None


def test_with_keep_cookie_and_record_stay() -> None:
    old = sessions(keep=True)
    browser = NewSite(old).browser(**{"connect.sid": COOKIE})
    browser.get("/put")
    assert set(browser.cookies) == {"connect.sid", "session"}
    assert old._records.get(SID) == RECORDED["redis"]["value"]


def test_no_logout_is_undone() -> None:
    new = NewSite(sessions(keep=True))
    browser = new.browser(**{"connect.sid": COOKIE})
    assert browser.get("/show").json["userid"] == "7"
    browser.get("/logout")
    again = unquote(COOKIE).replace("/", "%2f").replace(":", "%3a")
    for cookie in (COOKIE, again):
        assert new.browser(**{"connect.sid": cookie}).get("/show").json["userid"] is None


def test_six_requests_at_once_make_one_session() -> None:
    new = NewSite(sessions())
    browsers = [new.browser(**{"connect.sid": COOKIE}) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert {one.json["userid"] for one in pool.map(lambda browser: browser.get("/put"), browsers)} == {"7"}
    assert len({browser.cookies["session"] for browser in browsers}) == 1


def test_it_may_have_the_name_of_ours() -> None:
    browser = NewSite(sessions(cookie="session")).browser(session=COOKIE)
    for _ in range(2):
        assert browser.get("/show").json == {"contents": CART, "userid": "7"}


@pytest.mark.parametrize("junk", ["junk", "[1]", "null", b"\xff"])
def test_a_record_that_cannot_be_read_is_no_outage(junk: Any, caplog: pytest.LogCaptureFixture) -> None:
    site = NewSite(ExpressSessions(SECRET, DictRecords(**{SID: junk})))
    assert site.browser(**{"connect.sid": COOKIE}).get("/show").json == {"contents": {}, "userid": None}
    assert "An old session of express-session cannot be read" in caplog.text


def test_no_cookie_and_no_passport_in_a_record_will_do() -> None:
    adopted = sessions({**CART, "cookie": None, "passport": None}).read(sent(COOKIE), SID)
    assert adopted is not None
    assert (adopted.contents, adopted.userid) == (CART, None)


def test_visitors_who_are_not_logged_in_keep_their_cart() -> None:
    for passport in ({}, {"passport": {}}, {"passport": {"user": ""}}):
        found = sessions({"cookie": {"originalMaxAge": None, "expires": None}, **CART, **passport}).read(None, SID)
        assert (found.contents, found.userid, found.persistent) == (CART, None, False)


def test_who_is_logged_in_may_be_kept_elsewhere() -> None:
    old = sessions(
        {"cookie": {}, "userId": 8, "at": 5},
        userid=lambda contents: contents.pop("userId"),
        login_time=lambda contents: contents["at"],
    )
    found = old.read(None, SID)
    assert (found.contents, found.userid, found.authenticated) == ({"at": 5}, 8, 5)


def test_a_user_object_is_refused_with_a_cure() -> None:
    with pytest.raises(ValueError, match=r"passport\.user is a dict: give userid="):
        sessions({"cookie": {}, "passport": {"user": {"id": 7}}}).read(None, SID)


def test_one_that_has_ended_opens_nothing() -> None:
    assert ExpressSessions(SECRET, DictRecords()).read(None, SID) is None


def test_max_age_slides_unless_its_end_is_fixed() -> None:
    end = datetime.now(timezone.utc) + timedelta(days=1)
    iso = end.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = {"cookie": {"originalMaxAge": DAY * 1000, "expires": iso}}
    assert sessions(record).read(None, SID)[3:] == (None, True)
    assert sessions(record, fixed_end=True).read(None, SID).expires == pytest.approx(end.timestamp(), abs=0.001)
    record["cookie"]["expires"] = "2020-01-01T00:00:00.000Z"
    assert sessions(record).read(None, SID) is not None
    assert sessions(record, fixed_end=True).read(None, SID) is None


# Tables.

EXPIRES: dict[str, Callable[[float], Any]] = {
    "timestamp": lambda at: (EPOCH + timedelta(seconds=at)).strftime("%Y-%m-%d %H:%M:%S"),
    "seconds": int,
    "milliseconds": lambda at: int(at * 1000),
}
TABLES = {
    "connect-pg-simple": (CONNECT_PG_SIMPLE, json.dumps(RECORDED["postgresql"]["row"]["sess"])),
    "express-mysql-session": (EXPRESS_MYSQL_SESSION, RECORDED["mariadb"]["row"]["data"]),
    "connect-sqlite3": (CONNECT_SQLITE3, RECORDED["redis"]["value"]),
    "of one's own": (Table("my sessions", "Id", "json", "ends", "seconds"), RECORDED["redis"]["value"]),
}


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[sa.Engine, Table, Callable[..., None]]]:
    """A table in SQLite, with a function that puts a recorded session in."""
    named, contents = TABLES[request.param]
    engine = sa.create_engine(f"sqlite:///{tmp_path}/old.sqlite")

    def put(sid: str, expires: float) -> None:
        values = {"sid": sid, "contents": contents, "expires": EXPIRES[named.unit](expires)}
        with engine.begin() as connection:
            columns = f'"{named.sid}", "{named.contents}", "{named.expires}"'
            connection.execute(
                sa.text(f'INSERT INTO "{named.name}" ({columns}) VALUES (:sid, :contents, :expires)'), values
            )

    with engine.begin() as connection:
        columns = f'"{named.sid}" PRIMARY KEY, "{named.contents}", "{named.expires}"'
        connection.execute(sa.text(f'CREATE TABLE "{named.name}" ({columns})'))
    yield engine, named, put
    engine.dispose()


def test_a_session_in_a_table_is_found_until_it_ends(table: Any) -> None:
    engine, named, put = table
    old = ExpressSessions(SECRET, SQLRecords(engine, named))
    put("live", time() + 60)
    put("ended", time() - 60)
    assert old.read(None, "live")[:2] == (CART, 7)
    assert old.read(None, "ended") is None
    assert old.read(None, "none") is None
    old.forget("live")
    assert old.read(None, "live") is None


def test_all_in_a_table_are_listed_page_by_page(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(express_records, "PAGE", 2)
    engine, named, put = table
    for number in range(5):
        put(f"live-{number}", time() + 60)
    put("ended", time() - 60)
    listed = dict(ExpressSessions(SECRET, SQLRecords(engine, named)).all())
    assert sorted(listed) == [f"live-{number}" for number in range(5)]
    assert {found.userid for found in listed.values()} == {7}


def test_a_database_may_be_named_by_its_url(tmp_path: Path) -> None:
    records = SQLRecords(f"sqlite:///{tmp_path}/old.sqlite", CONNECT_SQLITE3)
    with records._engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sessions (sid PRIMARY KEY, expired, sess)"))
    assert records.get("none") is None
    records._engine.dispose()


def test_an_outage_of_the_database_is_no_logout(tmp_path: Path) -> None:
    old = ExpressSessions(SECRET, SQLRecords(f"sqlite:///{tmp_path}/no/folder/old.sqlite", CONNECT_SQLITE3))
    browser = NewSite(old).browser(**{"connect.sid": COOKIE})
    assert browser.get("/show").status_int == 503
    assert list(browser.cookies) == ["connect.sid"]


def test_records_of_ones_own_need_no_list() -> None:
    with pytest.raises(NotSupported, match="DictRecords cannot list its sessions"):
        next(sessions().all())


@pytest.mark.parametrize(
    ("package", "make", "message"),
    [
        ("redis", lambda: RedisRecords("redis://127.0.0.1"), "pip install redis"),
        ("sqlalchemy", lambda: SQLRecords("sqlite://", CONNECT_SQLITE3), "pip install SQLAlchemy"),
    ],
)
def test_what_is_missing_is_said(package: str, make: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ConfigurationError, match=message):
        make()


# Redis.


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.mark.servers
@pytest.mark.parametrize("decoded", [False, True])
def test_a_session_in_redis_is_found(redis: Redis, decoded: bool) -> None:
    import redis as library

    redis.execute("FLUSHALL")
    for key in (f"s*[ess:{SID}", f"sess:{SID}"):
        redis.execute("SET", key, RECORDED["redis"]["value"])
    with library.Redis(port=redis.port, decode_responses=decoded) as client:
        old = ExpressSessions(SECRET, RedisRecords(client, prefix="s*[ess:"))
        assert old.read(None, SID)[:2] == (CART, 7)
        assert [(sid, found.userid) for sid, found in old.all()] == [(SID, 7)]
        old.forget(SID)
        assert old.read(None, SID) is None
    assert redis.execute("KEYS", "*") == [f"sess:{SID}"]


@pytest.mark.servers
def test_an_outage_of_redis_is_no_logout(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        old = ExpressSessions(SECRET, RedisRecords(server.url))
        server.execute("SET", f"sess:{SID}", RECORDED["redis"]["value"])
        browser = NewSite(old).browser(**{"connect.sid": COOKIE})
        server.kill()
        assert browser.get("/show").status_int == 503
        server.start()
        server.execute("SET", f"sess:{SID}", RECORDED["redis"]["value"])
        assert browser.get("/show").json["userid"] == "7"
    old._records._redis.close()
