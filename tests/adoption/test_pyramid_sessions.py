"""Visitors of sites with Pyramid's session libraries of today find themselves as they were."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any
from urllib.parse import quote

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.session import SignedCookieSessionFactory

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.adoption.pyramid_sessions import (
    authtkt_sessions,
    beaker_sessions,
    redis_sessions,
    session_user,
    signed_cookie_sessions,
)
from pyramid_sessionkit.adoption.pyramid_sessions.signed_cookie import Pickles
from pyramid_sessionkit.exceptions import NotSupported
from tests.adoption.migration import migrate
from tests.adoption.old_pyramid import KEY, BeakerFile, BeakerUnsigned, Beside, InRedis, PickledCookie, needs, old_app
from tests.adoption.old_site import Browser

pytestmark = [
    # pyramid_session_redis calls what redis-py calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
    # python-memcached leaves the sockets of threads to the collector.
    pytest.mark.filterwarnings("ignore:Exception ignored.*socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


def live_sessions(site: Any) -> list[str]:
    return [key for key, _ in site.new.store.live_sessions(999) if not key.startswith("adopted-")]


def test_contents_and_login_go_on(library: Any) -> None:
    site = library.site()
    browser = site.browser("put?what=pears", "flash", "login?name=ada")
    assert browser.get("/put").json == {
        "contents": {"cart": ["pears"], "_f_": ["hello"], "n": 1},
        "userid": "ada",
    }
    assert browser.get("/show").json["contents"]["n"] == 1


def test_its_visitor_has_one_cookie_and_it_is_ours(library: Any) -> None:
    site = library.site()
    browser = site.browser("put?what=pears", "login?name=ada")
    before = dict(browser.cookies)
    assert list(before) == [library.cookie]
    browser.get("/show")
    assert list(browser.cookies) == ["session"]
    assert browser.cookies != before
    assert browser.get("/show").json["userid"] == "ada"


def test_a_visitor_who_was_not_logged_in_stays_so(library: Any) -> None:
    browser = library.site().browser("put?what=pears")
    assert browser.get("/show").json == {"contents": {"cart": ["pears"]}, "userid": None}


def test_the_time_of_the_login_is_not_made_up(library: Any) -> None:
    browser = library.site().browser("login?name=ada")
    assert browser.get("/members").status_int == 200
    assert browser.get("/fresh").status_int == 404


def test_six_requests_at_once_make_one_session(library: Any) -> None:
    site = library.site()
    first = site.browser("put?what=pears", "login?name=ada")
    browsers = [site.copy(first) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda browser: browser.get("/put"), browsers))
    assert {answer.json["userid"] for answer in answers} == {"ada"}
    assert len(live_sessions(site)) == 1
    assert browsers[0].get("/show").json["contents"]["n"] == 6


def test_fifty_visitors_move_in(library: Any, settings: dict[str, Any]) -> None:
    old = library.site()

    def visit(name: str | None, fruit: str) -> dict[str, str]:
        logged_in = [] if name is None else [f"login?name={name}"]
        return old.browser(f"put?what={quote(fruit)}", *logged_in).cookies

    migrate(visit, old.old, settings)


@pytest.mark.parametrize("keep", [False, True])
def test_a_logout_is_not_undone_by_old_cookies(library: Any, keep: bool) -> None:
    site = library.site(keep=keep)
    browser = site.browser("login?name=ada", "put?what=pears")
    earlier = site.copy(browser)
    browser.get("/old/put?what=plums")
    last = site.copy(browser)
    assert browser.get("/show").json["userid"] == "ada"
    browser.get("/logout")
    for copy in (earlier, last):
        assert copy.get("/show").json == {"contents": {}, "userid": None}
    assert live_sessions(site) == []


def test_a_cookie_from_before_the_login_opens_no_login(library: Any) -> None:
    if not library.in_cookie:
        pytest.skip("there it is the cookie of the login too, unless the site changed its ID")
    site = library.site()
    browser = site.browser("put?what=pears")
    before = site.copy(browser)
    browser.get("/old/login?name=ada")
    assert browser.get("/show").json["userid"] == "ada"
    assert before.get("/show").json["userid"] is None


def test_a_cookie_of_one_user_does_not_open_the_next(library: Any) -> None:
    """Two people at one computer."""
    if not library.in_cookie:
        pytest.skip("there it is the cookie of the next too, unless the site changed its ID")
    site = library.site()
    browser = site.browser("login?name=ada")
    ada = site.copy(browser)
    browser.get("/old/login?name=eve")
    assert browser.get("/show").json["userid"] == "eve"
    assert ada.get("/show").json["userid"] == "ada"


def test_two_visitors_stay_two(library: Any) -> None:
    site = library.site()
    ada, eve = site.browser("login?name=ada", "put?what=pears"), site.browser("login?name=eve")
    assert ada.get("/show").json == {"contents": {"cart": ["pears"]}, "userid": "ada"}
    assert eve.get("/show").json == {"contents": {}, "userid": "eve"}


@pytest.mark.parametrize(
    "change", [str.swapcase, lambda value: value[:-1], lambda value: value + "x", lambda _: "\xff"]
)
def test_a_changed_cookie_opens_nothing(library: Any, change: Any) -> None:
    site = library.site()
    browser = site.browser("login?name=ada", "put?what=pears")
    browser.cookies = {name: change(value) for name, value in browser.cookies.items()}
    answer = browser.get("/show")
    assert answer.status_int == 200
    assert answer.json == {"contents": {}, "userid": None}
    assert live_sessions(site) == []


def test_other_cookies_do_no_harm(library: Any) -> None:
    browser = library.site().browser("login?name=ada")
    browser.cookies = {"odd": "\xff\xfe", **browser.cookies, "a b": '"'}
    assert browser.get("/show").json["userid"] == "ada"


def test_an_old_session_that_timed_out_is_not_adopted(library: Any) -> None:
    site = library.site(timeout=1)
    browser = site.browser("login?name=ada", "put?what=pears")
    sleep(2.1)  # some of them count whole seconds
    assert browser.get("/show").json == {"contents": {}, "userid": None}
    assert live_sessions(site) == []


def test_the_old_record_goes(library: Any) -> None:
    if library.in_cookie:
        pytest.skip("there is none")
    site = library.site()
    browser = site.browser("login?name=ada", "put?what=pears")
    old, other = site.copy(browser), site.browser("put?what=plums")
    browser.get("/show")
    assert old.get("/old/show").json["contents"].get("cart") is None
    assert other.get("/old/show").json["contents"]["cart"] == ["plums"]


def test_with_keep_the_way_back_is_open(library: Any) -> None:
    site = library.site(keep=True, settings={"cookie_name": "ours"})
    browser = site.browser("login?name=ada", "put?what=pears")
    browser.get("/put")
    assert sorted(browser.cookies) == sorted([library.cookie, "ours"])
    assert browser.get("/old/show").json["contents"]["cart"] == ["pears"]
    assert browser.get("/show").json["contents"]["n"] == 1
    browser.get("/logout")
    assert browser.cookies == {}


def test_reading_changes_nothing_in_the_old_library(library: Any) -> None:
    site = library.site(keep=True)
    browser = site.browser("login?name=ada", "put?what=pears")
    request = request_of(browser)
    before = {name: value for name, value in request.environ.items() if not name.startswith("webob.")}
    token = site.old.token(request)
    adopted = Adopted({"cart": ["pears"]}, "ada")
    assert [site.old.read(request, token) for _ in range(2)] == [adopted, adopted]
    assert site.old.token(request_of(browser)) == token
    assert not request.response_callbacks
    assert not request.finished_callbacks
    assert {name: value for name, value in request.environ.items() if not name.startswith("webob.")} == before
    assert browser.get("/old/show").json["contents"]["cart"] == ["pears"]


def test_those_that_can_be_listed_have_their_tokens(library: Any) -> None:
    site = library.site()
    browsers = [site.browser("login?name=ada", "put?what=pears"), site.browser("put?what=plums")]
    if not library.listed:
        with pytest.raises(NotSupported):
            list(site.old.all())
        return
    tokens = [site.old.token(request_of(browser)) for browser in browsers]
    found = dict(site.old.all())
    assert [found[token] for token in tokens] == [
        Adopted({"cart": ["pears"]}, "ada"),
        Adopted({"cart": ["plums"]}),
    ]


def test_nobody_without_an_old_cookie_is_asked_about(library: Any) -> None:
    site = library.site()
    assert site.old.token(request_of(Browser(site, {}))) is None
    assert site.old.deletions(request_of(Browser(site, {}))) == []


@pytest.mark.servers
def test_an_outage_of_redis_logs_nobody_out(server: Any, tmp_path: Any) -> None:
    library = InRedis(tmp_path, server)
    site = library.site()
    browser = site.browser("login?name=ada")
    library.server.stop()
    try:
        assert browser.get("/show").status_int == 503
        assert list(browser.cookies) == ["session"]
    finally:
        library.server.start()
    browser = site.browser("login?name=ada")
    assert browser.get("/show").json["userid"] == "ada"


@pytest.mark.servers
def test_what_cannot_be_read_is_no_outage(server: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    library = InRedis(tmp_path, server)
    site = library.site()
    browser = site.browser("login?name=ada")
    token = site.old.token(request_of(browser))
    library.server.execute("SET", token, "junk")
    assert browser.get("/show").json["userid"] is None
    assert "An old session in Redis cannot be read" in caplog.text
    library.server.execute("RPUSH", "a-list", "1")
    assert token not in dict(site.old.all())


def test_contents_beaker_cannot_read_are_no_outage(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Fails:
        @staticmethod
        def loads(data: bytes) -> Any:
            raise ImportError("no module named shop.old")

    library = BeakerFile(tmp_path, None)
    site = library.site()
    browser = site.browser("login?name=ada")
    site.old._options["data_serializer"]._old = Fails
    assert browser.get("/show").json["userid"] is None
    assert "An old session of Beaker cannot be read: ImportError: no module named shop.old" in caplog.text


@pytest.mark.parametrize("written", ["x/{}", ".{}", "{}."])
def test_beakers_other_names_of_a_file_undo_no_logout(tmp_path: Any, written: str) -> None:
    site = BeakerUnsigned(tmp_path, None).site(keep=True)
    browser = site.browser("login?name=ada")
    cookie = browser.cookies[BeakerFile.cookie]
    assert browser.get("/show").json["userid"] == "ada"
    browser.get("/logout")
    assert Browser(site, {BeakerFile.cookie: written.format(cookie)}).get("/show").json["userid"] is None


def test_pickles_are_asked_for_by_name(caplog: pytest.LogCaptureFixture, tmp_path: Any) -> None:
    needs("pyramid_session_redis", "pyramid_beaker")
    with pytest.raises(ConfigurationError, match="pickle=True"):
        redis_sessions(KEY, userid=None)
    with pytest.raises(ConfigurationError, match="pickle=True"):
        beaker_sessions(userid=None, type="cookie", validate_key=KEY)
    with pytest.raises(ConfigurationError, match="pickle=True"):
        beaker_sessions(userid=None, type="file", data_dir=str(tmp_path), data_serializer="json")
    with pytest.raises(ConfigurationError, match="pickle=True"):
        beaker_sessions(userid=None, data_dir=str(tmp_path), data_serializer="json")
    assert caplog.messages == []
    redis_sessions(KEY, userid=None, pickle=True)
    beaker_sessions(userid=None, type="cookie", validate_key=KEY, pickle=True)
    signed_cookie_sessions(KEY, userid=None, pickle=True)
    assert [message.partition(".")[0] for message in caplog.messages] == [
        "Old sessions are unpickled until sessionkit"
    ] * 3


def test_without_being_asked_nothing_is_unpickled() -> None:
    browser = Beside(old_app(PickledCookie(None, None).factory()), signed_cookie_sessions(KEY, userid=None)).browser(
        "put?what=pears"
    )
    assert browser.get("/show").json["contents"] == {}


def test_a_pickle_that_cannot_be_read_is_no_outage() -> None:
    class Unreadable(Pickles):
        def dumps(self, value: Any) -> bytes:
            return b"no pickle"

    factory = SignedCookieSessionFactory(KEY, serializer=Unreadable())
    site = Beside(old_app(factory), signed_cookie_sessions(KEY, userid=None, pickle=True))
    assert site.browser("put?what=pears").get("/show").json["contents"] == {}


@pytest.mark.parametrize(("make", "package"), [(redis_sessions, "pyramid_session_redis"), (beaker_sessions, "beaker")])
def test_a_missing_library_is_told_at_start_up(make: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyramid_session_redis", "pyramid_beaker"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=f"pip install {package}"):
        make(userid=None, pickle=True)


def test_a_wrong_argument_is_told_at_start_up() -> None:
    needs("pyramid_beaker")
    with pytest.raises(ConfigurationError, match=r"SignedCookieSessionFactory .* 'cookie_nam'"):
        signed_cookie_sessions(KEY, userid=None, cookie_nam="x")
    with pytest.raises(Exception, match="validate_key"):
        beaker_sessions(userid=None, type="cookie", data_serializer="json")


def test_who_is_logged_in_must_be_said() -> None:
    with pytest.raises(TypeError, match="userid"):
        signed_cookie_sessions(KEY)  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", ["user_id", session_user, lambda contents: None])
def test_a_userid_that_cannot_be_called_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="userid"):
        signed_cookie_sessions(KEY, userid=wrong)


@pytest.mark.parametrize("secret", ["", None])
def test_an_empty_old_secret_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret of the old library"):
        signed_cookie_sessions(secret, userid=None)
    with pytest.raises(ConfigurationError, match="secret of the old library"):
        authtkt_sessions(secret)


def test_a_secret_of_redis_is_needed_too() -> None:
    needs("pyramid_session_redis")
    with pytest.raises(ConfigurationError, match="secret of the old library"):
        redis_sessions(userid=None, pickle=True)


def test_beaker_has_nothing_from_the_memory_of_others() -> None:
    needs("pyramid_beaker")
    with pytest.raises(ConfigurationError, match=r"session\.type"):
        beaker_sessions({"sessions.type": "file"}, userid=None, pickle=True)


def test_settings_of_beaker_can_be_given(tmp_path: Any) -> None:
    needs("pyramid_beaker")
    settings = {"session.type": "file", "session.data_dir": str(tmp_path), "session.key": "sid", "session.secret": KEY}
    factory = BeakerFile(tmp_path, None).factory(key="sid")
    site = Beside(old_app(factory), beaker_sessions(settings, userid=None, pickle=True))
    browser = site.browser("put?what=pears")
    assert list(browser.cookies) == ["sid"]
    assert browser.get("/show").json["contents"] == {"cart": ["pears"]}
    assert list(browser.cookies) == ["session"]


def request_of(browser: Browser) -> Any:
    header = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Request.blank("/", headers={"Cookie": header})
