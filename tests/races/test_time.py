"""Requests that are held, clocks that change, keys that come again, and threads that share a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import SessionGone, SessionReplaced
from pyramid_sessionkit.persistence import REPLACED_SECONDS, Persistence
from pyramid_sessionkit.saving import STALE_SECONDS
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import parse_settings
from tests.conftest import SECRET, SentCookies, cookie_of
from tests.races.test_id_changes import every_listing_store, every_store

MODULES = (
    "persistence",
    "saving",
    "unit_of_work",
    "stores.memory",
    "stores.sql",
    "stores.sql_table",
    "stores.memcached",
    "stores.redis.store",
    "stores.redis.index",
    "stores.redis.version",
)
TIMEOUT = 100


@pytest.fixture
def persistence(store: Any) -> Persistence:
    return Persistence(store, parse_settings({"sessionkit.secret": SECRET, "sessionkit.timeout": TIMEOUT}))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets our clock to so many seconds from the start. The clock of a server goes on as it does."""
    start = time.time()

    def set_(seconds: float) -> None:
        for module in MODULES:
            monkeypatch.setattr(f"pyramid_sessionkit.{module}.time", lambda: start + seconds, raising=False)

    return set_


def new(persistence: Persistence, **contents: Any) -> Session:
    session = Session(persistence, SentCookies())
    session.update(contents or {"made": 1})
    session.save()
    return session


def again(persistence: Persistence, session: Session) -> Session:
    """Another request of the same browser."""
    return Session(persistence, SentCookies(cookie_of(session)))


@every_store
def test_a_write_that_began_before_the_timeout_is_kept(
    store: Any, persistence: Persistence, at: Callable[[float], None]
) -> None:
    at(0)
    cookie = new(persistence)
    at(TIMEOUT - 2)
    slow = again(persistence, cookie)
    slow["late"] = 1
    at(TIMEOUT + 2)
    slow.save()
    assert again(persistence, cookie)["late"] == 1


@every_store
def test_so_is_one_beside_another(store: Any, persistence: Persistence, at: Callable[[float], None]) -> None:
    at(0)
    cookie = new(persistence)
    slow, other = again(persistence, cookie), again(persistence, cookie)
    slow["slow"] = 1
    at(TIMEOUT - 2)
    other["other"] = 1
    other.save()
    at(TIMEOUT + 2)
    slow.save()
    assert {"slow", "other"} <= set(again(persistence, cookie))


@every_store
def test_a_write_that_was_held_for_hours_is_dropped(
    store: Any, persistence: Persistence, at: Callable[[float], None]
) -> None:
    at(0)
    cookie = new(persistence)
    held = again(persistence, cookie)
    held["held"] = 1
    at(3 * 3600)
    with pytest.raises(SessionGone):
        held.save()
    assert again(persistence, cookie).new


@every_store
def test_a_stale_request_is_dropped_after_a_minute(
    store: Any, persistence: Persistence, at: Callable[[float], None]
) -> None:
    at(0)
    cookie = new(persistence)
    early, late, login = (again(persistence, cookie) for _ in range(3))
    early["early"] = late["late"] = 1
    login.login("ada")
    login.save()
    early.save()
    at(STALE_SECONDS + 1)
    with pytest.raises(SessionGone):
        late.save()
    contents = again(persistence, login)
    assert "early" in contents
    assert "late" not in contents


@every_store
def test_a_stale_request_sees_nothing_of_what_came_since(store: Any, persistence: Persistence) -> None:
    cookie = new(persistence, cart={"a": 1}, colour="red")
    stale, login = again(persistence, cookie), again(persistence, cookie)
    stale["colour"], stale["cart"]["b"] = "green", 2
    login.login("ada")
    login["secret"] = 1
    login["colour"] = "blue"
    login.save()
    stale.save()
    assert stale.copy() == {"cart": {"a": 1, "b": 2}, "colour": "green"}
    assert stale.userid is None
    with pytest.raises(SessionGone):
        stale.reload()
    kept = again(persistence, login)
    assert kept.copy() == {"cart": {"a": 1, "b": 2}, "colour": "blue", "secret": 1}
    stale["colour"], stale["more"] = "grey", 1
    stale.save()
    assert again(persistence, login).copy() == kept.copy() | {"more": 1}


@every_store
def test_a_clock_that_goes_back_ends_nothing(store: Any, persistence: Persistence, at: Callable[[float], None]) -> None:
    at(0)
    cookie = new(persistence)
    at(-3600)
    session = again(persistence, cookie)
    session["n"] = 1
    session.login("ada")
    session.save()
    after = again(persistence, session)
    assert after["n"] == 1
    assert after.userid == "ada"
    replaced = again(persistence, cookie)
    replaced["x"] = 1
    with pytest.raises(SessionReplaced):
        replaced.save()


@every_store
def test_an_old_cookie_counts_as_dead_after_a_while(
    store: Any, persistence: Persistence, at: Callable[[float], None]
) -> None:
    at(0)
    before = new(persistence)
    old = cookie_of(before)
    before.login("ada")
    before["secret"] = 1
    before.save()
    at(REPLACED_SECONDS + 1)
    thief = Session(persistence, SentCookies(old))
    assert thief.copy() == {}
    thief["mine"] = 1
    thief.save()
    assert thief.key != before.key
    assert "mine" not in again(persistence, before)


@every_store
def test_a_key_that_is_made_again_is_another_session(store: Any, persistence: Persistence) -> None:
    first = new(persistence, n=1)
    slow = again(persistence, first)
    slow["n"] = 2
    record = store.load(first.key)
    assert store.delete(first.key)
    assert store.create(first.key, record._replace(data=b'{"n":3}', version=None)) is not None
    assert store.update(first.key, record._replace(data=b'{"n":4}')) is None
    assert store.delete(first.key, record) is False
    assert store.load(first.key).data == b'{"n":3}'


@every_listing_store
def test_three_hundred_pairs_of_logins_leave_one_each(store: Any) -> None:
    settings = {"sessionkit.secret": SECRET, "sessionkit.max_sessions_per_user": 1}
    limited = Persistence(store, parse_settings(settings))
    pairs = 300 if getattr(store, "process_local", False) else 30
    with ThreadPoolExecutor(2) as pool:
        for number in range(pairs):
            made = [Session(limited, SentCookies()) for _ in range(2)]

            def log_in(session: Session, userid: str = f"u{number}") -> None:
                session.login(userid)
                session.save()
                session.work.persistence.limit_sessions(userid)

            list(pool.map(log_in, made))
    for number in range(pairs):
        assert len(store.sessions_of(f"u{number}")) == 1


@every_listing_store
def test_the_login_that_stays_is_the_last_one(store: Any, at: Callable[[float], None]) -> None:
    settings = {"sessionkit.secret": SECRET, "sessionkit.max_sessions_per_user": 1}
    limited = Persistence(store, parse_settings(settings))
    for seconds in (0, -3600, -7200):  # each on a clock that was set back
        at(seconds)
        last = Session(limited, SentCookies())
        last.login("ada")
        last.save()
    assert [key for key, _ in store.sessions_of("ada")] == [last.key]


@every_store
def test_threads_that_share_a_request_load_once(store: Any, persistence: Persistence) -> None:
    cookie = new(persistence, n=1)
    loads: list[str] = []
    find = persistence.find

    def slow_find(*args: Any, **kw: Any) -> Any:
        loads.append("load")
        time.sleep(0.05)
        return find(*args, **kw)

    persistence.find = slow_find  # type: ignore[method-assign]
    shared = again(persistence, cookie)
    start = threading.Barrier(8)

    def use(number: int) -> Any:
        start.wait()
        shared[f"k{number}"] = number
        return shared["n"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [1] * 8
    assert loads == ["load"]
    assert len(shared) == 9
