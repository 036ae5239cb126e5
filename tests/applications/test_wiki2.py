"""The wiki of Pyramid's tutorial: as it is, with our sessions and its own login, and with our login."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from webtest import TestApp, TestResponse

from pyramid_sessionkit import get_sessions
from tests.applications.steps import MODES, committed, doomed, load, settings_of

OUR_SESSIONS = """\
         config.include(models)
+        config.include("pyramid_sessionkit")
"""

LOGIN_IN_CONTENTS = f"""\
{OUR_SESSIONS}@@
-from pyramid.authentication import AuthTktCookieHelper
+from pyramid.authentication import SessionAuthenticationHelper
@@
-        self.cookie = AuthTktCookieHelper(secret)
+        self.cookie = SessionAuthenticationHelper()
@@
-        found = self.cookie.identify(request)
-        return None if found is None else request.dbsession.get(User, found["userid"])
+        userid = self.cookie.authenticated_userid(request)
+        return None if userid is None else request.dbsession.get(User, userid)
"""

OUR_LOGIN = f"""\
{OUR_SESSIONS}@@
-    settings = config.get_settings()
     config.set_csrf_storage_policy(CookieCSRFStoragePolicy())
     config.set_default_csrf_options(require_csrf=True)
-    config.set_security_policy(WikiPolicy(settings["auth.secret"]))
@@
+def identity(request, userid):
+    return request.dbsession.get(User, int(userid))
+
+
 def principals(request: Any, user: User) -> list[str]:
"""

OUR_CSRF = f"""\
{OUR_LOGIN}@@
-    config.set_csrf_storage_policy(CookieCSRFStoragePolicy())
"""


class Wiki:
    """The application with these lines changed, its users and its first page."""

    def __init__(self, changes: str, settings: dict[str, Any]) -> None:
        self.models = load("wiki2", changes)
        if changes.startswith(OUR_LOGIN):
            settings |= {f"sessionkit.{name}": f"changed_wiki2.{name}" for name in ("identity", "principals")}
        else:
            settings |= {"auth.secret": "of the tutorial", "sessionkit.security_policy": "false"}
        self.app = self.models.main({}, **settings)
        self.engine = self.app.registry["dbsession_factory"].kw["bind"]
        self.models.Base.metadata.create_all(self.engine)
        with committed(self.app, self.models.get_tm_session) as dbsession:
            self.add_users(dbsession)

    def add_users(self, dbsession: Any) -> None:
        editor, basic = (self.models.User(name=role, role=role) for role in ("editor", "basic"))
        for user in (editor, basic):
            user.set_password(f"password of {user.name}")
        dbsession.add_all([editor, basic, self.models.Page(name="FrontPage", data="A page", creator=editor)])

    def pages(self) -> dict[str, str]:
        Page = self.models.Page
        with committed(self.app, self.models.get_tm_session) as dbsession:
            return {page.name: page.data for page in dbsession.scalars(select(Page))}

    def sessions(self) -> list[str | None]:
        return [session.userid for session in get_sessions(self.app.registry).all(10)]


@pytest.fixture
def make_wiki(tmp_path: Path) -> Iterator[Callable[[str, str], Wiki]]:
    with ExitStack() as stack:

        def make(changes: str, mode: str) -> Wiki:
            wiki = Wiki(changes, settings_of(mode, tmp_path))
            stack.callback(wiki.engine.dispose)
            return wiki

        yield make


def log_in(page: TestResponse, name: str, password: str | None = None, **kw: Any) -> TestResponse:
    form = page.forms["login"]
    form["login"], form["password"] = name, password or f"password of {name}"
    return form.submit(**kw)


def save(page: TestResponse, body: str) -> TestResponse:
    form = page.forms["edit"]
    form["body"] = body
    return form.submit(status=303).follow()


def visit(browser: TestApp) -> None:
    """What the tutorial has its readers try."""
    assert "Log in" in browser.get("/", status=303).follow()
    browser.get("/NoPage", status=404)

    asked = browser.get("/FrontPage/edit_page", status=303).follow()
    asked = log_in(asked, "editor", "wrong", status=400)
    assert "Failed login" in asked
    page = save(log_in(asked, "editor", status=303).follow(), "See OtherPage")
    assert "/add_page/OtherPage" in page
    browser.get("/add_page/FrontPage", status=303)
    browser.post("/FrontPage/edit_page", {"body": "forged"}, status=400)
    assert "Log in" in page.forms["logout"].submit(status=303).follow().follow()

    page = log_in(page.click("OtherPage", href="add_page").follow(), "basic", status=303).follow()
    assert "basic" in save(page, "Mine")
    assert "You may not do this" in browser.get("/FrontPage/edit_page", status=403)
    page = save(browser.get("/OtherPage/edit_page"), "Still mine")
    page.forms["logout"].submit(status=303)
    browser.get("/OtherPage/edit_page", status=303)


PAGES = {"FrontPage": "See OtherPage", "OtherPage": "Still mine"}


def test_the_tutorial_is_what_it_is_without_us(make_wiki: Any) -> None:
    wiki = make_wiki("", "without")
    visit(TestApp(wiki.app))
    assert wiki.pages() == PAGES


def test_one_line_adds_sessions_and_changes_nothing(make_wiki: Any) -> None:
    wiki = make_wiki(OUR_SESSIONS, "joined")
    browser = TestApp(wiki.app)
    visit(browser)
    assert wiki.pages() == PAGES
    assert set(browser.cookies) == {"csrf_token"}
    assert wiki.sessions() == []


@pytest.mark.parametrize("mode", MODES)
def test_a_policy_may_keep_its_login_in_the_contents(make_wiki: Any, mode: str) -> None:
    wiki = make_wiki(LOGIN_IN_CONTENTS, mode)
    browser = TestApp(wiki.app)
    visit(browser)
    assert wiki.pages() == PAGES
    assert set(browser.cookies) == {"csrf_token", "session"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("tokens", "cookies"), [("theirs", {"csrf_token"}), ("ours", set())])
def test_the_wiki_logs_in_with_our_sessions(make_wiki: Any, mode: str, tokens: str, cookies: set[str]) -> None:
    wiki = make_wiki(OUR_CSRF if tokens == "ours" else OUR_LOGIN, mode)
    browser = TestApp(wiki.app)
    visit(browser)
    assert wiki.pages() == PAGES
    assert wiki.sessions() == []
    assert set(browser.cookies) == cookies


@pytest.mark.parametrize("mode", MODES)
def test_a_logout_of_the_wiki_ends_copied_cookies(make_wiki: Any, mode: str) -> None:
    wiki = make_wiki(OUR_CSRF, mode)
    browser, thief = TestApp(wiki.app), TestApp(wiki.app)
    page = log_in(browser.get("/login"), "editor", status=303).follow().follow()
    thief.set_cookie("session", browser.cookies["session"])
    thief.get("/FrontPage/edit_page", status=200)
    assert len(wiki.sessions()) == 1
    for _ in range(2):  # a double click
        page.forms["logout"].submit(status=303, headers={"Origin": "http://localhost"})
    thief.get("/FrontPage/edit_page", status=303)
    assert wiki.sessions() == []


@pytest.mark.parametrize("mode", MODES)
def test_the_fixtures_of_the_wiki_keep_a_login(make_wiki: Any, mode: str) -> None:
    """Also that of a user who is undone at the end of the test, with the token that the fixtures set."""
    wiki = make_wiki(OUR_LOGIN, mode)
    before = wiki.pages()
    with doomed(wiki.app, wiki.models.get_tm_session) as (browser, dbsession):
        visit(browser)
        browser.set_cookie("csrf_token", "dummy")
        guest = wiki.models.User(name="guest", role="basic")
        guest.set_password("secret")
        dbsession.add(guest)
        dbsession.flush()
        form = {"csrf_token": "dummy", "login": "guest", "password": "secret", "next": "/add_page/NewPage"}
        page = browser.post("/login", form, status=303).follow()
        assert "guest" in save(page, "New")
        assert "New" in browser.get("/NewPage")
        assert wiki.sessions() == ([] if mode == "joined" else ["3"])
    assert wiki.pages() == before
    browser.extra_environ = {"HTTP_HOST": "example.com"}
    browser.get("/add_page/NewPage", status=303)
    assert wiki.sessions() == []
