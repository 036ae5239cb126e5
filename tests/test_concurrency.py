"""Requests that run at once on one session lose nothing, and never bring back one that was ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from pyramid_sessionkit import SessionConflict, SessionGone
from pyramid_sessionkit import persistence as persistence_module
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.state import BLANK_KEY, Condition, Cookie, Ending, Presented
from tests.conftest import SentCookies, SpyStore, cookie_of

Open = Callable[..., Session]
THREADS = 16


@pytest.fixture
def shared(make_persistence: Any, any_store: Any) -> Persistence:
    made: Persistence = make_persistence(any_store)
    return made


def new_session(persistence: Persistence, **contents: Any) -> Presented:
    session = Session(persistence, SentCookies())
    session.update({"made": True, **contents})
    session.save()
    return cookie_of(session)


def at_once(
    persistence: Persistence, cookie: Presented, change: Callable[[Session, int], Any], count: int = THREADS
) -> None:
    """``count`` requests that all have read the session before the first of them saves."""
    barrier = Barrier(count)

    def request(number: int) -> None:
        session = Session(persistence, SentCookies(cookie))
        assert session["made"]
        barrier.wait()
        change(session, number)
        session.save()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(request, range(count)))


def contents(persistence: Persistence, cookie: Presented) -> dict[str, Any]:
    return Session(persistence, SentCookies(cookie)).copy()


def test_different_keys_are_all_kept(shared: Persistence) -> None:
    for _ in range(50):
        cookie = new_session(shared)
        at_once(shared, cookie, lambda session, n: session.__setitem__(f"key{n}", n))
        assert contents(shared, cookie) == {"made": True, **{f"key{n}": n for n in range(THREADS)}}


def test_different_keys_of_one_dict_are_all_kept(shared: Persistence) -> None:
    for _ in range(50):
        cookie = new_session(shared)
        at_once(shared, cookie, lambda session, n: session.setdefault("cart", {}).update({f"item{n}": n}))
        assert contents(shared, cookie)["cart"] == {f"item{n}": n for n in range(THREADS)}


def test_a_counter_counts(shared: Persistence) -> None:
    cookie = new_session(shared)

    def add_one(session: Session, number: int) -> None:
        session.apply("views", lambda value: value + 1, 0)

    for _ in range(10):
        at_once(shared, cookie, add_one, count=10)
    assert contents(shared, cookie)["views"] == 100


def test_appended_items_are_all_kept(shared: Persistence) -> None:
    cookie = new_session(shared, log=[])
    at_once(shared, cookie, lambda session, n: session["log"].append(n))
    assert sorted(contents(shared, cookie)["log"]) == list(range(THREADS))


def test_what_was_popped_is_not_put_back(shared: Persistence) -> None:
    cookie = new_session(shared)
    first = Session(shared, SentCookies(cookie))
    first.flash("old")
    first.save()
    shows, adds = (Session(shared, SentCookies(cookie)) for _ in range(2))
    assert shows.pop_flash() == ["old"]
    adds.flash("new")
    shows.save()
    adds.save()
    assert contents(shared, cookie)["_f_"] == ["new"]


def test_the_later_of_two_replacements_stays(shared: Persistence) -> None:
    cookie = new_session(shared, colour="red")
    first, second = (Session(shared, SentCookies(cookie)) for _ in range(2))
    first["colour"], second["colour"] = "green", "blue"
    first.save()
    second.save()
    assert contents(shared, cookie)["colour"] == "blue"


def test_two_changes_that_fit_are_kept_though_together_they_do_not(make_persistence: Any, any_store: Any) -> None:
    persistence = make_persistence(any_store, max_size=1000)
    cookie = new_session(persistence)
    at_once(persistence, cookie, lambda session, n: session.__setitem__(f"key{n}", "x" * 700), count=2)
    assert len(contents(persistence, cookie)) == 3


def test_after_a_merge_a_view_sees_all_and_its_references_stay_good(shared: Persistence) -> None:
    cookie = new_session(shared, cart={"a": 1})
    mine, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    cart = mine["cart"]
    cart["b"] = 2
    other["cart"]["c"] = 3
    other.save()
    mine.save()
    assert mine["cart"] == {"a": 1, "b": 2, "c": 3}
    cart["d"] = 4
    mine.save()
    assert contents(shared, cookie)["cart"] == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_an_applied_function_is_not_run_again_by_a_second_save(shared: Persistence) -> None:
    cookie = new_session(shared)
    mine, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    mine.apply("n", lambda value: value + 1, 0)
    mine.save()
    assert other.apply("n", lambda value: value + 1, 0) == 2
    mine["x"] = 1
    other.save()
    mine.save()
    assert contents(shared, cookie)["n"] == 2


def test_a_slow_writer_cannot_write_into_what_was_ended(shared: Persistence) -> None:
    cookie = new_session(shared)
    slow, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    slow["planted"] = True
    other.invalidate()
    other.save()
    with pytest.raises(SessionGone):
        slow.save()
    assert slow.work.cookie is Cookie.KEEP
    assert contents(shared, cookie) == {}
    assert shared.store.count() == 0


def log_in(session: Session) -> None:
    session.login("ada")


@pytest.mark.parametrize("replace", [Session.regenerate_id, log_in])
def test_a_slow_writer_keeps_its_changes_under_a_new_secret(shared: Persistence, replace: Any) -> None:
    cookie = new_session(shared, colour="red")
    slow, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    slow["cart"], slow["colour"] = [1], "green"
    other["colour"] = "blue"
    replace(other)
    other.save()
    slow.save()
    # Where both changed a value, that of the request with the new secret stays.
    assert contents(shared, cookie_of(other)) == {"made": True, "cart": [1], "colour": "blue"}
    assert contents(shared, cookie) == {}


@pytest.mark.parametrize("replace", [Session.regenerate_id, log_in])
def test_a_slow_writer_learns_nothing_of_the_new_secret(shared: Persistence, replace: Any) -> None:
    cookie = new_session(shared)
    slow, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    slow["cart"] = [1]
    other["private"] = "theirs"
    replace(other)
    other.save()
    slow.save()
    assert slow.work.cookie is Cookie.KEEP
    assert slow.work.stored is not None
    assert slow.work.stored.secret is None
    assert slow.userid is None
    assert slow.copy() == {"made": True, "cart": [1]}
    slow["more"] = 1
    slow.save()
    assert contents(shared, cookie_of(other))["more"] == 1


@pytest.mark.parametrize("replace", [Session.regenerate_id, log_in])
def test_a_slow_writer_changes_nothing_but_contents(shared: Persistence, replace: Any) -> None:
    cookie = new_session(shared)
    slow, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    slow["cart"] = [1]
    slow.touch()
    slow.set_expiry(timeout=5, lifetime=7, persistent=True)
    slow.regenerate_id()
    replace(other)
    other.save()
    before = shared.store.load(cookie.key)
    slow.save()
    after = shared.store.load(cookie.key)
    assert after.data != before.data
    assert after._replace(data=before.data, version=before.version) == before


def test_who_was_anonymous_cannot_end_a_session_that_logged_in(shared: Persistence) -> None:
    cookie = new_session(shared)
    slow, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    slow.invalidate()
    other.login("ada")
    other.save()
    slow.save()
    assert slow.work.cookie is Cookie.KEEP
    assert Session(shared, SentCookies(cookie_of(other))).userid == "ada"


def test_a_logout_ends_a_session_whatever_secret_it_has(shared: Persistence) -> None:
    cookie = new_session(shared)
    first = Session(shared, SentCookies(cookie))
    first.login("ada")
    first.save()
    leaving, other = (Session(shared, SentCookies(cookie_of(first))) for _ in range(2))
    leaving.invalidate()
    other.regenerate_id()
    other.save()
    leaving.save()
    assert shared.store.count() == 0


def test_a_write_of_more_than_a_minute_ago_is_not_merged(shared: Persistence, clock: Any) -> None:
    cookie = new_session(shared)
    slow, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    slow["planted"] = True
    other.regenerate_id()
    other.save()
    clock(61)
    with pytest.raises(SessionGone):
        slow.save()
    assert "planted" not in contents(shared, cookie_of(other))


def test_the_same_login_twice_at_once_is_one_session(shared: Persistence) -> None:
    cookie = new_session(shared)
    first, second = (Session(shared, SentCookies(cookie)) for _ in range(2))
    first.login("ada")
    first["one"] = 1
    second.login("ada")
    second["two"] = 2
    first.save()
    second.save()
    assert shared.store.count() == 1
    assert cookie_of(first) == cookie_of(second)
    assert second.work.cookie is Cookie.SEND
    assert contents(shared, cookie_of(first)) == {"made": True, "one": 1, "two": 2}


@pytest.mark.parametrize("sent", [(), (Presented(BLANK_KEY, "b" * 43),), (Presented("d" * 22, "e" * 43),)])
def test_the_same_login_twice_of_a_new_visitor_is_one_session(shared: Persistence, sent: Any) -> None:
    first, second = (Session(shared, SentCookies(*sent)) for _ in range(2))
    for session in (first, second):
        session.login("ada")
    first.save()
    second.save()
    assert first.userid == second.userid == "ada"
    # Without a cookie nothing shows that it is one browser.
    assert shared.store.count() == (1 if sent else 2)
    assert (cookie_of(first) == cookie_of(second)) is bool(sent)


def test_two_users_who_log_in_at_once_get_a_session_each(shared: Persistence) -> None:
    cookie = new_session(shared)
    first, second = (Session(shared, SentCookies(cookie)) for _ in range(2))
    first.login("ada")
    first["private"] = "of ada"
    second.login("bob")
    first.save()
    second.save()
    assert cookie_of(first).key != cookie_of(second).key
    assert Session(shared, SentCookies(cookie_of(first))).userid == "ada"
    of_bob = Session(shared, SentCookies(cookie_of(second)))
    assert (of_bob.userid, of_bob.copy()) == ("bob", {"made": True})


def test_a_login_whose_session_was_ended_begins_a_new_one(shared: Persistence) -> None:
    cookie = new_session(shared)
    logging_in, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    logging_in.login("ada")
    other.invalidate()
    other.save()
    logging_in.save()
    assert cookie_of(logging_in).key != cookie.key
    assert logging_in.work.cookie is Cookie.SEND
    again = Session(shared, SentCookies(cookie_of(logging_in)))
    assert (again.userid, again.copy()) == ("ada", {"made": True})


def test_a_login_keeps_what_another_request_put_in_before(shared: Persistence) -> None:
    cookie = new_session(shared)
    logging_in, other = (Session(shared, SentCookies(cookie)) for _ in range(2))
    logging_in.login("ada")
    other["cart"] = [1]
    other.save()
    logging_in.save()
    again = Session(shared, SentCookies(cookie_of(logging_in)))
    assert (again.userid, again["cart"]) == ("ada", [1])


def test_many_writers_and_one_logout_leave_no_record(shared: Persistence) -> None:
    for _ in range(10):
        cookie = new_session(shared)
        barrier = Barrier(8)

        def request(number: int) -> None:
            session = Session(shared, SentCookies(cookie))  # noqa: B023
            assert session["made"]
            barrier.wait()  # noqa: B023
            if number == 0:
                session.invalidate()
            else:
                session[f"key{number}"] = 1
            session.work.end()
            session.work.commit(session.work.plan())

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(request, range(8)))
        assert shared.store.count() == 0


def test_an_expired_session_takes_no_late_write(make_persistence: Any, spy: SpyStore) -> None:
    persistence = make_persistence(timeout=100)
    cookie = new_session(persistence)
    slow = Session(persistence, SentCookies(cookie))
    slow["late"] = 1
    spy.before["update"] = lambda: spy.store.delete(slow.key)
    with pytest.raises(SessionGone):
        slow.save()
    assert persistence.store.count() == 0


def test_a_dropped_write_is_logged_with_its_key_but_a_dropped_renewal_is_not(
    make_persistence: Any, caplog: pytest.LogCaptureFixture
) -> None:
    persistence = make_persistence(rolling=True)
    for change in (False, True):
        cookie = new_session(persistence)
        slow = Session(persistence, SentCookies(cookie))
        assert slow["made"]
        if change:
            slow["late"] = 1
        persistence.end(Ending(slow.key, None, "revoked", Condition.ALWAYS))
        slow.work.commit(slow.work.plan())
        slow.work.commit(slow.work.plan())
        assert (f"Session {slow.key[:8]} was ended" in caplog.text) is change


def test_endless_conflicts_end(make_persistence: Any, monkeypatch: pytest.MonkeyPatch, spy: SpyStore) -> None:
    monkeypatch.setattr(persistence_module, "CONFLICT_SECONDS", 0.05)
    persistence = make_persistence()
    cookie = new_session(persistence)
    session = Session(persistence, SentCookies(cookie))
    session["a"] = 1
    monkeypatch.setattr(spy.store, "update", lambda key, record: None)
    with pytest.raises(SessionConflict):
        session.save()


def test_renewals_at_once_change_nothing(make_persistence: Any, any_store: Any) -> None:
    persistence = make_persistence(any_store, rolling=True)
    cookie = new_session(persistence)
    at_once(persistence, cookie, lambda session, n: session.__setitem__("one", 1) if n == 0 else None)
    assert contents(persistence, cookie) == {"made": True, "one": 1}
