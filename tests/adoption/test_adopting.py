"""An old session goes on in ours, once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import time
from typing import Any
from uuid import uuid4

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISessionFactory
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from pyramid_retry import RetryableException

from pyramid_sessionkit import get_sessions
from pyramid_sessionkit.adoption import Adopted, OldSessions
from pyramid_sessionkit.events import LoggedIn, SessionCreated
from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.session_id.tokens import KEY_LENGTH
from pyramid_sessionkit.state import Presented
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.adoption.migration import migrate
from tests.adoption.old_site import DictSessions, NewSite
from tests.conftest import SECRET

ADA = Adopted({"cart": ["apples"]}, userid=7)


@pytest.fixture
def old() -> DictSessions:
    return DictSessions({"token-of-ada": ADA})


@pytest.fixture
def site(old: DictSessions, settings: dict[str, Any]) -> NewSite:
    return NewSite(old, settings)


def live_sessions(site: NewSite) -> list[str]:
    """The keys of what is stored, without marks."""
    return [key for key, _ in site.store.live_sessions(99) if not key.startswith("adopted-")]


def test_the_contents_and_the_user_stay(site: NewSite) -> None:
    assert site.browser(old="token-of-ada").get("/show").json == {"contents": {"cart": ["apples"]}, "userid": "7"}


def test_its_visitor_gets_our_cookie_and_loses_the_old_one(site: NewSite, old: DictSessions) -> None:
    browser = site.browser(old="token-of-ada")
    browser.get("/show")
    assert list(browser.cookies) == ["session"]
    assert old.forgotten == ["token-of-ada"]
    assert browser.get("/show").json["userid"] == "7"


def test_it_is_created_and_nobody_logs_in(site: NewSite) -> None:
    site.browser(old="token-of-ada").get("/show")
    assert [type(event) for event in site.events] == [SessionCreated]
    assert not any(isinstance(event, LoggedIn) for event in site.events)


def test_a_visitor_without_an_old_session_is_new(site: NewSite) -> None:
    browser = site.browser(old="made-up")
    assert browser.get("/show").json == {"contents": {}, "userid": None}
    assert list(browser.cookies) == ["old"]
    assert live_sessions(site) == []


def test_requests_at_once_make_one_session(site: NewSite, old: DictSessions) -> None:
    barrier = Barrier(6)
    old.while_reading = barrier.wait
    browsers = [site.browser(old="token-of-ada") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda browser: browser.get("/put").json, browsers))
    assert {answer["userid"] for answer in answers} == {"7"}
    assert len({browser.cookies["session"] for browser in browsers}) == 1
    assert len(live_sessions(site)) == 1
    assert browsers[0].get("/show").json["contents"] == {"cart": ["apples"], "n": 6}
    assert len([event for event in site.events if isinstance(event, SessionCreated)]) == 1


def test_a_request_that_comes_later_with_the_old_cookie_finds_it(site: NewSite) -> None:
    site.browser(old="token-of-ada").get("/put")
    late = site.browser(old="token-of-ada")
    assert late.get("/show").json["contents"]["n"] == 1
    assert list(late.cookies) == ["session"]


def test_the_old_cookie_opens_nothing_after_a_logout(site: NewSite, old: DictSessions) -> None:
    browser = site.browser(old="token-of-ada")
    browser.get("/show")
    browser.get("/logout")
    old.records["token-of-ada"] = ADA
    replayed = site.browser(old="token-of-ada")
    assert replayed.get("/show").json == {"contents": {}, "userid": None}
    assert list(replayed.cookies) == []
    assert live_sessions(site) == []


def test_a_logout_that_overtakes_an_adoption_wins(site: NewSite, old: DictSessions) -> None:
    """One request has read the old session; before it stores anything another adopts it, and logs out."""

    def log_out() -> None:
        old.while_reading = lambda: None
        browser = site.browser(old="token-of-ada")
        browser.get("/show")
        browser.get("/logout")

    old.while_reading = log_out
    assert site.browser(old="token-of-ada").get("/show").json["userid"] is None
    assert live_sessions(site) == []


def test_an_old_record_that_goes_while_it_is_looked_for_is_found(site: NewSite, old: DictSessions) -> None:
    """A request has seen no mark; before it reads the old session another adopts it, and deletes the record."""
    read = old.read

    def late(request: Any, token: str) -> Adopted | None:
        old.read = read
        site.browser(old="token-of-ada").get("/put")
        return read(request, token)

    old.read = late
    shown = site.browser(old="token-of-ada").get("/show").json
    assert shown == {"contents": {"cart": ["apples"], "n": 1}, "userid": "7"}
    assert len(live_sessions(site)) == 1


@pytest.mark.parametrize("end", ["revoke", "clear it out", "expire"])
def test_however_it_ended_the_old_cookie_opens_nothing(
    site: NewSite, old: DictSessions, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.browser(old="token-of-ada").get("/show")
    old.records["token-of-ada"] = ADA
    (key,) = live_sessions(site)
    if end == "revoke":
        assert get_sessions(site.app.registry).revoke(key)
    elif end == "clear it out":
        site.store.delete(key)
    else:
        record = site.store.load(key)
        site.store.update(key, record._replace(renewed=record.renewed - 9999))
        site.store.purge()
    assert site.browser(old="token-of-ada").get("/show").json["userid"] is None


def test_a_login_before_the_adoption_is_no_fresh_login(site: NewSite, old: DictSessions) -> None:
    old.records["long-ago"] = Adopted({}, userid="eve", authenticated=time() - 601)
    old.records["just-now"] = Adopted({}, userid="eve", authenticated=time() - 5)
    old.records["in-future"] = Adopted({}, userid="eve", authenticated=time() + 9999)
    assert site.browser(old="token-of-ada").get("/fresh").status_int == 404
    assert site.browser(old="long-ago").get("/fresh").status_int == 404
    assert site.browser(old="just-now").get("/fresh").status_int == 200
    assert site.store.load(site.browser(old="in-future").key("/show")).authenticated <= time() * 1_000_000


def test_the_lifetime_counts_from_the_adoption(site: NewSite) -> None:
    record = site.store.load(site.browser(old="token-of-ada").key("/show"))
    assert record.deadline - time() == pytest.approx(43200, abs=5)
    assert record.timeout == 1200


def test_an_old_session_ends_when_it_would_have_ended(site: NewSite, old: DictSessions) -> None:
    old.records["token-of-ada"] = Adopted({}, userid=7, expires=time() + 99999)
    record = site.store.load(site.browser(old="token-of-ada").key("/show"))
    assert record.deadline - time() == pytest.approx(99999, abs=5)


def test_one_that_has_ended_by_our_clock_is_not_adopted(site: NewSite, old: DictSessions) -> None:
    old.records["token-of-ada"] = ADA._replace(expires=time() - 0.01)
    assert site.browser(old="token-of-ada").get("/show").json["userid"] is None
    assert live_sessions(site) == []


def test_a_logout_holds_if_the_old_clock_is_slow(
    site: NewSite, old: DictSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old server says that the session ends a minute from now, and still knows it ten minutes later."""
    old.records["token-of-ada"] = ADA._replace(expires=time() + 60)
    browser = site.browser(old="token-of-ada")
    browser.get("/show")
    browser.get("/logout")
    later = time() + 600
    for module in ("adoption.adopting", "stores.memory", "stores.sql"):
        monkeypatch.setattr(f"pyramid_sessionkit.{module}.time", lambda: later)
    site.store.purge()
    old.records["token-of-ada"] = ADA._replace(expires=later + 60)
    assert site.browser(old="token-of-ada").get("/show").json["userid"] is None


class LosesAnswers(MemoryStore):
    """The connection breaks after something was created: the store sends it once more, and finds it taken."""

    def create(self, key: str, record: Record) -> Record | None:
        super().create(key, record)
        return super().create(key, record)


def test_a_lost_answer_loses_no_session(old: DictSessions) -> None:
    site = NewSite(old, {"store": lambda settings: LosesAnswers()})
    browser = site.browser(old="token-of-ada")
    assert browser.get("/put").json["userid"] == "7"
    assert browser.get("/show").json["contents"] == {"cart": ["apples"], "n": 1}
    assert len(live_sessions(site)) == 1


@pytest.mark.parametrize("failing", range(1, 5))
def test_an_outage_between_any_two_steps_loses_no_session(old: DictSessions, failing: int) -> None:
    store, calls = MemoryStore(), []

    def failing_after(name: str) -> Any:
        call = getattr(store, name)

        def run(*args: Any) -> Any:
            answer = call(*args)
            calls.append(name)
            if len(calls) == failing:
                raise StoreUnavailable("gone")
            return answer

        return run

    site = NewSite(old, {"store": lambda settings: store})
    browser = site.browser(old="token-of-ada")
    for name in ("load", "create", "update"):
        setattr(store, name, failing_after(name))
    assert browser.get("/put").status_int == 503
    assert browser.get("/put").json["userid"] == "7"
    assert browser.get("/show").json["contents"]["cart"] == ["apples"]


def test_what_cannot_be_kept_is_left_out_and_logged(
    site: NewSite, old: DictSessions, caplog: pytest.LogCaptureFixture
) -> None:
    old.records["t"] = Adopted({"good": 1, "bad": object(), "_csrft_": "theirs", "deep": [{"x": object()}]})
    assert site.browser(old="t").get("/show").json["contents"] == {"good": 1}
    assert "'bad' of an old session was left out" in caplog.text
    assert "'deep' of an old session was left out" in caplog.text


def test_what_is_too_large_is_left_out(old: DictSessions, settings: dict[str, Any]) -> None:
    old.records["t"] = Adopted({"small": 1, "large": "x" * 2000, "middle": "y" * 600})
    site = NewSite(old, {**settings, "max_size": 1000})
    assert site.browser(old="t").get("/show").json["contents"] == {"small": 1, "middle": "y" * 600}


def test_an_outage_of_the_old_library_logs_nobody_out(site: NewSite, old: DictSessions) -> None:
    def fail() -> None:
        raise ConnectionError("no answer")

    browser = site.browser(old="token-of-ada")
    old.while_reading = fail
    assert browser.get("/show").status_int == 503
    assert list(browser.cookies) == ["old"]
    old.while_reading = lambda: None
    assert browser.get("/show").json["userid"] == "7"


def test_old_cookies_and_records_are_kept_if_wanted(settings: dict[str, Any]) -> None:
    old = DictSessions({"token-of-ada": ADA}, keep=True)
    site = NewSite(old, settings)
    browser = site.browser(old="token-of-ada")
    assert browser.get("/show").json["userid"] == "7"
    assert sorted(browser.cookies) == ["old", "session"]
    assert old.forgotten == []
    browser.get("/logout")
    assert browser.cookies == {}


def flash_bye(request: Any) -> dict[str, Any]:
    request.session.invalidate()
    request.session.flash("bye")
    return {}


def ask_again(request: Any) -> dict[str, Any]:
    request.session.invalidate()
    return {"token": request.session.get_csrf_token()}


@pytest.mark.parametrize("page", [flash_bye, ask_again])
@pytest.mark.parametrize("before", [[], ["/show"]])
def test_a_logout_deletes_it_also_where_a_session_begins(old: DictSessions, page: Any, before: list[str]) -> None:
    def setup(config: Configurator) -> None:
        config.add_route("page", "/page")
        config.add_view(page, route_name="page", renderer="json")

    old.keep = True
    browser = NewSite(old, setup=setup).browser(old="token-of-ada")
    for path in [*before, "/page"]:
        browser.get(path)
    assert list(browser.cookies) == ["session"]


def test_a_record_that_cannot_be_deleted_stops_nobody(
    site: NewSite, old: DictSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old, "forget", lambda token: 1 / 0)
    assert site.browser(old="token-of-ada").get("/show").json["userid"] == "7"


def test_no_browser_loses_its_old_cookie_before_it_gets_ours(old: DictSessions, settings: dict[str, Any]) -> None:
    site = NewSite(old, {**settings, "cookie_secure": "true"})
    browser = site.browser(old="token-of-ada")
    browser.get("/show")
    assert list(browser.cookies) == ["old"]
    browser.get("/show", **{"wsgi.url_scheme": "https"})
    assert "old" not in browser.cookies
    assert len(browser.cookies) == 1


def test_an_error_page_sends_the_cookie_too(site: NewSite) -> None:
    browser = site.browser(old="token-of-ada")
    assert browser.get("/fail").status_int == 500
    assert browser.get("/show").json["userid"] == "7"


def test_a_login_in_the_first_request_replaces_the_secret(site: NewSite) -> None:
    browser, parallel = site.browser(old="token-of-ada"), site.browser(old="token-of-ada")
    browser.get("/login?name=eve")
    assert browser.get("/show").json["userid"] == "eve"
    assert parallel.get("/show").json["userid"] is None


def test_our_own_session_goes_first(site: NewSite) -> None:
    browser = site.browser()
    browser.get("/login?name=eve")
    browser.cookies["old"] = "token-of-ada"
    assert browser.get("/show").json["userid"] == "eve"


def test_a_session_of_ours_that_has_ended_does_not_hide_the_old_one(site: NewSite) -> None:
    browser = site.browser()
    browser.get("/put")
    site.store.clear()
    browser.cookies["old"] = "token-of-ada"
    assert browser.get("/show").json["userid"] == "7"


def test_a_replaced_secret_of_the_application_finds_it_too(settings: dict[str, Any], old: DictSessions) -> None:
    site = NewSite(old, {**settings, "store": lambda _: STORES.setdefault(id(old), MemoryStore())})
    site.browser(old="token-of-ada").get("/put")
    rotated = NewSite(old, {"secret": f"{'n' * 40} {SECRET}", "store": lambda _: STORES[id(old)]})
    assert rotated.browser(old="token-of-ada").get("/show").json["contents"]["n"] == 1


def test_credentials_are_known_from_the_first_request_on(old: DictSessions, settings: dict[str, Any]) -> None:
    hashes = {"7": "first"}

    def setup(config: Any) -> None:
        config.set_session_credentials_hash(lambda request, identity: hashes[identity])

    site = NewSite(old, settings, setup)
    browser, other = site.browser(old="token-of-ada"), site.browser(old="token-of-ada")
    assert browser.get("/show").json["userid"] == "7"
    assert other.get("/members").json["userid"] == "7"
    hashes["7"] = "second"
    assert browser.get("/show").json["userid"] is None


def test_they_are_known_also_from_a_page_that_asks_for_nobody(old: DictSessions, settings: dict[str, Any]) -> None:
    hashes = {"7": "first"}
    setup = lambda config: config.set_session_credentials_hash(lambda request, identity: hashes[identity])  # noqa: E731
    site = NewSite(old, settings, setup)
    thief = site.browser(old="token-of-ada")
    assert thief.get("/look").status_int == 200
    hashes["7"] = "second"
    assert thief.get("/show").json["userid"] is None


def test_a_mark_is_no_session(site: NewSite) -> None:
    site.browser(old="token-of-ada").get("/show")
    (mark,) = [key for key, _ in site.store.live_sessions(99) if key.startswith("adopted-")]
    signer = site.factory._cookies.signer
    browser = site.browser(session=signer.sign(Presented(mark, "s" * 43)))
    assert browser.get("/show").json == {"contents": {}, "userid": None}
    assert len(mark) == KEY_LENGTH


def shared(everybodys: Response) -> Callable[[Any], None]:
    """Adds a page whose view returns this one object to everybody."""

    def view(request: Any) -> Response:
        dict(request.session)
        return everybodys

    def setup(config: Any) -> None:
        config.add_route("shared", "/shared")
        config.add_view(view, route_name="shared")

    return setup


def test_a_response_that_everybody_gets_deletes_nobodys_cookie(old: DictSessions, settings: dict[str, Any]) -> None:
    everybodys = Response("the same object")
    site = NewSite(old, settings, shared(everybodys))
    first = site.browser(old="token-of-ada")
    first.get("/show")
    first.get("/logout")
    replayed, other = site.browser(old="token-of-ada"), site.browser(old="not-adopted")
    replayed.get("/shared")
    assert replayed.cookies == {}
    other.get("/shared")
    assert list(other.cookies) == ["old"]


def test_a_retry_goes_on_with_what_was_adopted(old: DictSessions, settings: dict[str, Any]) -> None:
    attempts: list[int] = []

    def view(request: Any) -> dict[str, Any]:
        attempts.append(1)
        request.session["attempt"] = len(attempts)
        if len(attempts) == 1:
            raise RetryableException
        return dict(request.session)

    def setup(config: Any) -> None:
        config.include("pyramid_retry")
        config.add_route("again", "/again")
        config.add_view(view, route_name="again", renderer="json")

    site = NewSite(old, {**settings}, setup)
    browser = site.browser(old="token-of-ada")
    assert browser.get("/again").json == {"cart": ["apples"], "attempt": 2}
    assert browser.get("/show").json["userid"] == "7"
    assert len(live_sessions(site)) == 1


def test_a_userid_that_is_none_is_refused(site: NewSite, old: DictSessions) -> None:
    old.records["t"] = Adopted({}, userid=object())
    with pytest.raises(ValueError, match="The old session has object where the id of a user belongs"):
        site.browser(old="t").get("/show")


@pytest.mark.parametrize("domain", [None, "localhost"])
def test_the_old_cookie_may_have_our_name(site: NewSite, old: DictSessions, domain: str | None) -> None:
    old.cookie, old.cookie_domain = "session", domain
    browser = site.browser(session="token-of-ada")
    response = browser.get("/show")
    sent = response.headers.getall("Set-Cookie")
    assert [value.startswith("session=;") for value in sent] == [False, *([True] if domain else [])]
    assert [type(event) for event in site.events] == [SessionCreated]
    cookie = sent[0].partition(";")[0].partition("=")[2]
    browser = site.browser(session=cookie)
    assert browser.get("/show").json["userid"] == "7"
    browser.get("/logout")
    assert site.browser(session="token-of-ada").get("/show").json["userid"] is None


class Unread(OldSessions):
    cookie = "old"


WRONG: list[Any] = [OldSessions, SignedCookieSessionFactory("secret"), lambda: ADA, Unread()]


class TestDirective:
    def test_a_function_of_the_settings_will_do(self, old: DictSessions) -> None:
        site = NewSite(lambda settings: old)  # type: ignore[arg-type]
        assert site.browser(old="token-of-ada").get("/show").json["userid"] == "7"

    def test_the_setting_names_it(self) -> None:
        config = Configurator(settings={"sessionkit.secret": SECRET, "sessionkit.adopt": f"{__name__}.NAMED"})
        config.include("pyramid_sessionkit")
        config.commit()
        assert config.registry.getUtility(ISessionFactory).adoption.old is NAMED

    @pytest.mark.parametrize("wrong", ["no.such.module", f"{__name__}.NOTHING", f"{__name__}.ADA", object(), *WRONG])
    def test_anything_else_is_refused(self, wrong: Any) -> None:
        config = Configurator(settings={"sessionkit.secret": SECRET, "sessionkit.adopt": wrong})
        with pytest.raises(ConfigurationError, match=r"sessionkit\.adopt"):
            config.include("pyramid_sessionkit")

    @pytest.mark.parametrize(
        ("keep", "name", "warned"), [(True, "old", True), (True, "sid", False), (False, "old", False)]
    )
    def test_a_cookie_that_ours_overwrites_is_warned_of(
        self, old: DictSessions, keep: bool, name: str, warned: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        old.keep = keep
        NewSite(old, {"cookie_name": name})
        assert ("Set sessionkit.cookie_name" in caplog.text) is warned

    def test_an_old_cookie_that_opens_nothing_can_be_seen(
        self, site: NewSite, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", "pyramid_sessionkit")
        site.browser(other="token-of-nobody").get("/show")
        assert "opens no old session" not in caplog.text
        site.browser(old="token-of-nobody").get("/show")
        assert "The cookie old opens no old session" in caplog.text


NAMED = DictSessions()
STORES: dict[int, MemoryStore] = {}


def test_fifty_visitors_move_in(settings: dict[str, Any]) -> None:
    old = DictSessions()

    def visit(name: str | None, fruit: str) -> dict[str, str]:
        token = uuid4().hex
        old.records[token] = Adopted({"cart": [fruit]}, userid=name)
        return {"old": token}

    migrate(visit, old, settings)


def test_a_request_beside_a_login_changes_nothing(site: NewSite) -> None:
    """It has the old cookie, and the session that this names has a secret of its own since the login."""
    site.browser(old="token-of-ada").get("/login?name=7")
    late = site.browser(old="token-of-ada")
    late.get("/put")
    assert list(late.cookies) == ["old"]
    assert len(live_sessions(site)) == 1


def test_a_cookie_of_ours_that_was_just_replaced_goes_first(site: NewSite) -> None:
    browser = site.browser()
    browser.get("/put")
    replaced = browser.cookies["session"]
    browser.get("/login?name=eve")
    assert site.browser(session=replaced, old="token-of-ada").get("/show").json["userid"] is None
    assert len(live_sessions(site)) == 1


def test_its_cookie_outlives_the_browser_if_the_old_one_did(site: NewSite, old: DictSessions) -> None:
    old.records["t"] = Adopted({}, persistent=True)
    assert "Max-Age" in site.browser(old="t").get("/show").headers.getall("Set-Cookie")[0]
    assert "Max-Age" not in site.browser(old="token-of-ada").get("/show").headers.getall("Set-Cookie")[0]


def test_a_visitor_without_an_old_cookie_is_sent_no_deletion(site: NewSite) -> None:
    browser = site.browser()
    browser.get("/login?name=eve")
    assert len(browser.get("/logout").headers.getall("Set-Cookie")) == 1


class Body(list[bytes]):
    """A body that cannot be copied, as far as we know."""


def test_no_cookie_stays_in_a_response_that_cannot_be_copied(old: DictSessions, settings: dict[str, Any]) -> None:
    everybodys = Response(app_iter=Body([b"the same object"]))
    site = NewSite(old, settings, shared(everybodys))
    assert len(site.browser(old="token-of-ada").get("/shared").headers.getall("Set-Cookie")) == 2
    assert site.browser(old="nobody").get("/shared").headers.getall("Set-Cookie") == []
