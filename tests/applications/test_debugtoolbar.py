"""The panel, in the pyramid_debugtoolbar of today."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from webtest import TestApp

from pyramid_sessionkit import StoreUnavailable, get_sessions
from tests.conftest import SpyStore
from tests.test_docs import named_blocks
from tests.transactions.application import Site, sqlite_urls

DOCUMENTED = named_blocks("howto/debugtoolbar.rst")


def settings_of(block: str) -> dict[str, str]:
    parser = ConfigParser()
    parser.read_string(f"[app:main]\n{DOCUMENTED[block].text}")
    return dict(parser["app:main"])


TOOLBAR = settings_of("debugtoolbar-ini")
DEVELOPER = {"REMOTE_ADDR": "127.0.0.1"}

View = Callable[[Request], Any]


class Browser:
    """The browser of a developer, in which they look at one request after the other."""

    def __init__(self, app: TestApp, views: dict[str, View]) -> None:
        self.app, self._views = app, views
        app.extra_environ = DEVELOPER
        self.registry = app.app.registry

    def do(self, view: View, name: str = "now", **options: Any) -> str:
        """What the panel says about a request for this view."""
        self._views[name] = view
        self.app.get(f"/act?view={name}", expect_errors=True, **options)
        return words(self.shown())

    def shown(self, number: int = 0) -> str:
        """The HTML of the panel of the last request, or of the one so many before it."""
        request_id = self.registry.pdtb_history.last(number + 1)[number][0]
        page = self.app.get(f"/_debug_toolbar/{request_id}").text
        return page.partition('id="pDebugPanel-session-content"')[2].partition('<div id="pDebugPanel-')[0]

    @property
    def kept(self) -> bytes:
        """All that the toolbar keeps of the panel."""
        panels = self.registry.pdtb_history.last(1)[0][1].panels
        return pickle.dumps([vars(panel) for panel in panels if panel.name == "session"])


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture(params=["independent", "joined"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """In both modes, with pyramid_tm and pyramid_retry."""
    site = Site(*sqlite_urls(tmp_path, request.param), request.param, **TOOLBAR, **{"retry.attempts": "2"})
    yield site
    site.close()


@pytest.fixture
def site_browser(site: Site) -> Browser:
    return Browser(TestApp(site.wsgi), site.views)


@pytest.fixture
def start(make_app: Callable[..., TestApp]) -> Callable[..., Browser]:
    def start_(**settings: Any) -> Browser:
        views: dict[str, View] = {}
        given = {"configure": add_basket, **TOOLBAR, "basket.store": "memory", **settings}
        return Browser(make_app({"/act": lambda request: views[request.params["view"]](request)}, **given), views)

    return start_


@pytest.fixture
def browser(start: Callable[..., Browser]) -> Browser:
    return start()


def add_basket(config: Configurator) -> None:
    config.add_session("basket")


def put(**values: Any) -> View:
    def view(request: Request) -> Response:
        request.session.update(values)
        return Response("")

    return view


def read(request: Request) -> Response:
    return Response(str(request.session.get("cart")))


def log_in(request: Request) -> Response:
    return Response("", headers=remember(request, "7"))


def log_out(request: Request) -> Response:
    return Response("", headers=forget(request))


class Money:
    """Of the application: what its dump function is given may be more than it can write."""

    def __init__(self, amount: Any) -> None:
        self.amount = amount


def add_money(config: Configurator) -> None:
    config.add_session_type(Money, "money", lambda money: str(int(money.amount)), Money)


def put_and_fail(request: Request) -> Response:
    request.session["cart"] = "full"
    raise RuntimeError("a bug")


class TestBothModes:
    def test_what_changed_is_named_with_its_values(self, site_browser: Browser) -> None:
        shown = site_browser.do(put(cart=[1], colour="red"))
        assert "saved changed: cart, colour" in shown
        assert "Received no ID" in shown
        assert "Sent Set-Cookie: the ID of the session" in shown
        assert re.search(r"[\d.]+ create \w{8} stored", shown)
        shown = site_browser.do(put(cart=[1, 2]))
        assert "saved changed: cart" in shown
        assert "cart changed Show Before: [1] After: [1, 2]" in shown
        assert "Sent nothing" in shown
        assert re.search(r"[\d.]+ load \w{8} hit [\d.]+ update\w* \w{8} stored", shown)

    def test_a_login_and_a_logout_say_so(self, site_browser: Browser) -> None:
        shown = site_browser.do(log_in)
        assert "User 7" in shown
        assert "saved logged in: 7" in shown
        shown = site_browser.do(log_out)
        assert re.search(r"ended logout \(\w{8}\)", shown)
        assert "Key none" in shown
        assert "Sent Set-Cookie: the client is to forget its ID" in shown

    def test_a_request_that_failed_says_why_nothing_is_saved(self, site: Site, site_browser: Browser) -> None:
        site_browser.do(put(cart="empty"))
        why = {
            "independent": "not saved changed: cart a 500 is not saved, see sessionkit.save_on_error",
            "joined": "rolled back changed: cart with the transaction",
        }
        shown = site_browser.do(put_and_fail)
        assert why[site.mode] in shown
        assert "nothing is stored" not in shown

    def test_a_commit_that_fails_is_shown_after_the_saving(self, site: Site, site_browser: Browser) -> None:
        def fail_to_commit(request: Request) -> Response:
            request.session["cart"] = "full"
            request.tm.get().addBeforeCommitHook(put_and_fail, (request,))
            return Response("")

        why = {
            "independent": "not saved changed: cart",
            "joined": "saved changed: cart rolled back with the transaction",
        }
        assert why[site.mode] in site_browser.do(fail_to_commit)

    def test_each_attempt_of_a_retry_is_shown(self, site: Site, site_browser: Browser) -> None:
        from pyramid_retry import RetryableException

        attempts: list[int] = []

        def fail_once(request: Request) -> Response:
            attempts.append(1)
            request.session["attempt"] = len(attempts)
            if len(attempts) == 1:
                raise RetryableException
            return Response("")

        assert "saved changed: attempt" in site_browser.do(fail_once)
        why = {"independent": "pyramid_retry repeats the request", "joined": "with the transaction"}
        assert f"changed: attempt {why[site.mode]}" in words(site_browser.shown(1))


class TestWhatBecameOfIt:
    def test_a_request_that_does_not_use_it_says_so(self, browser: Browser) -> None:
        assert "No session was used" in browser.do(lambda request: Response(""))

    def test_one_that_was_read_is_read_only(self, browser: Browser) -> None:
        browser.do(put(cart=1))
        assert "not saved read only" in browser.do(read)

    def test_a_renewal_says_when_the_last_one_was(self, browser: Browser, clock: Callable[[float], None]) -> None:
        browser.do(put(cart=1))
        clock(130)
        assert "saved renewed: last renewed 130 s ago" in browser.do(read)

    def test_one_that_was_ended_meanwhile_is_dropped(self, browser: Browser) -> None:
        def end_elsewhere(request: Request) -> Response:
            request.session["cart"] = 2
            get_sessions(request.registry).revoke(request.session.key)
            return Response("")

        browser.do(put(cart=1))
        assert re.search(r"dropped changed: cart Session \w{8} was ended by another request", browser.do(end_elsewhere))

    def test_a_store_that_fails_after_it_was_read_says_so(self, browser: Browser, spy: SpyStore) -> None:
        browser.do(put(cart=1))
        spy.failing["update"] = StoreUnavailable("the store is away")
        shown = browser.do(put(cart=2))
        assert "not saved changed: cart the store is away" in shown
        assert "error: StoreUnavailable" in shown

    def test_what_a_stale_request_saves_is_a_part(self, browser: Browser) -> None:
        def log_in_elsewhere(request: Request) -> Response:
            request.session["cart"] = 2
            other = Browser(TestApp(browser.app.app), browser._views)
            other.app.set_cookie("session", request.cookies["session"])
            other.do(log_in, name="other")
            return Response("")

        browser.do(put(cart=1))
        browser.do(log_in_elsewhere)
        assert "saved in part changed: cart the contents alone" in words(browser.shown(1))

    def test_a_token_needs_a_cookie_and_no_store(self, browser: Browser) -> None:
        shown = browser.do(lambda request: Response(get_csrf_token(request)))
        assert "Sent Set-Cookie: an ID that names nothing stored, for the CSRF token" in shown
        assert "Store calls" not in shown

    def test_where_no_cookie_can_be_sent_it_says_why(self, start: Callable[..., Browser]) -> None:
        browser = start(cookie_secure="true")
        assert "not saved changed: cart no ID could be sent: sessionkit.cookie_secure" in browser.do(put(cart=1))
        assert "Sent nothing: sessionkit.cookie_secure" in browser.do(lambda r: Response(get_csrf_token(r)))

    def test_a_value_that_cannot_be_dumped_fails_as_without_it(self, start: Callable[..., Browser]) -> None:
        def spoil(request: Request) -> Response:
            request.session.invalidate()
            request.session["money"] = money = Money(1)
            money.amount = "much"
            return Response("")

        browser = start(configure=add_money)
        browser.do(put(money=Money(1)))
        shown = browser.do(spoil)
        assert re.search(r"ended logout \(\w{8}\) not saved changed: money ValueError", shown)

    def test_a_session_header_is_named(self, start: Callable[..., Browser]) -> None:
        shown = start(header_name="X-Session").do(put(cart=1), headers={"X-Session": ""})
        assert "Sent X-Session: the ID of the session" in shown


class TestSeveral:
    def test_a_second_session_has_a_part_of_its_own(self, browser: Browser) -> None:
        def put_both(request: Request) -> Response:
            request.session["a"] = 1
            request.basket["b"] = 2
            return Response("")

        first, second = browser.do(put_both).split("request.basket")
        assert "request.session" in first
        assert "changed: a" in first
        assert "changed: b" in second

    def test_a_subrequest_has_a_panel_of_its_own(self, browser: Browser) -> None:
        def ask(request: Request) -> Response:
            request.session["outer"] = 1
            inner = Request.blank(
                "/act?view=inner", environ={"HTTP_COOKIE": request.environ["HTTP_COOKIE"], **DEVELOPER}
            )
            request.invoke_subrequest(inner, use_tweens=True)
            return Response("")

        browser.do(put(inner=1), name="inner")
        browser.do(ask)
        assert "changed: outer" not in words(browser.shown(0))
        assert "saved changed: outer" in words(browser.shown(1))

    def test_calls_while_a_response_is_streamed_are_shown(self, browser: Browser) -> None:
        def stream(request: Request) -> Response:
            parts = (str(request.session.get(name)).encode() for name in ["cart"])
            return Response(app_iter=parts, content_type="application/octet-stream")

        browser.do(put(cart=1))
        shown = browser.do(stream)
        assert "used for the first time after the response" in shown
        assert re.search(r"load \w{8} hit", shown)

    def test_requests_that_others_make_are_not_recorded(self, browser: Browser) -> None:
        observers: list[Any] = []

        def look(request: Request) -> Response:
            observers.append(request.session.work.persistence.observer)
            return Response("")

        browser.do(look)
        browser.app.get("/act?view=now", extra_environ={"REMOTE_ADDR": "192.0.2.1"})
        assert [observer is None for observer in observers] == [False, True]

    def test_a_panel_without_its_setting_names_it(self, start: Callable[..., Browser]) -> None:
        panel = {"debugtoolbar.panels": "pyramid_sessionkit.debugtoolbar.panel.SessionPanel"}
        shown = start(**{"debugtoolbar.includes": "", **panel}).do(put(cart=1))
        assert "debugtoolbar.includes = pyramid_sessionkit.debugtoolbar" in shown


class TestAttacks:
    def test_the_panels_of_the_page_show_no_id(self, start: Callable[..., Browser]) -> None:
        browser = start(**settings_of("debugtoolbar-panels"))
        assert "saved changed: cart" in browser.do(put(cart=1))
        *_, secret, signature = browser.app.cookies["session"].split(".")
        page = browser.app.get("/_debug_toolbar/").text
        assert secret not in page
        assert signature not in page

    def test_what_visitors_put_there_is_no_markup(self, browser: Browser) -> None:
        browser.do(put(**{"<b>": "<script>alert(1)</script>", "trusted": Markup("<script>alert(2)</script>")}))
        shown = browser.shown()
        assert "&lt;script&gt;alert(1)" in shown
        assert "&lt;script&gt;alert(2)" in shown
        assert "changed: &lt;b&gt;" in shown
        assert "<script>" not in shown
        assert "<b>" not in shown

    def test_long_values_are_cut(self, browser: Browser) -> None:
        browser.do(put(**{"y" * 9000: "x" * 9000}))
        assert len(browser.shown()) < 9000

    def test_neither_ids_nor_tokens_are_shown_or_kept(self, browser: Browser) -> None:
        secrets: list[str] = []

        def use(request: Request) -> Response:
            request.session.new_csrf_token()
            secrets.append(get_csrf_token(request))
            secrets.append(request.session["_csrft_"])
            request.session.regenerate_id()
            return Response("", headers=remember(request, "7"))

        browser.do(put(cart=1))
        _, *before = browser.app.cookies["session"].split(".")
        browser.do(use)
        key, *after = browser.app.cookies["session"].split(".")
        assert len(before + after + secrets) == 6
        shown, kept = browser.shown(), browser.kept
        assert key in shown
        for secret in before + after + secrets:
            assert secret not in shown
            assert secret.encode() not in kept
