"""A session ends by the shorter of its own idle timeout and the configured one, unless set_expiry gave it its own."""

from __future__ import annotations

from time import time
from typing import Any

import orjson
import pytest
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from webtest import TestApp

from pyramid_sessionkit import SessionGone, get_sessions, user_sessions, why_logged_out
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.sealing.keys import Sealer
from pyramid_sessionkit.sealing.store import sealing
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.state import Presented
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.stores.packed import unpack_from
from tests.conftest import SentCookies, cookie_of

MINUTE = 60


@pytest.fixture(params=["memory", "sql", "sealed sql"])
def store(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return MemoryStore()
    store = request.getfixturevalue("sql_store")
    return sealing(store, Sealer([b"k" * 32], "session"), None) if request.param == "sealed sql" else store  # type: ignore[arg-type]


@pytest.fixture
def process(store: Any, make_persistence: Any) -> Any:
    """A process of the application with this timeout."""
    return lambda timeout: make_persistence(store, timeout=timeout, lifetime="none")


def begun(persistence: Persistence, **expiry: Any) -> Presented:
    """The cookie of a session that was just begun, a part of whose timeout has passed."""
    session = Session(persistence, SentCookies())
    session.login("ada")
    if expiry:
        session.set_expiry(**expiry)
    session.save()
    return cookie_of(session)


def used(persistence: Persistence, cookie: Presented, minutes: int) -> None:
    """The session was last used so many minutes ago."""
    at = int(time()) - minutes * MINUTE
    persistence.replace(
        cookie.key, persistence.load_again(cookie.key), lambda record: record._replace(created=at, renewed=at)
    )


def opened(persistence: Persistence, cookie: Presented) -> Session:
    return Session(persistence, SentCookies(cookie))


def test_a_lowered_timeout_ends_sessions_that_are_idle(process: Any) -> None:
    idle, busy = begun(process("20m")), begun(process("20m"))
    used(process("20m"), idle, 6)
    assert opened(process("20m"), idle).userid == "ada"
    assert opened(process("5m"), idle).userid is None
    assert opened(process("5m"), busy).timeout == 5 * MINUTE
    # What expired a minute ago can still be saved.
    assert process("330s").load_again(idle.key).timeout == 330
    with pytest.raises(SessionGone):
        process("5m").load_again(idle.key)


def test_a_lowered_timeout_is_stored_with_the_next_write(process: Any, store: Any) -> None:
    cookie = begun(process("20m"))
    used(process("20m"), cookie, 3)
    opened(process("5m"), cookie).copy()
    assert store.load(cookie.key).timeout == 20 * MINUTE
    session = opened(process("5m"), cookie)
    session["a"] = 1
    session.save()
    assert store.load(cookie.key).timeout == 5 * MINUTE
    assert opened(process("20m"), cookie).copy() == {"a": 1}


def test_a_limit_where_there_was_none_ends_sessions_too(process: Any) -> None:
    cookie = begun(process("none"))
    used(process("none"), cookie, 6)
    assert opened(process("none"), cookie).userid == "ada"
    assert opened(process("5m"), cookie).userid is None


@pytest.mark.parametrize("later", ["60m", "none"])
def test_a_raised_timeout_holds_from_the_next_login(process: Any, store: Any, later: str) -> None:
    cookie = begun(process("20m"))
    session = opened(process(later), cookie)
    session["a"] = 1
    session.save()
    assert session.timeout == store.load(cookie.key).timeout == 20 * MINUTE
    session.login("ada")
    session.save()
    assert session.timeout == store.load(cookie.key).timeout == (None if later == "none" else 60 * MINUTE)


@pytest.mark.parametrize("own", [60 * MINUTE, None])
def test_a_timeout_of_its_own_stays_whatever_the_setting_is(process: Any, store: Any, own: int | None) -> None:
    cookie = begun(process("20m"), timeout=own)
    used(process("20m"), cookie, 50)
    session = opened(process("5m"), cookie)
    session["a"] = 1
    session.save()
    assert store.load(cookie.key).timeout == own
    session.set_expiry(lifetime=None)
    session.save()
    assert opened(process("5m"), cookie).timeout == own


def test_a_login_starts_with_the_setting_again(process: Any, store: Any) -> None:
    cookie = begun(process("20m"), timeout=60 * MINUTE)
    session = opened(process("20m"), cookie)
    session.login("ada")
    session.save()
    assert store.load(cookie.key).timeout == 20 * MINUTE
    assert opened(process("5m"), cookie_of(session)).timeout == 5 * MINUTE


def test_what_a_lowered_timeout_ended_is_in_no_list(store: Any, make_app: Any, process: Any) -> None:
    idle, busy = begun(process("20m")), begun(process("20m"))
    used(process("20m"), idle, 6)
    views = {"/mine": lambda request: Response(json=[info.key for info in user_sessions(request).list()])}
    app = make_app(views, timeout="5m", **{"sessionkit.store": lambda _: store})
    sessions = get_sessions(app.app.registry)
    assert [info.key for info in sessions.of_user("ada")] == [busy.key]
    assert [info.key for info in sessions.all(1)] == [busy.key]
    assert sessions.get(idle.key) is None
    with pytest.raises(SessionGone):
        sessions.open(idle.key)
    # It may be raised again.
    assert sessions.revoke(idle.key)
    assert store.load(idle.key) is None


def log_in(request: Request) -> Response:
    remember(request, "ada")
    return Response("in")


def devices(request: Request) -> Response:
    listed = [info.key for info in user_sessions(request).list()]
    if "end" in request.params:
        user_sessions(request).revoke_others()
    return Response(json=listed)


VIEWS = {"/in": log_in, "/devices": devices, "/why": lambda request: Response(str(why_logged_out(request)))}


def test_its_visitor_hears_that_it_was_the_timeout(store: Any, make_app: Any, process: Any) -> None:
    with_store = {"sessionkit.store": lambda _: store}
    browser = make_app(VIEWS, timeout="20m", **with_store)
    browser.get("/in")
    idle = Presented(browser.cookies["session"].partition(".")[0], "")
    used(process("20m"), idle, 6)
    later = make_app(VIEWS, timeout="5m", **with_store).app
    assert TestApp(later, cookiejar=browser.cookiejar).get("/why").text == "timeout"


def test_log_out_everywhere_reaches_what_is_not_listed(store: Any, make_app: Any, process: Any) -> None:
    app = make_app(VIEWS, timeout="5m", **{"sessionkit.store": lambda _: store})
    idle = begun(process("20m"))
    used(process("20m"), idle, 6)
    app.get("/in")
    assert app.get("/devices?end=1").json == [app.cookies["session"].partition(".")[0]]
    assert opened(process("20m"), idle).userid is None


def test_the_limit_of_sessions_counts_those_that_are_alive(store: Any, make_persistence: Any, process: Any) -> None:
    old, idle = begun(process("20m")), begun(process("20m"))
    used(process("20m"), idle, 6)
    begun(make_persistence(store, timeout="5m", max_sessions_per_user=2))
    assert opened(process("5m"), old).userid == "ada"


def test_packed_records_of_an_earlier_release_load() -> None:
    """As memcached and Redis have them, without the last field."""
    now = int(time())
    fields = [5, "f" * 64, "salt", None, "ada", 5, None, now, now, 1200, None, False]
    found = unpack_from(orjson.dumps(fields) + b'\n{"a":1}', 0, lambda fields: fields[0])
    assert found == Record(b'{"a":1}', *fields[1:], version=5, own_timeout=False)  # type: ignore[misc]


def test_sealed_rows_of_an_earlier_release_open() -> None:
    """As it was sealed before records knew whose their timeout is."""
    sealed = "ff736b016e74d5d8379222f9f803829724be687c979d96a46d34b50f5f16ae333f03ddfc4b9365dd48266c8912fabc"
    record = Record(bytes.fromhex(sealed), "f" * 64, "salt", None, "ada", 5, None, 1, 1, 1200, None, False)
    sealer = Sealer([b"k" * 32], "session")
    assert sealer.open("a" * 22, record).data == b'{"a":1}'


@pytest.mark.parametrize("expiry", [{}, {"timeout": 10 * MINUTE}], ids=["raised", "set_expiry"])
def test_reading_keeps_a_short_session_alive(process: Any, expiry: dict[str, Any]) -> None:
    """``reissue_time`` is a tenth of the setting, and so longer than the whole timeout of this session."""
    cookie = begun(process("10m"), **expiry)
    used(process("10m"), cookie, 5)
    for _ in range(2):
        session = opened(process("10h"), cookie)
        assert session.userid == "ada"
        session.save()
    assert session.renewed >= int(time()) - MINUTE
