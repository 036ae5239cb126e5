"""Sessions that Django made go on in ours."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any
from urllib.parse import quote

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request

from pyramid_sessionkit.adoption import Adopted, django
from pyramid_sessionkit.adoption.django import DjangoSessions, InDatabase, django_sessions
from pyramid_sessionkit.adoption.django_site import connected
from pyramid_sessionkit.adoption.django_users import check_of
from pyramid_sessionkit.exceptions import NotSupported
from tests.adoption.migration import migrate
from tests.adoption.old_site import Browser, NewSite
from tests.adoption.pages import modules

pytest.importorskip("django", reason="Django is not installed (the extra adoption)")

PROJECT = "tests.adoption.django_project"
BACKENDS = "django.contrib.sessions.backends"
ENGINES = ["db", "cached_db", "cache", "file"]
DAY = 86400


@pytest.fixture(scope="module")
def project() -> Iterator[Any]:
    """The old site, as its WSGI server has it."""
    assert isinstance(django_sessions(PROJECT), InDatabase)
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    # A new one for each request, since its middleware keeps the SESSION_ENGINE with which it was made.
    yield lambda environ, start_response: WSGIHandler()(environ, start_response)
    connections.close_all()


@pytest.fixture(autouse=True)
def users(project: Any) -> None:
    from django.contrib.auth.models import User

    User.objects.all().delete()
    for name in ("ada", "bob"):
        User.objects.create_user(name, password="demo")


@pytest.fixture
def configured(project: Any) -> Iterator[Callable[..., None]]:
    """Changes settings of Django, until the test ends."""
    from django.test.utils import override_settings

    changed: list[Any] = []

    def configure(**settings: Any) -> None:
        changed.append(override_settings(**settings))
        changed[-1].enable()

    yield configure
    for one in reversed(changed):
        one.disable()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, configured: Callable[..., None]) -> str:
    configured(SESSION_ENGINE=f"{BACKENDS}.{request.param}")
    return str(request.param)


@pytest.fixture
def old_site(project: Any) -> Callable[..., Browser]:
    """A browser that has been on the old site."""

    def visit(*paths: str) -> Browser:
        browser = Browser(project, {})
        for path in paths:
            assert browser.get(path).status_int == 200
        return browser

    return visit


LOGIN = "/login?name=ada&password=demo"


def id_of(name: str) -> str:
    from django.contrib.auth.models import User

    return str(User.objects.get(username=name).pk)


def opened(project: Any, browser: Browser, **arguments: Any) -> Adopted | None:
    """What is read of the session that a browser has on the old site."""
    old = django_sessions(PROJECT, pickle=True, **arguments)
    return old.read(None, browser.cookies["sessionid"])


def moved(browser: Browser, old: DjangoSessions) -> Browser:
    """The browser, after the new site took over."""
    return Browser(NewSite(old).app, browser.cookies)


def test_contents_and_user_go_on(engine: str, old_site: Any, project: Any) -> None:
    old = django_sessions(PROJECT, pickle=True)
    visitor = old_site(LOGIN, "/put")
    before = dict(visitor.cookies)
    browser = moved(visitor, old)
    assert browser.get("/show").json == {"contents": {"cart": ["apples"]}, "userid": id_of("ada")}
    assert list(browser.cookies) == ["session"]
    assert Browser(project, before).get("/show").json == {"cart": None, "user": ""}, "the old record is still there"


def test_with_keep_one_can_go_back(engine: str, old_site: Any, project: Any) -> None:
    browser = moved(old_site(LOGIN, "/put"), django_sessions(PROJECT, pickle=True, keep=True))
    browser.get("/put")
    assert Browser(project, browser.cookies).get("/show").json == {"cart": ["apples"], "user": "ada"}


def test_no_logout_is_undone(engine: str, old_site: Any) -> None:
    old = django_sessions(PROJECT, pickle=True, keep=True)
    visitor = old_site(LOGIN)
    before = dict(visitor.cookies)
    new = NewSite(old)
    browser = new.browser(**before)
    assert browser.get("/show").json["userid"] == id_of("ada")
    browser.get("/logout")
    assert new.browser(**before).get("/show").json["userid"] is None


def test_one_who_logged_out_there_stays_out(engine: str, old_site: Any) -> None:
    visitor = old_site(LOGIN)
    before = dict(visitor.cookies)
    visitor.get("/logout")
    old = django_sessions(PROJECT, pickle=True)
    assert old.read(None, before["sessionid"]) is None


def test_visitors_who_are_not_logged_in_keep_their_cart(engine: str, old_site: Any, project: Any) -> None:
    found = opened(project, old_site("/put"))
    assert (found.contents, found.userid, found.authenticated) == ({"cart": ["apples"]}, None, None)


def test_six_requests_at_once_make_one_session(engine: str, old_site: Any) -> None:
    new = NewSite(django_sessions(PROJECT, pickle=True))
    cookies = dict(old_site(LOGIN, "/put").cookies)
    browsers = [new.browser(**cookies) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda browser: browser.get("/put").json["userid"], browsers))
    assert set(answers) == {id_of("ada")}
    assert len({browser.cookies["session"] for browser in browsers}) == 1


@pytest.mark.parametrize("token", ["", "short", "a" * 32, "A" * 32, "../" * 11, "a" * 31 + "\0", "a" * 41])
def test_made_up_cookies_open_nothing(engine: str, token: str) -> None:
    assert django_sessions(PROJECT, pickle=True).read(None, token) is None


def test_a_key_in_capitals_opens_nothing(old_site: Any) -> None:
    """MariaDB would find it, and after a logout it would be another token."""
    token = old_site(LOGIN).cookies["sessionid"]
    old = django_sessions(PROJECT)
    old._live = lambda: pytest.fail("the table was asked")  # type: ignore[method-assign, attr-defined]
    assert old.read(None, token.upper()) is None


class ByName(InDatabase):
    """Whose users are known by their name, as those of the migration are."""

    def read(self, request: Any, token: str) -> Adopted | None:
        from django.contrib.auth.models import User

        found = super().read(request, token)
        if found is None or found.userid is None:
            return found
        with connected():
            return found._replace(userid=User.objects.get(pk=found.userid).username)


def test_fifty_visitors_of_django_move_in(settings: dict[str, Any], old_site: Any) -> None:
    from django.contrib.auth.models import User

    def visit(user: str | None, fruit: str) -> dict[str, str]:
        if user is None:
            return dict(old_site(f"/put?fruit={quote(fruit)}").cookies)
        User.objects.create_user(user, password="demo")
        return dict(old_site(f"/login?name={user}&password=demo", f"/put?fruit={quote(fruit)}").cookies)

    migrate(visit, ByName(check_of(True), None, False), settings)


# Who is still let in.


def change_password(name: str) -> None:
    from django.contrib.auth.models import User

    user = User.objects.get(username=name)
    user.set_password("another")
    user.save()


def test_a_new_password_ends_it_as_django_does(engine: str, old_site: Any, project: Any) -> None:
    adas, bobs = old_site(LOGIN), old_site("/login?name=bob&password=demo")
    change_password("ada")
    assert opened(project, adas) is None
    assert opened(project, bobs).userid == id_of("bob")
    assert opened(project, adas, check_user=False).userid == id_of("ada")


def test_neither_inactive_users_nor_deleted_ones_get_in(old_site: Any, project: Any) -> None:
    from django.contrib.auth.models import User

    adas, bobs = old_site(LOGIN), old_site("/login?name=bob&password=demo")
    User.objects.filter(username="ada").update(is_active=False)
    User.objects.filter(username="bob").delete()
    assert opened(project, adas) is None
    assert opened(project, bobs) is None


def test_passwords_may_come_from_a_table_of_ones_own(old_site: Any, project: Any, configured: Any) -> None:
    from django.contrib.auth.models import User

    visitor = old_site(LOGIN)
    asked = []

    def password(userid: str) -> str:
        asked.append(userid)
        return str(User.objects.get(pk=userid).password)

    assert opened(project, visitor, check_user=password).userid == id_of("ada")
    assert asked == [id_of("ada")]
    configured(SECRET_KEY="of today", SECRET_KEY_FALLBACKS=["the-secret-of-the-old-site"])
    assert opened(project, visitor, check_user=password).userid == id_of("ada")
    assert opened(project, visitor).userid == id_of("ada")
    assert opened(project, visitor, check_user=lambda userid: None) is None
    change_password("ada")
    assert opened(project, visitor, check_user=password) is None


# When it ends.


def test_it_ends_when_djangos_would(old_site: Any, project: Any) -> None:
    found = opened(project, old_site("/put"))
    assert found.expires == pytest.approx(time() + 14 * DAY, abs=60)
    assert found.persistent is True


def test_one_that_every_request_saves_has_no_end(old_site: Any, project: Any, configured: Any) -> None:
    configured(SESSION_SAVE_EVERY_REQUEST=True)
    assert opened(project, old_site("/put")).expires is None
    assert opened(project, old_site("/put", "/expire?at=3600")).expires is None


def test_a_date_that_was_set_is_kept(engine: str, old_site: Any, project: Any, configured: Any) -> None:
    configured(SESSION_SAVE_EVERY_REQUEST=True)
    found = opened(project, old_site("/put", "/expire?at=date"))
    assert found.expires == pytest.approx(time() + 30 * DAY, abs=60)
    assert found.contents == {"cart": ["apples"]}


def test_one_that_ends_with_the_browser_still_does(engine: str, old_site: Any, project: Any, configured: Any) -> None:
    assert opened(project, old_site("/put", "/expire?at=0")).persistent is False
    configured(SESSION_EXPIRE_AT_BROWSER_CLOSE=True)
    assert opened(project, old_site("/put")).persistent is False


def test_one_that_has_ended_opens_nothing(engine: str, old_site: Any, project: Any, configured: Any) -> None:
    configured(SESSION_COOKIE_AGE=-1)
    assert opened(project, old_site("/put")) is None


def test_one_that_has_ended_leaves_no_file(
    old_site: Any, project: Any, configured: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.sessions.backends import file

    monkeypatch.setattr(file.SessionStore, "_storage_path", str(tmp_path), raising=False)
    configured(SESSION_ENGINE=f"{BACKENDS}.file", SESSION_COOKIE_AGE=-1)
    assert opened(project, old_site("/put")) is None
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_the_login_is_what_the_site_kept(old_site: Any, project: Any) -> None:
    assert opened(project, old_site(LOGIN)).authenticated is None
    assert opened(project, old_site(LOGIN), login_time=lambda contents: 12.0).authenticated == 12.0


# What it needs.


def test_all_are_listed_page_by_page(old_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib.sessions.models import Session

    Session.objects.all().delete()
    monkeypatch.setattr(django, "PAGE", 2)
    tokens = {old_site(*paths).cookies["sessionid"] for paths in [(LOGIN,), ("/put",), ("/put",), ("/put",), ("/put",)]}
    gone = old_site("/login?name=bob&password=demo")
    change_password("bob")
    listed = dict(django_sessions(PROJECT).all())
    assert set(listed) == tokens
    assert gone.cookies["sessionid"] not in listed
    assert [found.userid for found in listed.values() if found.userid] == [id_of("ada")]


@pytest.mark.parametrize("name", ["cache", "file"])
def test_others_cannot_be_listed(name: str, configured: Any) -> None:
    configured(SESSION_ENGINE=f"{BACKENDS}.{name}")
    with pytest.raises(NotSupported):
        next(django_sessions(PROJECT, pickle=True).all())


def test_its_cookie_is_deleted_where_it_was_set(configured: Any) -> None:
    configured(SESSION_COOKIE_NAME="sid", SESSION_COOKIE_PATH="/shop", SESSION_COOKIE_DOMAIN="example.com")
    (header,) = django_sessions(PROJECT).deletions(Request.blank("/", headers={"Cookie": "sid=x"}))
    assert re.fullmatch(r"sid=; Max-Age=0; .*; Path=/shop; Domain=example.com", header)


def test_it_may_have_the_name_of_ours(configured: Any, old_site: Any) -> None:
    configured(SESSION_COOKIE_NAME="session")
    browser = moved(old_site(LOGIN, "/put"), django_sessions(PROJECT))
    for _ in range(2):
        assert browser.get("/show").json == {"contents": {"cart": ["apples"]}, "userid": id_of("ada")}


def test_an_outage_of_the_cache_is_no_logout(configured: Any) -> None:
    configured(
        SESSION_ENGINE=f"{BACKENDS}.cache",
        CACHES={"default": {"BACKEND": "tests.adoption.test_django.Unreachable"}},
    )
    browser = NewSite(django_sessions(PROJECT, pickle=True)).browser(sessionid="a" * 32)
    assert browser.get("/show").status_int == 503
    assert list(browser.cookies) == ["sessionid"]


class Unreachable:
    """A cache of Django that is down."""

    def __init__(self, *_: Any) -> None:
        pass

    def get(self, key: str) -> None:
        raise ConnectionError

    def close(self) -> None:
        pass


def test_another_secret_key_is_told(old_site: Any, project: Any, configured: Any, caplog: Any) -> None:
    visitor = old_site("/put")
    configured(SECRET_KEY="another")
    assert opened(project, visitor) is None
    assert "was written with another SECRET_KEY" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [{"SESSION_ENGINE": f"{BACKENDS}.cache"}, {"SESSION_SERIALIZER": "tests.adoption.test_django.PickleSerializer"}],
    ids=["cache", "serializer"],
)
def test_pickles_are_read_only_where_asked_for(settings: dict[str, str], configured: Any, caplog: Any) -> None:
    configured(**settings)
    with pytest.raises(ConfigurationError, match="pickle=True"):
        django_sessions(PROJECT)
    django_sessions(PROJECT, pickle=True)
    assert "can run any code here" in caplog.text


class PickleSerializer:
    """As Django had one before version 5."""


@pytest.mark.parametrize(
    ("engine_name", "message"),
    [(f"{BACKENDS}.signed_cookies", "is none of db"), ("gone", "cannot be imported")],
)
def test_engines_that_are_not_known_are_refused(engine_name: str, message: str, configured: Any) -> None:
    configured(SESSION_ENGINE=engine_name)
    with pytest.raises(ConfigurationError, match=message):
        django_sessions(PROJECT)


# In a process of its own, since Django is configured once.


def run(code: str) -> str:
    command = [sys.executable, "-c", f"from pyramid_sessionkit.adoption.django import django_sessions\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


CATCH = """
from pyramid.exceptions import ConfigurationError
try:
    {}
except ConfigurationError as error:
    print(error)
"""


def test_what_the_page_says_is_right(old_site: Any) -> None:
    from django.conf import settings

    visitor = old_site(LOGIN)
    name, token = settings.DATABASES["default"]["NAME"], visitor.cookies["sessionid"]
    (module,) = modules("django")
    code = f"""
import os
os.environ["OLD_SECRET_KEY"] = {settings.SECRET_KEY!r}
{module.replace("/srv/oldsite/db.sqlite3", name)}
old = old_sessions({{}})
print(old.keep, old.read(None, {token!r}).userid)
"""
    assert run(code).strip() == f"True {id_of('ada')}"
    assert run(code.replace(settings.SECRET_KEY, "another")) == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("django_sessions('no.such.module')", "Django does not start with the settings of the old site"),
        ("django_sessions({'INSTALLED_APPS': ['gone']})", "ModuleNotFoundError: No module named 'gone'"),
        ("django_sessions({'SECRET_KEY': 'x'})", "give Django the DATABASES and INSTALLED_APPS of the old site"),
        (
            "import sys; sys.modules['django.apps'] = None; django_sessions({})",
            "Sessions of Django are read with Django: pip install django",
        ),
    ],
)
def test_what_is_missing_is_said_at_the_start(call: str, message: str) -> None:
    assert message in run(CATCH.format(call))


def test_logging_stays_as_the_new_site_has_it() -> None:
    code = """
import logging
django_sessions({"SECRET_KEY": "x", "LOGGING": {"version": 1}, "SESSION_ENGINE": "django.contrib.sessions.backends.db"},
    check_user=False)
print(logging.getLogger("django").handlers, logging.getLogger("pyramid_sessionkit").disabled)
"""
    assert run(code).strip() == "[] False"
