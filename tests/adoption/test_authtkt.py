"""Visitors who were logged in by an AuthTkt cookie are logged in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any

import pytest
from pyramid.authentication import AuthTktAuthenticationPolicy, AuthTktCookieHelper
from pyramid.request import Request
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.adoption.pyramid_sessions import authtkt_sessions, authtkt_user, signed_cookie_sessions
from pyramid_sessionkit.exceptions import NotSupported
from tests.adoption.old_pyramid import KEY, Beside, InRedis, old_app
from tests.adoption.old_site import Browser

TICKETS = "of-tickets-" * 6


def old_site(**arguments: Any) -> Any:
    helper = AuthTktCookieHelper(TICKETS, **arguments)

    def login(request: Any) -> dict[str, Any]:
        name = request.params["name"]
        headers = helper.remember(request, int(name) if name.isdigit() else name)
        request.response.headerlist.extend(headers)
        return {}

    def who(request: Any) -> dict[str, Any]:
        return {"userid": (helper.identify(request) or {}).get("userid")}

    return old_app(SignedCookieSessionFactory(KEY), login=login, who=who)


def beside(keep: bool = False, session: bool = True, **arguments: Any) -> Beside:
    old = (
        signed_cookie_sessions(KEY, userid=authtkt_user(TICKETS, **arguments), keep=keep)
        if session
        else authtkt_sessions(TICKETS, keep=keep, **arguments)
    )
    return Beside(old_site(**arguments), old)


@pytest.mark.parametrize(("name", "userid"), [("ada", "ada"), ("7", "7"), ("Zo%C3%AB", "Zoë")])
def test_the_user_of_a_ticket_is_logged_in(name: str, userid: str) -> None:
    site = beside()
    browser = site.browser("put?what=pears", f"login?name={name}")
    assert sorted(browser.cookies) == ["auth_tkt", "session"]
    assert browser.get("/show").json == {"contents": {"cart": ["pears"]}, "userid": userid}
    assert list(browser.cookies) == ["session"]
    assert browser.get("/show").json["userid"] == userid


def test_a_userid_that_was_bytes_is_text() -> None:
    headers = AuthTktCookieHelper(TICKETS, wild_domain=False).remember(Request.blank("/"), b"ada")
    browser = Browser(beside(), {})
    for _, value in headers:
        browser._take(value)
    assert browser.get("/show").json["userid"] == "ada"


def test_a_ticket_alone_is_enough() -> None:
    browser = beside().browser("login?name=ada")
    assert browser.get("/show").json == {"contents": {}, "userid": "ada"}


def test_a_session_alone_is_enough() -> None:
    browser = beside().browser("put?what=pears")
    assert browser.get("/show").json == {"contents": {"cart": ["pears"]}, "userid": None}


def test_a_site_that_had_no_sessions_moves_too() -> None:
    site = beside(session=False)
    browser = site.browser("login?name=ada")
    assert browser.get("/show").json["userid"] == "ada"
    assert list(browser.cookies) == ["session"]
    assert site.browser("put?what=pears").get("/show").json == {"contents": {}, "userid": None}


def test_parallel_requests_make_one_session() -> None:
    site = beside()
    first = site.browser("put?what=pears", "login?name=ada")
    browsers = [site.copy(first) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda browser: browser.get("/put"), browsers))
    assert len({browser.cookies["session"] for browser in browsers}) == 1
    assert browsers[0].get("/show").json == {"contents": {"cart": ["pears"], "n": 6}, "userid": "ada"}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kept", [["auth_tkt"], ["auth_tkt", "session"], ["session"]])
def test_a_logout_is_not_undone_by_old_cookies(keep: bool, kept: list[str]) -> None:
    site = beside(keep=keep)
    browser = site.browser("put?what=pears", "login?name=ada")
    before = dict(browser.cookies)
    browser.get("/show")
    browser.get("/logout")
    assert browser.cookies == {}
    replayed = Browser(site, {name: before[name] for name in kept})
    assert replayed.get("/show").json["userid"] is None


def test_an_old_ticket_does_not_take_another_session_along() -> None:
    """The ticket names the login: with somebody's ticket one does not get into a session of somebody else."""
    site = beside()
    ada, eve = site.browser("put?what=pears", "login?name=ada"), site.browser("login?name=eve")
    ada_had = dict(ada.cookies)
    assert ada.get("/show").json["userid"] == "ada"
    mixed = Browser(site, {"session": ada_had["session"], "auth_tkt": eve.cookies["auth_tkt"]})
    assert mixed.get("/show").json["userid"] == "eve"


def test_a_ticket_tells_the_time_of_the_login() -> None:
    assert beside().browser("login?name=ada").get("/fresh").status_int == 200


def test_an_old_ticket_is_no_fresh_login() -> None:
    browser = Browser(beside(), {"auth_tkt": Ticket(time() - 3600).value})
    assert browser.get("/members").status_int == 200
    assert browser.get("/fresh").status_int == 404


def test_a_ticket_that_is_made_anew_tells_no_time() -> None:
    browser = beside(reissue_time=60, timeout=600).browser("login?name=ada")
    assert browser.get("/members").status_int == 200
    assert browser.get("/fresh").status_int == 404


class Ticket:
    """A ticket of Pyramid's, from another time or place."""

    def __init__(self, at: float, ip: str = "0.0.0.0") -> None:
        ticket = AuthTktCookieHelper.AuthTicket(
            TICKETS, "YWRh", ip, time=int(at), user_data="userid_type:b64unicode", hashalg="sha512"
        )
        self.value = ticket.cookie_value()


def test_the_timeout_of_tickets_holds() -> None:
    site = beside(timeout=600)
    assert Browser(site, {"auth_tkt": Ticket(time() - 601).value}).get("/show").json["userid"] is None
    browser = Browser(site, {"auth_tkt": Ticket(time() - 500).value})
    record = site.new.store.load(browser.key("/show"))
    assert record.deadline == pytest.approx(time() + 100, abs=3)
    assert browser.get("/show").json["userid"] == "ada"


def test_a_ticket_that_is_made_anew_has_no_end_of_its_own() -> None:
    site = beside(timeout=600, reissue_time=60)
    browser = Browser(site, {"auth_tkt": Ticket(time() - 500).value})
    assert site.new.store.load(browser.key("/show")).deadline > time() + 1000
    assert "auth_tkt" not in browser.cookies


def test_a_ticket_for_another_address_opens_nothing() -> None:
    site = beside(include_ip=True)
    cookies = {"auth_tkt": Ticket(time(), "192.0.2.1").value}
    assert Browser(site, cookies).get("/show", REMOTE_ADDR="192.0.2.2").json["userid"] is None
    assert Browser(site, cookies).get("/show", REMOTE_ADDR="192.0.2.1").json["userid"] == "ada"


@pytest.mark.parametrize("value", ["", "x", "\xff", "0" * 200])
def test_a_made_up_ticket_opens_nothing(value: str) -> None:
    answer = Browser(beside(), {"auth_tkt": value}).get("/show")
    assert (answer.status_int, answer.json["userid"]) == (200, None)


def test_it_leaves_no_trace_on_the_request() -> None:
    request = Request.blank("/", headers={"Cookie": f"auth_tkt={Ticket(time() - 100).value}"})
    before = dict(request.environ)
    old = beside(reissue_time=0).old
    adopted = old.read(request, old.token(request))
    assert adopted == Adopted({}, "ada")
    assert request.environ == before


@pytest.mark.parametrize(
    ("arguments", "host", "domains"),
    [
        ({}, "www.example.com", {None, "www.example.com"}),
        ({"parent_domain": True}, "www.example.com", {None, "www.example.com", "example.com"}),
        ({"domain": "example.com"}, "www.example.com", {None, "www.example.com", "example.com"}),
        ({"wild_domain": False}, "localhost", {None, "localhost"}),
    ],
)
def test_tickets_are_deleted_on_each_domain(arguments: Any, host: str, domains: set[str | None]) -> None:
    """Older releases of Pyramid set up to three cookies, for different domains."""
    request = Request.blank("/", headers={"Cookie": "auth_tkt=x", "Host": host})
    values = authtkt_sessions(TICKETS, path="/shop", cookie_name="auth_tkt", **arguments).deletions(request)
    assert all(value.startswith("auth_tkt=; Max-Age=0; Path=/shop;") for value in values)
    assert {value.partition("Domain=")[2] or None for value in values} == domains
    assert len(values) == len(domains)


def test_what_the_old_policy_took_can_be_given() -> None:
    arguments: dict[str, Any] = {"callback": lambda userid, request: [], "cookie_name": "who", "timeout": 60}
    policy = AuthTktAuthenticationPolicy(TICKETS, debug=True, **arguments)
    headers = policy.remember(Request.blank("/"), "ada")
    browser = Browser(Beside(None, authtkt_sessions(TICKETS, debug=True, **arguments)), {})
    for _, value in headers:
        browser._take(value)
    assert browser.get("/show").json["userid"] == "ada"


@pytest.mark.servers
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_the_old_record_goes_though_the_ticket_names_the_login(server: Any, tmp_path: Any) -> None:
    library = InRedis(tmp_path, server)
    old = library.adopt()
    old.users = authtkt_user(TICKETS)
    site = Beside(old_app(library.factory()), old)
    browser = site.browser("put?what=pears")
    name = old.name(Request.blank("/", headers={"Cookie": f"session={browser.cookies['session']}"}))
    assert library.server.execute("EXISTS", name) == 1
    browser.cookies["auth_tkt"] = Ticket(time()).value
    assert browser.get("/show").json == {"contents": {"cart": ["pears"]}, "userid": "ada"}
    assert library.server.execute("EXISTS", name) == 0
    with pytest.raises(NotSupported):
        list(old.all())
