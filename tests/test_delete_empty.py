"""``sessionkit.delete_empty``: an emptied session of nobody goes, and nothing that races with it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.csrf import check_csrf_token, get_csrf_token
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from webtest import TestApp

from pyramid_sessionkit import SessionCreated, SessionEnded, SessionGone, get_sessions
from pyramid_sessionkit.interfaces import GRACE
from tests.conftest import SpyStore
from tests.sealing.site import KEY

Clock = Callable[[float], None]


def put(request: Request) -> Response:
    request.session[request.params["name"]] = 1
    return Response()


def look(request: Request) -> Response:
    return Response(",".join(sorted(request.session)))


def empty(request: Request) -> Response:
    request.session.clear()
    return Response()


def flash(request: Request) -> Response:
    request.session.flash("Saved")
    return Response()


def flashed(request: Request) -> Response:
    return Response(",".join(request.session.pop_flash()))


def form(request: Request) -> Response:
    request.session.clear()
    return Response(get_csrf_token(request))


def new_token(request: Request) -> Response:
    request.session.clear()
    request.session.new_csrf_token()
    return Response()


def send(request: Request) -> Response:
    check_csrf_token(request)
    return Response("sent")


def login(request: Request) -> Response:
    remember(request, "ada")
    return Response()


def replace_id(request: Request) -> Response:
    request.session.regenerate_id()
    return Response()


def renew(request: Request) -> Response:
    request.session.touch()
    return Response()


def empty_and_log_in(request: Request) -> Response:
    request.session.clear()
    remember(request, "ada")
    return Response()


def refill(request: Request) -> Response:
    """Empties the session and goes on with another one."""
    request.session.clear()
    request.session.save()
    request.session["b"] = 1
    return Response()


def pass_by(request: Request) -> Response:
    """What was put in is stored, and taken out again by the same request."""
    request.session["a"] = 1
    request.session.save()
    token = get_csrf_token(request)
    request.session.clear()
    return Response(token)


VIEW_FUNCTIONS = (
    put,
    look,
    empty,
    flash,
    flashed,
    form,
    new_token,
    send,
    login,
    empty_and_log_in,
    replace_id,
    renew,
    refill,
    pass_by,
)
VIEWS = {f"/{view.__name__}": view for view in VIEW_FUNCTIONS}


class Site:
    """An application, its store and what it told."""

    def __init__(self, make_app: Any, store: Any, **settings: Any) -> None:
        self.spy = SpyStore(store)
        self.told: list[str] = []
        settings.setdefault("delete_empty", "true")
        settings["sessionkit.store"] = lambda _: self.spy
        self.browser: TestApp = make_app(VIEWS, configure=self._listen, **settings)

    def _listen(self, config: Any) -> None:
        config.add_subscriber(lambda event: self.told.append("created"), SessionCreated)
        config.add_subscriber(lambda event: self.told.append(event.reason), SessionEnded)

    def tab(self) -> TestApp:
        """The same browser, which has the same cookie now."""
        tab = TestApp(self.browser.app)
        for name, value in self.browser.cookies.items():
            tab.set_cookie(name, value)
        return tab

    @property
    def count(self) -> int:
        return get_sessions(self.browser.app.registry).count()


@pytest.fixture
def site(make_app: Any, any_store: Any) -> Site:
    return Site(make_app, any_store)


def deletes_cookie(answer: Any) -> bool:
    return "Max-Age=0" in answer.headers.get("Set-Cookie", "")


def another_request(tab: TestApp) -> Any:
    """The session as another request of this browser has it."""
    request = Request.blank("/", headers={"Cookie": f"session={tab.cookies['session']}"})
    request.registry = tab.app.registry
    request.session["a"]
    return request.session


# One request after the other.


def test_an_emptied_session_goes_with_its_cookie(site: Site) -> None:
    site.browser.get("/flash")
    answer = site.browser.get("/flashed")
    assert answer.text == "Saved"
    assert deletes_cookie(answer)
    assert (site.count, site.browser.cookies, site.told) == (0, {}, ["created", "emptied"])


def test_what_is_found_empty_goes_once_it_is_touched(make_app: Any, any_store: Any) -> None:
    before = Site(make_app, any_store, delete_empty="false")
    before.browser.get("/put?name=a")
    before.browser.get("/empty")
    site = Site(make_app, any_store)
    site.browser.set_cookie("session", before.browser.cookies["session"])
    assert not deletes_cookie(site.browser.get("/look"))
    assert not deletes_cookie(site.browser.get("/renew"))
    assert site.count == 1
    assert deletes_cookie(site.browser.get("/empty"))
    assert site.count == 0


def test_by_default_an_emptied_session_stays(make_app: Any, any_store: Any) -> None:
    site = Site(make_app, any_store, delete_empty="false")
    site.browser.get("/put?name=a")
    assert not deletes_cookie(site.browser.get("/empty"))
    assert site.count == 1


def test_a_login_with_nothing_in_it_stays(site: Site) -> None:
    site.browser.get("/put?name=a")
    site.browser.get("/login")
    assert not deletes_cookie(site.browser.get("/empty"))
    assert site.count == 1


def test_a_login_in_the_request_that_empties_it_stays(site: Site) -> None:
    site.browser.get("/put?name=a")
    site.browser.get("/empty_and_log_in")
    assert (site.count, site.told) == (1, ["created"])


def test_a_token_that_was_renewed_is_something(site: Site) -> None:
    site.browser.get("/put?name=a")
    assert not deletes_cookie(site.browser.get("/new_token"))
    assert site.count == 1


def test_a_form_on_the_page_that_empties_it_works(site: Site) -> None:
    site.browser.get("/put?name=a")
    token = site.browser.get("/form").text
    assert site.count == 0
    assert site.browser.post("/send", {"csrf_token": token}).text == "sent"


def test_a_form_works_where_one_request_begins_and_empties_it(site: Site) -> None:
    token = site.browser.get("/pass_by").text
    assert site.told == ["created", "emptied"]
    assert site.browser.post("/send", {"csrf_token": token}).text == "sent"


def test_the_request_that_empties_it_may_go_on(site: Site) -> None:
    site.browser.get("/put?name=a")
    site.browser.get("/refill")
    assert site.browser.get("/look").text == "b"
    assert site.told == ["created", "emptied", "created"]


def test_what_was_removed_is_gone_for_good(site: Site) -> None:
    site.browser.get("/put?name=a")
    tab = site.tab()
    key = get_sessions(site.browser.app.registry).all(9)[0].key
    site.browser.get("/empty")
    tab.get("/put?name=b")
    sessions = get_sessions(site.browser.app.registry)
    assert key not in [info.key for info in sessions.all(9)]
    assert sessions.get(key) is None
    assert tab.get("/look").text == "b"


def test_what_was_removed_is_purged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    site.browser.get("/put?name=a")
    site.browser.get("/empty")
    later = time.time() + GRACE + 1
    for module in ("memory", "sql"):
        monkeypatch.setattr(f"pyramid_sessionkit.stores.{module}.time", lambda: later)
    assert get_sessions(site.browser.app.registry).purge() == 1


def test_a_script_may_empty_a_session(site: Site) -> None:
    site.browser.get("/put?name=a")
    sessions = get_sessions(site.browser.app.registry)
    session = sessions.open(sessions.all(1)[0].key)
    session.clear()
    session.save()
    assert session.new
    assert site.count == 0


def test_a_contradiction_is_refused(make_app: Any) -> None:
    with pytest.raises(ConfigurationError, match="contradict each other"):
        make_app({}, delete_empty="true", save_uninitialized="true")


def test_a_sealed_session_goes_too(make_app: Any, any_store: Any) -> None:
    pytest.importorskip("cryptography")
    site = Site(make_app, any_store, seal_key=KEY)
    site.browser.get("/put?name=a")
    tab, other = site.tab(), site.tab()
    site.spy.before["update"] = lambda: other.get("/empty")
    tab.get("/put?name=b")
    assert tab.get("/look").text == "b"
    assert deletes_cookie(site.browser.get("/flashed")) is False
    site.browser.get("/empty")
    assert site.count == 0


def test_a_client_with_a_session_header_forgets_its_id(make_app: Any, any_store: Any) -> None:
    site = Site(make_app, any_store, header_name="X-Session")
    sent = site.browser.get("/put?name=a", headers={"X-Session": ""}).headers["X-Session"]
    answer = site.browser.get("/empty", headers={"X-Session": sent})
    assert answer.headers["X-Session"] == ""
    assert site.count == 0


# Two requests at once.


@pytest.mark.parametrize("other", ["/put?name=b", "/login", "/replace_id"])
def test_what_another_request_stored_first_is_kept(site: Site, other: str) -> None:
    site.browser.get("/put?name=a")
    tab = site.tab()
    site.spy.before["update"] = lambda: tab.get(other)
    assert not deletes_cookie(site.browser.get("/empty"))
    assert tab.get("/look").text == ("b" if "put" in other else "")
    assert (site.count, site.told) == (1, ["created"])


def test_it_goes_if_the_other_request_took_the_rest(site: Site) -> None:
    site.browser.get("/flash")
    site.browser.get("/put?name=a")
    tab = site.tab()
    site.spy.before["update"] = lambda: tab.get("/flashed")
    assert deletes_cookie(site.browser.get("/empty"))
    assert (site.count, site.told) == (0, ["created", "emptied"])


def test_two_that_take_half_each_leave_nothing(site: Site) -> None:
    site.browser.get("/flash")
    site.browser.get("/put?name=a")
    tab = site.tab()
    session = another_request(site.tab())
    del session["a"]
    site.spy.before["update"] = lambda: tab.get("/flashed")
    session.save()
    assert (site.count, site.told) == (0, ["created", "emptied"])


@pytest.mark.parametrize("other", ["/put?name=b", "/login", "/refill"])
def test_what_another_request_stores_afterwards_is_kept(site: Site, other: str) -> None:
    """It loaded the session before that was removed."""
    site.browser.get("/put?name=a")
    tab = site.tab()
    first = site.tab()
    site.spy.before["update"] = lambda: first.get("/empty")
    answer = tab.get(other)
    assert "Set-Cookie" in answer.headers
    assert not deletes_cookie(answer)
    assert site.count == 1
    assert tab.get("/look").text == ("" if other == "/login" else "b")


def test_it_begins_again_with_new_limits_and_is_told(site: Site, clock: Clock) -> None:
    site.browser.get("/put?name=a")
    tab, first = site.tab(), site.tab()
    clock(600)
    site.spy.before["update"] = lambda: first.get("/empty")
    tab.get("/put?name=b")
    info = get_sessions(site.browser.app.registry).all(1)[0]
    assert info.created == info.renewed
    assert info.expires == info.renewed + 1200
    assert site.told == ["created", "emptied", "created"]


@pytest.mark.parametrize("other", ["/put?name=b", "/login", "/replace_id"])
def test_where_a_clock_is_behind_it_is_gone_too(site: Site, clock: Clock, other: str) -> None:
    """A machine whose clock is behind must not write into what has expired for all others."""
    site.browser.get("/put?name=a")
    tab, first = site.tab(), site.tab()
    clock(10)
    first.get("/empty")
    clock(5)
    tab.get(other)
    tab.get("/put?name=c")
    clock(10)
    assert "c" in tab.get("/look").text
    assert site.told[:3] == ["created", "emptied", "created"]


@pytest.mark.parametrize("other", ["/renew", "/empty", "/look"])
def test_what_keeps_nothing_brings_nothing_back(site: Site, other: str, caplog: Any) -> None:
    site.browser.get("/put?name=a")
    tab, first = site.tab(), site.tab()
    site.spy.before["update"] = lambda: first.get("/empty")
    answer = tab.get(other)
    assert "Set-Cookie" not in answer.headers
    site.spy.before.clear()
    first.get("/empty")
    assert (site.count, site.told) == (0, ["created", "emptied"])
    assert "dropped" not in caplog.text


def test_a_stale_request_brings_it_back_for_nobody(site: Site, caplog: Any) -> None:
    """It may send no cookie, and the browser has none any more."""
    site.browser.get("/put?name=a")
    tab, other = site.tab(), site.tab()

    def replace_and_empty() -> None:
        other.get("/replace_id")
        other.get("/empty")

    site.spy.before["update"] = replace_and_empty
    assert "Set-Cookie" not in tab.get("/put?name=b").headers
    assert site.count == 0
    assert "since it was empty: changes were dropped" in caplog.text


def test_a_logout_meanwhile_stays_a_logout(site: Site, any_store: Any) -> None:
    site.browser.get("/put?name=a")
    key = get_sessions(site.browser.app.registry).all(1)[0].key
    site.spy.before["update"] = lambda: any_store.delete(key)
    site.browser.get("/empty")
    assert site.count == 0
    assert site.told == ["created"]


def test_what_was_removed_and_logged_out_of_stays_ended(site: Site) -> None:
    """Three requests have loaded it: one empties it, one ends it, and then one puts something into it."""
    site.browser.get("/put?name=a")
    first, ending, last = site.tab(), another_request(site.tab()), site.tab()

    def empty_and_end() -> None:
        site.spy.before["delete"] = lambda: first.get("/empty")
        ending.invalidate()
        ending.save()

    site.spy.before["update"] = empty_and_end
    assert "Set-Cookie" not in last.get("/put?name=b").headers
    assert (site.count, site.told) == (0, ["created", "emptied"])


def test_a_script_brings_back_nothing_that_nobody_can_open(site: Site) -> None:
    site.browser.get("/put?name=a")
    sessions = get_sessions(site.browser.app.registry)
    session = sessions.open(sessions.all(1)[0].key)
    session["b"] = 1
    site.browser.get("/empty")
    with pytest.raises(SessionGone, match="since it was empty"):
        session.save()
    assert site.count == 0


def test_a_first_visit_beside_it_keeps_what_it_stores(site: Site) -> None:
    """Two requests with the blank cookie of a form; a third empties what the first of them began."""
    token_page = site.browser.get("/form")
    assert token_page.text
    tab, third = site.tab(), site.tab()

    def begin_and_empty() -> None:
        third.get("/put?name=a")
        site.spy.before["update"] = lambda: third.get("/empty")

    site.spy.before["create"] = begin_and_empty
    tab.get("/put?name=b")
    assert "b" in tab.get("/look").text
