"""Any Pyramid session factory can be adopted."""

from __future__ import annotations

import gc
from time import time
from typing import Any
from weakref import ref

import pytest
from pyramid.request import Request
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.adoption.pyramid_sessions import FactorySessions, session_user, signed_cookie_sessions
from pyramid_sessionkit.adoption.pyramid_sessions.throw_away import throw_away
from tests.adoption.old_pyramid import KEY, Beside, login, old_app, put
from tests.adoption.old_site import Browser, NewSite


class RecordSessions(dict[str, Any]):
    """What somebody may have written: records in a dict, named by the cookie."""

    records: dict[str, dict[str, Any]] = {}
    seen: list[Any] = []

    def __init__(self, request: Any) -> None:
        name = request.cookies.get("sid")
        super().__init__(self.records.get(name, {}))
        self.new = name not in self.records
        self.seen.append(request)
        request.add_response_callback(lambda request, response: 1 / 0)
        request.add_finished_callback(lambda request: 1 / 0)


@pytest.fixture(autouse=True)
def _records() -> None:
    RecordSessions.records = {"of-ada": {"cart": [1], "user": 7, "since": 99}, "empty": {}}
    RecordSessions.seen = []


def find(request: Any, contents: Any) -> Any:
    return (contents.pop("user"), contents.pop("since")) if "user" in contents else None


def make(**arguments: Any) -> FactorySessions:
    return FactorySessions(RecordSessions, "sid", **arguments)


def test_a_function_says_who_is_logged_in() -> None:
    browser = Browser(Beside(None, make(userid=find)), {"sid": "of-ada", "other": "x"})
    assert browser.get("/show").json == {"contents": {"cart": [1]}, "userid": "7"}
    assert list(browser.cookies) == ["other", "session"]


@pytest.mark.parametrize("header", ["sid=x2; sid=of-ada", 'sid="of-ada"', r'sid="\157f-ada"', "sid=of-ada; sid=of-ada"])
def test_no_way_to_write_its_cookie_undoes_a_logout(header: str) -> None:
    site = NewSite(make(userid=find))
    browser = site.browser(sid="x1; sid=of-ada")
    assert browser.get("/show").json["userid"] == "7"
    browser.get("/logout")
    replayed = Request.blank("/show", headers={"Cookie": header}).get_response(site.app)
    assert replayed.json == {"contents": {}, "userid": None}


def test_without_one_nobody_is() -> None:
    request = Request.blank("/", headers={"Cookie": "sid=of-ada"})
    assert make().read(request, "of-ada") == Adopted({"cart": [1], "user": 7, "since": 99})


def test_no_name_is_nobody() -> None:
    RecordSessions.records["of-ada"]["user"] = ""
    browser = Browser(Beside(None, make(userid=find)), {"sid": "of-ada"})
    assert browser.get("/show").json == {"contents": {"cart": [1]}, "userid": None}


def test_a_user_in_another_place_of_the_session_is_found() -> None:
    browser = Browser(Beside(None, make(userid=session_user("user"))), {"sid": "of-ada"})
    assert browser.get("/show").json == {"contents": {"cart": [1], "since": 99}, "userid": "7"}


def test_the_old_library_sees_its_cookies_and_nothing_else() -> None:
    request = Request.blank("/a?b=c", headers={"Cookie": "x=1; sid=of-ada; y=\xff", "Host": "shop.example"})
    make().read(request, "of-ada")
    (seen,) = RecordSessions.seen
    assert dict(seen.cookies) == {"sid": "of-ada"}
    assert (seen.host, seen.path_qs) == ("shop.example", "/a?b=c")


def test_an_empty_session_of_nobody_is_not_adopted() -> None:
    for name in ("empty", "made-up"):
        assert make().read(Request.blank("/", headers={"Cookie": f"sid={name}"}), name) is None


def test_what_deletes_a_record_can_be_given() -> None:
    browser = Browser(Beside(None, make(forget=RecordSessions.records.pop)), {"sid": "of-ada"})
    browser.get("/show")
    assert list(RecordSessions.records) == ["empty"]


def test_where_its_cookie_is_can_be_given() -> None:
    request = Request.blank("/", headers={"Cookie": "sid=of-ada"})
    (value,) = make(cookie_path="/shop", cookie_domain="example.com").deletions(request)
    assert value.startswith("sid=; Max-Age=0;")
    assert value.endswith("Path=/shop; Domain=example.com")


def test_no_request_is_left_to_the_collector() -> None:
    """A session of an old library has its request, and would be in a callback of it."""
    requests = []

    class Keeps(dict[str, Any]):
        new = False

        def __init__(self, request: Any) -> None:
            super().__init__(n=1)
            self.request = request
            requests.append(ref(request))

        def keys(self) -> Any:
            self.request.add_response_callback(lambda request, response: self)
            self.request.add_finished_callback(lambda request: self)
            return super().keys()

        def __iter__(self) -> Any:
            return super().__iter__()

    gc.disable()
    try:
        assert FactorySessions(Keeps, "sid").read(Request.blank("/"), "x") == Adopted({"n": 1})
        assert [request() for request in requests] == [None]
    finally:
        gc.enable()


def test_a_session_that_the_old_library_has_just_made_is_none() -> None:
    class New(dict[str, Any]):
        new = True

    assert FactorySessions(lambda request: New(n=1), "sid").read(Request.blank("/"), "x") is None


def test_odd_cookies_do_not_reach_the_old_library() -> None:
    request = Request.blank("/", headers={"Cookie": "sid=\xff; sid=a\x01b; sid = good ; other=x"})
    assert throw_away(request, "sid").environ["HTTP_COOKIE"] == "sid = good"


@pytest.mark.parametrize("written", [r"\377", r"\000"])
def test_nor_do_characters_written_in_numbers(written: str) -> None:
    request = Request.blank("/", headers={"Cookie": f'sid="{written}"; sid="a\\054b"'})
    assert throw_away(request, "sid").cookies == {"sid": "a,b"}


def test_all_cookies_of_one_login_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    old = signed_cookie_sessions(KEY, userid=session_user())
    browser = Beside(old_app(SignedCookieSessionFactory(KEY)), old).browser("put?what=pears", "login?name=ada")
    tokens, now = [], time()
    for what in ("plums", "figs", "nuts"):
        tokens.append(old.token(Request.blank("/", headers={"Cookie": f"session={browser.cookies['session']}"})))
        now += 60
        monkeypatch.setattr("pyramid.session.time.time", lambda: now)  # noqa: B023
        browser.get(f"/old/put?what={what}")
    assert len(set(tokens)) == 1


def test_visitors_who_came_at_one_time_stay_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed cookie has no ID, and the clock has no more than a few million steps in a second."""
    monkeypatch.setattr("pyramid.session.time.time", lambda: 1_800_000_000.0)
    old = signed_cookie_sessions(KEY, userid=session_user(), timeout=None)
    site = Beside(old_app(SignedCookieSessionFactory(KEY, timeout=None), login=login, put=put), old)
    paths = ["put?what=pears", "put?what=plums", "login?name=ada", "login?name=eve"]
    shown = [site.browser(path).get("/show").json for path in paths]
    assert [(one["contents"].get("cart"), one["userid"]) for one in shown] == [
        (["pears"], None),
        (["plums"], None),
        (None, "ada"),
        (None, "eve"),
    ]
