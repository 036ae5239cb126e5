"""Any Pyramid session factory can be adopted."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from pyramid.request import Request
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.adoption.pyramid_sessions import FactorySessions, session_user, signed_cookie_sessions
from tests.adoption.old_pyramid import KEY, Beside, login, old_app, put
from tests.adoption.old_site import Browser


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
    request.marker = "kept"
    make().read(request, "of-ada")
    (seen,) = RecordSessions.seen
    assert dict(seen.cookies) == {"sid": "of-ada"}
    assert (seen.host, seen.path_qs) == ("shop.example", "/a?b=c")
    assert not hasattr(seen, "marker")


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
    """Each request with an old cookie makes a session of the old library, and that knows its request."""
    old = signed_cookie_sessions(KEY, userid=session_user())
    browser = Beside(old_app(SignedCookieSessionFactory(KEY)), old).browser("put?what=pears")
    request = Request.blank("/", headers={"Cookie": f"session={browser.cookies['session']}"})
    old.read(request, old.token(request))
    gc.collect()
    gc.disable()
    try:
        old.read(request, old.token(request))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_all_cookies_of_one_login_have_one_name() -> None:
    site = Beside(old_app(SignedCookieSessionFactory(KEY)), signed_cookie_sessions(KEY, userid=session_user()))
    browser = site.browser("put?what=pears", "login?name=ada")
    tokens = []
    for what in ("plums", "figs", "nuts"):
        tokens.append(site.old.token(Request.blank("/", headers={"Cookie": f"session={browser.cookies['session']}"})))
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
