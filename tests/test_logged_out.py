"""Why a login has ended, as far as that is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import LoginRequired, SessionGone, StoreUnavailable, get_sessions, user_sessions, why_logged_out
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.session_id.tokens import is_no_session, is_trace, trace_key
from pyramid_sessionkit.stores.memory import MemoryStore
from pyramid_sessionkit.traces import trace_of
from tests.conftest import SpyStore
from tests.sealing.site import KEY

Clock = Callable[[float], None]
MINUTE, HOUR = 60, 3600


def login(request: Request) -> Response:
    remember(request, "ada")
    if "timeout" in request.params:
        request.session.set_expiry(timeout=int(request.params["timeout"]))
    return Response(str(request.session.timeout))


def logout(request: Request) -> Response:
    forget(request)
    return Response()


def store(request: Request) -> Response:
    request.session["seen"] = True
    return Response()


def why(request: Request) -> Response:
    request.identity  # noqa: B018 as a gate does
    return Response(str(why_logged_out(request)))


def revoke_one(request: Request) -> Response:
    return Response(str(user_sessions(request).revoke(request.params["key"])))


def revoke_all_others(request: Request) -> Response:
    return Response(str(user_sessions(request).revoke_others()))


VIEWS = {
    "/login": login,
    "/logout": logout,
    "/store": store,
    "/why": why,
    "/who": lambda request: Response(str(request.authenticated_userid)),
    "/revoke": revoke_one,
    "/revoke_others": revoke_all_others,
}


@pytest.fixture
def browser(make_app: Any, any_store: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> TestApp:
    return make_app(VIEWS, **{"sessionkit.store": lambda _: any_store})


@pytest.fixture
def later(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock, of the SQL store too."""
    start = time.time()

    def advance(seconds: float) -> None:
        clock(seconds)
        monkeypatch.setattr("pyramid_sessionkit.stores.sql.time", lambda: start + seconds)

    return advance


def test_nobody_was_logged_out_who_was_never_here(browser: TestApp) -> None:
    assert browser.get("/why").text == "None"


def test_nobody_was_logged_out_who_is_logged_in(browser: TestApp) -> None:
    browser.get("/login")
    assert browser.get("/why").text == "None"


def test_the_idle_timeout(browser: TestApp, later: Clock) -> None:
    browser.get("/login")
    later(21 * MINUTE)
    assert browser.get("/why").text == "timeout"


def test_the_lifetime(browser: TestApp, later: Clock) -> None:
    browser.get(f"/login?timeout={24 * HOUR}")
    later(13 * HOUR)
    assert browser.get("/why").text == "lifetime"


def test_an_anonymous_session_was_no_login(browser: TestApp, later: Clock) -> None:
    browser.get("/store")
    later(21 * MINUTE)
    assert browser.get("/why").text == "None"


def test_only_the_browser_that_had_the_session_is_told(browser: TestApp, later: Clock) -> None:
    browser.get("/login")
    before = browser.cookies["session"]
    browser.get("/login")  # a new secret
    later(21 * MINUTE)
    thief = TestApp(browser.app)
    thief.set_cookie("session", before)
    assert thief.get("/why").text == "None"
    assert browser.get("/why").text == "timeout"


def test_what_was_ended_is_not_called_expired(browser: TestApp, later: Clock) -> None:
    browser.get("/login")
    other_tab = TestApp(browser.app)
    other_tab.set_cookie("session", browser.cookies["session"])
    browser.get("/logout")
    later(21 * MINUTE)
    assert other_tab.get("/why").text == "None"


def test_what_was_purged_is_not_known(browser: TestApp, any_store: Any, later: Clock) -> None:
    browser.get("/login")
    any_store.clear()
    later(21 * MINUTE)
    assert browser.get("/why").text == "None"


def test_a_changed_password_and_a_user_who_is_gone(make_app: Any) -> None:
    users = {"ada": "first password"}

    def configure(config: Configurator) -> None:
        config.set_session_identity(lambda request, userid: users.get(userid))
        config.set_session_credentials_hash(lambda request, password: password)

    browser = make_app(VIEWS, configure=configure)
    browser.get("/login")
    users["ada"] = "second password"
    assert browser.get("/why").text == "credentials_changed"
    browser.get("/login")
    users.clear()
    assert browser.get("/why").text == "user_gone"


# What another request, another device or a script has ended.


class Devices:
    """Two browsers of one user, a laptop that logged in later, and what is stored."""

    def __init__(self, make_app: Any, store: Any, **settings: Any) -> None:
        self.spy = SpyStore(store)
        self.users = {"ada": "first password"}
        self.phone = make_app(VIEWS, configure=self._configure, **{"sessionkit.store": lambda _: self.spy}, **settings)
        self.phone.get("/login")
        self.laptop = TestApp(self.phone.app)
        self.laptop.get("/login")
        self.sessions = get_sessions(self.phone.app.registry)

    def _configure(self, config: Configurator) -> None:
        config.set_session_identity(lambda request, userid: self.users.get(userid))
        config.set_session_credentials_hash(lambda request, password: password)

    @property
    def phones_key(self) -> str:
        return str(self.phone.cookies["session"].split(".")[0])

    @property
    def traces(self) -> list[str]:
        return [key for key in self.spy.store.find_keys("", 99) if is_trace(key)]


@pytest.fixture
def devices(make_app: Any, any_store: Any) -> Devices:
    return Devices(make_app, any_store)


def change_password(devices: Devices) -> None:
    """Another tab of the phone finds out first."""
    devices.users["ada"] = "second password"
    assert same_browser(devices.phone).get("/why").text == "credentials_changed"


def delete_user(devices: Devices) -> None:
    devices.users.clear()
    assert same_browser(devices.phone).get("/why").text == "user_gone"


def revoke(devices: Devices) -> None:
    devices.laptop.get(f"/revoke?key={devices.phones_key}")


def revoke_others(devices: Devices) -> None:
    devices.laptop.get("/revoke_others")


def revoke_in_a_script(devices: Devices) -> None:
    assert devices.sessions.revoke(devices.phones_key)


def log_in_once_too_often(devices: Devices) -> None:
    TestApp(devices.phone.app).get("/login")


def same_browser(browser: TestApp) -> TestApp:
    tab = TestApp(browser.app)
    tab.set_cookie("session", browser.cookies["session"])
    return tab


ENDINGS = {
    change_password: "credentials_changed",
    delete_user: "user_gone",
    revoke: "revoked",
    revoke_others: "revoked",
    revoke_in_a_script: "revoked",
    log_in_once_too_often: "limit",
}


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("seal", [False, True], ids=["", "sealed"])
def test_a_browser_is_told_who_ended_its_login(
    make_app: Any, any_store: Any, end: Callable[[Devices], None], seal: bool
) -> None:
    if seal:
        pytest.importorskip("cryptography")
    sealing = {"seal_key": KEY} if seal else {}
    devices = Devices(make_app, any_store, max_sessions_per_user=2, **sealing)
    end(devices)
    assert devices.phone.get("/why").text == ENDINGS[end]
    assert devices.phone.get("/why").text == ENDINGS[end]  # for as long as it has not logged in again
    devices.users["ada"] = "second password"
    devices.phone.get("/login")
    assert devices.phone.get("/why").text == "None"


def test_a_thief_of_an_old_cookie_is_told_nothing(devices: Devices) -> None:
    thief = same_browser(devices.phone)
    devices.phone.get("/login")  # a new secret
    revoke(devices)
    assert thief.get("/why").text == "None"
    assert devices.phone.get("/why").text == "revoked"


def test_it_is_known_for_a_week(devices: Devices, later: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    revoke(devices)
    later(6 * 24 * HOUR)
    assert devices.phone.get("/why").text == "revoked"
    later(8 * 24 * HOUR)
    assert devices.phone.get("/why").text == "None"


@pytest.mark.parametrize("end", [lambda devices: devices.phone.get("/logout"), lambda devices: None])
def test_a_logout_leaves_no_trace(devices: Devices, end: Any) -> None:
    end(devices)
    assert devices.traces == []


def test_an_anonymous_session_leaves_no_trace(devices: Devices) -> None:
    visitor = TestApp(devices.phone.app)
    visitor.get("/store")
    key = visitor.cookies["session"].split(".")[0]
    assert devices.sessions.revoke(key)
    assert devices.traces == []


def test_a_trace_is_no_session(devices: Devices) -> None:
    revoke(devices)
    (trace,) = devices.traces
    sessions = devices.sessions
    assert sessions.get(trace) is None
    assert not sessions.revoke(trace)
    with pytest.raises(SessionGone):
        sessions.open(trace)
    assert sessions.keys_beginning_with(trace[:6]) == []
    assert [info.key for info in sessions.all(1)] == [info.key for info in sessions.of_user("ada")]
    assert len(sessions.all(9)) == sessions.count() == 1


def test_a_trace_has_the_prefix_of_its_session() -> None:
    key = "shop-7_" + "k" * 22
    assert trace_key(key) == "shop-7_ended-" + "k" * 16
    assert is_no_session(trace_key(key))
    assert not is_no_session(key)


def test_an_ending_does_not_fail_for_its_trace(devices: Devices, caplog: Any) -> None:
    devices.spy.failing["create"] = StoreUnavailable("down")
    revoke(devices)
    assert devices.sessions.get(devices.phones_key) is None
    assert "its browser cannot be told why: down" in caplog.text
    devices.spy.failing.clear()
    assert devices.phone.get("/why").text == "None"


def test_a_trace_is_one_call_and_so_is_to_read_it(devices: Devices) -> None:
    devices.spy.calls.clear()
    assert devices.sessions.revoke(devices.phones_key)
    assert devices.spy.calls == ["load", "delete", "create"]
    devices.spy.calls.clear()
    devices.phone.get("/who")
    assert len(devices.spy.calls) == 1
    devices.spy.calls.clear()
    devices.phone.get("/why")
    assert devices.spy.calls == ["load"] * 3  # the session, perhaps an expired one, and the trace


@pytest.mark.parametrize("data", [b"[]", b"nothing", b'{"ended":"logout"}', b'{"ended":"revoked","verifier":1}'])
def test_a_trace_that_was_damaged_says_nothing(devices: Devices, data: bytes) -> None:
    revoke(devices)
    (key,) = devices.traces
    trace = devices.spy.store.load(key)
    devices.spy.store.update(key, trace.with_data(data))
    assert devices.phone.get("/why").text == "None"


def test_what_a_browser_sent_is_kept_as_soon_as_it_can_be(make_app: Any) -> None:
    """Not in the request that finds out: another one may be saving a new login of this browser just now."""
    passwords, told = {"ada": "first"}, []

    def keep(event: LoginRequired) -> None:
        told.append((event.why, event.keeps))
        if event.keeps:
            event.request.session["kept"] = "text"

    def configure(config: Configurator) -> None:
        config.set_session_identity(lambda request, userid: passwords.get(userid))
        config.set_session_credentials_hash(lambda request, password: password)
        config.add_subscriber(keep, LoginRequired)
        config.add_route("gated", "/gated", logged_in=True)
        config.add_view(why, route_name="gated")
        config.add_route("kept", "/kept")
        config.add_view(lambda request: Response(str(request.session.get("kept"))), route_name="kept")

    browser = make_app(VIEWS, configure=configure, login_route="/login")
    browser.get("/login")
    passwords["ada"] = "second"
    browser.post("/gated", status=303)
    browser.post("/gated", status=303)
    assert told == [("credentials_changed", False), ("credentials_changed", True)]
    assert browser.get("/kept").text == "text"


def test_a_full_store_drops_traces_before_sessions() -> None:
    store = MemoryStore(max_sessions=3)
    now = int(time.time())
    cart = Record(b'{"a":1}', "v", "s", None, None, None, None, now, now, 1200, None, False)
    ada = cart._replace(userid="ada", authenticated=1)
    store.create("c" * 22, cart)
    store.create("l" * 22, ada)
    store.create(trace_key("k" * 22), trace_of(ada, "revoked"))
    store.create("n" * 22, ada)
    assert sorted(store.find_keys("", 9)) == ["c" * 22, "l" * 22, "n" * 22]


def test_another_session_factory_knows_nothing(make_app: Any) -> None:
    from pyramid.session import SignedCookieSessionFactory

    def configure(config: Configurator) -> None:
        config.commit()
        config.set_session_factory(SignedCookieSessionFactory("x" * 32))
        config.add_route("asked", "/asked")
        config.add_view(lambda request: Response(str(why_logged_out(request))), route_name="asked")

    assert make_app({}, configure=configure).get("/asked").text == "None"


def test_a_session_knows_its_timeout(browser: TestApp) -> None:
    assert browser.get("/login").text == "1200"
    assert browser.get("/login?timeout=60").text == "60"
