import logging

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response

from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id import headers as headers_module
from pyramid_sessionkit.session_id.carriers import CarrierOptions, RequestCarrier
from pyramid_sessionkit.session_id.cookie import CookieSigner
from pyramid_sessionkit.session_id.headers import SessionHeaders
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.state import Presented
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import cookie_of


class Site:
    """What turns a session into headers, for one set of settings."""

    def __init__(self, overrides=None, **settings):
        given = {"secret": "s" * 32, **settings}
        self.settings = parse_settings({f"sessionkit.{name}": value for name, value in given.items()})
        self.signer = CookieSigner(self.settings.cookie.name, self.settings.secret)
        self.headers = SessionHeaders(self.settings, self.signer, overrides)
        self.persistence = Persistence(MemoryStore(), self.settings)
        self.cookies = CarrierOptions(self.signer, self.persistence.events)

    def session(self, request=None):
        return Session(self.persistence, RequestCarrier(self.cookies, request or Request.blank("/")))

    def new_session(self, userid=None):
        session = self.session()
        session["cart"] = [1]
        if userid is not None:
            session.login(userid)
        session.save()
        return session

    def sending(self, presented):
        """A request with this cookie."""
        return Request.blank("/", headers={"Cookie": f"session={self.signer.sign(presented)}"})

    def respond(self, session=None, request=None, response=None):
        response = Response("") if response is None else response
        session = self.session() if session is None else session
        self.headers.add(request or Request.blank("/"), response, session.work)
        return response


def over_https(path="/", **environ):
    return Request.blank(path, base_url="https://localhost", environ=environ)


def cookies_of(response):
    return response.headers.getall("Set-Cookie")


# Vary


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], ["Cookie"]),
        (["Accept"], ["Accept, Cookie"]),
        (["Accept, Origin"], ["Accept, Origin, Cookie"]),
        (["Cookie"], ["Cookie"]),
        (["cookie"], ["cookie"]),
        (["Accept,COOKIE"], ["Accept,COOKIE"]),
        (["X-Cookie"], ["X-Cookie, Cookie"]),
        (["*"], ["*"]),
        (["Accept", "Origin"], ["Accept, Cookie", "Origin"]),
        (["Accept", "Cookie"], ["Accept", "Cookie"]),
    ],
)
def test_vary(there, expected):
    response = Response("")
    for value in there:
        response.headers.add("Vary", value)
    assert Site().respond(response=response).headers.getall("Vary") == expected


def test_vary_in_lower_case_is_found():
    response = Response(headerlist=[("vary", "Accept")])
    assert Site().respond(response=response).headers.getall("Vary") == ["Accept, Cookie"]


def test_a_session_that_was_looked_at_adds_vary_alone():
    site = Site()
    before = Response("").headerlist
    assert site.respond(site.session()).headerlist == [*before, ("Vary", "Cookie")]


# Cache-Control


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([], ["no-store"]),
        (["no-store"], ["no-store"]),
        (["no-cache"], ["no-cache"]),
        (["private, max-age=60"], ["private, max-age=60"]),
        (["max-age=60"], ["private, max-age=60"]),
        (["public"], ["private"]),
        (["Public"], ["private"]),
        (["public, max-age=60"], ["private, max-age=60"]),
        (["max-age=60,public"], ["private, max-age=60"]),
        (["s-maxage=60"], ["private"]),
        (["S-MaxAge = 60, max-age=5"], ["private, max-age=5"]),
        (["public, s-maxage=60, max-age=5, must-revalidate"], ["private, max-age=5, must-revalidate"]),
        (["private, s-maxage=60"], ["private"]),
        (["PRIVATE, public"], ["PRIVATE"]),
        (["no-store, public"], ["no-store"]),
        (["max-age=60", "public"], ["private, max-age=60", "private"]),
        # With field names, private covers those fields alone (RFC 9111, 5.2.2.7).
        (['private="X-User", public'], ['private, private="X-User"']),
    ],
)
def test_cache_control_with_a_cookie(chosen, expected):
    site = Site()
    response = Response("")
    for value in chosen:
        response.headers.add("Cache-Control", value)
    assert site.respond(site.new_session(), response=response).headers.getall("Cache-Control") == expected


def test_cache_control_of_an_anonymous_visitor_is_the_views():
    site = Site()
    public = Response("", cache_control="public, s-maxage=60")
    assert site.respond(site.session(), response=public).headers["Cache-Control"] == "public, s-maxage=60"
    assert "Cache-Control" not in site.respond(site.session()).headers


@pytest.mark.parametrize("looks_at", ["cart", "nothing"])
def test_what_a_logged_in_visitor_sees_is_private(looks_at):
    site = Site()
    request = site.sending(cookie_of(site.new_session("ann")))
    session = site.session(request)
    session.get(looks_at)
    assert site.respond(session, request).headers["Cache-Control"] == "private"


@pytest.mark.parametrize("chosen", ["public, s-maxage=60", "no-cache", "max-age=5", "no-store"])
def test_a_view_may_cache_for_logged_in_visitors(chosen):
    site = Site()
    request = site.sending(cookie_of(site.new_session("ann")))
    session = site.session(request)
    assert session["cart"]
    response = Response(headerlist=[("cache-control", chosen)])
    assert site.respond(session, request, response).headers.getall("Cache-Control") == [chosen]


def test_an_anonymous_visitors_page_may_be_cached():
    site = Site()
    request = site.sending(cookie_of(site.new_session()))
    session = site.session(request)
    assert session["cart"]
    assert "Cache-Control" not in site.respond(session, request).headers


def test_a_deleted_cookie_is_kept_from_caches_too():
    site = Site()
    request = Request.blank("/", headers={"Cookie": "session=junk"})
    session = site.session(request)
    session.invalidate()
    assert site.respond(session, request).headers["Cache-Control"] == "no-store"


# The cookie is set


def test_a_new_session_is_sent():
    site = Site()
    session = site.new_session()
    assert cookies_of(site.respond(session)) == [
        f"session={site.signer.sign(cookie_of(session))}; Path=/; HttpOnly; SameSite=Lax"
    ]


def test_cookies_of_the_view_stay():
    site = Site()
    response = Response("")
    response.set_cookie("theme", "dark")
    theme, ours = cookies_of(site.respond(site.new_session(), response=response))
    assert theme.startswith("theme=dark;")
    assert ours.startswith("session=")


def test_a_change_of_contents_sends_no_cookie():
    site = Site()
    request = site.sending(cookie_of(site.new_session()))
    session = site.session(request)
    session["cart"] = [2]
    session.save()
    assert cookies_of(site.respond(session, request)) == []


def test_a_regenerated_id_is_sent():
    site = Site()
    request = site.sending(cookie_of(site.new_session()))
    session = site.session(request)
    session.regenerate_id()
    session.save()
    [cookie] = cookies_of(site.respond(session, request))
    assert cookie.startswith(f"session={site.signer.sign(cookie_of(session))};")


@pytest.mark.parametrize(
    ("settings", "max_age"),
    [
        ({"persistent": True}, 12 * 3600),
        ({"persistent": True, "timeout": "20m", "lifetime": "12h"}, 12 * 3600),
        ({"persistent": True, "timeout": "none", "lifetime": "12h"}, 12 * 3600),
        ({"persistent": True, "timeout": "30d", "lifetime": "none"}, 400 * 86400),
        ({"persistent": True, "timeout": "none", "lifetime": "none"}, 400 * 86400),
        ({"persistent": True, "timeout": "500d", "lifetime": "500d"}, 400 * 86400),
        # With rolling the cookie is sent with each response, so that it may end with the idle timeout.
        ({"persistent": True, "rolling": True, "timeout": "20m"}, 20 * 60),
        ({"persistent": True, "rolling": True, "timeout": "30d", "lifetime": "none"}, 30 * 86400),
        ({"persistent": True, "rolling": True, "timeout": "none", "lifetime": "12h"}, 12 * 3600),
        ({"persistent": True, "rolling": True, "timeout": "none", "lifetime": "none"}, 400 * 86400),
    ],
)
def test_max_age_is_the_time_to_the_deadline(monkeypatch, settings, max_age):
    site = Site(**settings)
    session = site.new_session()
    created = session.renewed
    monkeypatch.setattr(headers_module, "time", lambda: created + 0.9)
    [cookie] = cookies_of(site.respond(session))
    assert f"; Max-Age={max_age};" in cookie


def test_max_age_counts_from_the_moment_it_is_sent(monkeypatch):
    site = Site(persistent=True, lifetime="12h")
    session = site.new_session()
    deadline = session.created + 12 * 3600
    monkeypatch.setattr(headers_module, "time", lambda: deadline - 7)
    assert "; Max-Age=7;" in cookies_of(site.respond(session))[0]
    monkeypatch.setattr(headers_module, "time", lambda: deadline + 7)
    assert "; Max-Age=0;" in cookies_of(site.respond(session))[0]


def test_one_persistent_login_among_others():
    site = Site()
    session = site.session()
    session.login("ann", persistent=True)
    session.save()
    assert "Max-Age" in cookies_of(site.respond(session))[0]
    assert "Max-Age" not in cookies_of(site.respond(site.new_session()))[0]


# A blank cookie, for a CSRF token alone


def test_a_blank_cookie_ends_with_the_browser():
    site = Site(persistent=True)
    session = site.session()
    assert session.get_csrf_token()
    [cookie] = cookies_of(site.respond(session))
    assert cookie == f"session={site.signer.sign(session.work.sent_cookie)}; Path=/; HttpOnly; SameSite=Lax"
    assert cookie.startswith("session=-.")


def test_a_blank_cookie_is_sent_once():
    site = Site()
    first = site.session()
    first.get_csrf_token()
    request = site.sending(first.work.sent_cookie)
    second = site.session(request)
    assert second.get_csrf_token() == first.get_csrf_token()
    assert cookies_of(site.respond(second, request)) == []


# The cookie is deleted


@pytest.mark.parametrize(
    ("sent", "deleted"),
    [
        (None, False),
        ("", False),
        ("other=1", False),
        ("mysession=1", False),
        ("session=junk", True),
        ("a=1; session=", True),
    ],
)
def test_only_a_cookie_that_was_sent_is_deleted(sent, deleted):
    site = Site()
    request = Request.blank("/", headers={} if sent is None else {"Cookie": sent})
    session = site.session(request)
    session.invalidate()
    cookies = cookies_of(site.respond(session, request))
    assert bool(cookies) is deleted
    assert all(cookie.startswith("session=; Max-Age=0;") for cookie in cookies)


def test_a_session_begun_after_an_ending_is_set_not_deleted():
    site = Site()
    request = site.sending(cookie_of(site.new_session()))
    session = site.session(request)
    session.invalidate()
    session["cart"] = []
    session.save()
    [cookie] = cookies_of(site.respond(session, request))
    assert cookie.startswith(f"session={site.signer.sign(cookie_of(session))};")


def test_a_cookie_whose_record_is_gone_is_left_alone():
    site = Site()
    request = site.sending(Presented("a" * 22, "b" * 43))
    session = site.session(request)
    assert "cart" not in session
    assert cookies_of(site.respond(session, request)) == []


# The scheme


@pytest.mark.parametrize(
    ("trust_proxy", "scheme", "forwarded", "secure"),
    [
        (False, "http", None, False),
        (False, "https", None, True),
        (False, "http", "https", False),
        (False, "https", "http", True),
        (True, "http", None, False),
        (True, "https", None, True),
        (True, "http", "https", True),
        (True, "http", "HTTPS", True),
        (True, "http", "https, http", True),
        (True, "http", "http, https", False),
        (True, "https", "http", False),
    ],
)
def test_trust_proxy(trust_proxy, scheme, forwarded, secure):
    site = Site(trust_proxy=trust_proxy)
    headers = {} if forwarded is None else {"X-Forwarded-Proto": forwarded}
    request = Request.blank("/", base_url=f"{scheme}://localhost", headers=headers)
    [cookie] = cookies_of(site.respond(site.new_session(), request))
    assert ("; Secure" in cookie) is secure


def test_a_secure_cookie_is_not_sent_over_http_and_that_is_warned_of_once(caplog):
    site = Site(cookie_secure=True)
    for _ in range(3):
        session = site.new_session()
        response = site.respond(session)
        assert cookies_of(response) == []
        assert "Cache-Control" not in response.headers
        assert cookie_of(session).secret not in caplog.text
    [record] = [record for record in caplog.records if record.name == "pyramid_sessionkit"]
    assert record.levelno == logging.WARNING
    assert "sessionkit.cookie_secure" in record.getMessage()
    assert len(cookies_of(site.respond(site.new_session(), over_https()))) == 1


def test_a_secure_cookie_is_not_deleted_over_http(caplog):
    site = Site(cookie_name="__Host-s")
    request = Request.blank("/", headers={"Cookie": "__Host-s=junk"})
    session = site.session(request)
    session.invalidate()
    assert cookies_of(site.respond(session, request)) == []
    assert len([r for r in caplog.records if r.name == "pyramid_sessionkit"]) == 1


def test_a_warning_about_the_path_does_not_hide_the_one_about_https(caplog):
    site = Site(cookie_secure=True, cookie_path="/shop")
    site.respond(site.new_session(), over_https("/"))
    site.respond(site.new_session(), Request.blank("/shop"))
    assert "sessionkit.cookie_path" in caplog.text
    assert "sessionkit.cookie_secure" in caplog.text


# The path


@pytest.mark.parametrize(
    ("cookie_path", "script_name", "path", "sent"),
    [
        ("/", "", "", True),
        ("/", "", "/", True),
        ("/shop", "", "/shop", True),
        ("/shop", "", "/shop/cart", True),
        ("/shop", "", "/shopping", False),
        ("/shop", "", "/", False),
        ("/shop", "/shop", "/cart", True),
        ("/shop", "/shop", "", True),
        ("/shop", "/app", "/shop", False),
        ("/caf%C3%A9", "", "/caf\xc3\xa9", True),
        ("/a%20b", "", "/a b/c", True),
        ("/~ann", "", "/~ann/x", True),
    ],
)
def test_no_cookie_outside_its_path(cookie_path, script_name, path, sent):
    site = Site(cookie_path=cookie_path)
    request = Request(
        {"REQUEST_METHOD": "GET", "SCRIPT_NAME": script_name, "PATH_INFO": path, "wsgi.url_scheme": "http"}
    )
    assert bool(cookies_of(site.respond(site.new_session(), request))) is sent


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (over_https("/shop"), None),
        (over_https("/"), "sessionkit.cookie_path"),
        (Request.blank("/shop"), "sessionkit.cookie_secure"),
    ],
)
def test_refusal(request_, refused):
    refusal = Site(cookie_secure=True, cookie_path="/shop").headers.refusal(request_)
    assert refusal is None if refused is None else refused in refusal


# cookie_options


def test_cookie_options_are_asked_for_each_request():
    def embedded(request):
        return {"cookie_samesite": "None", "cookie_partitioned": True} if "embed" in request.params else {}

    site = Site(embedded)
    [cookie] = cookies_of(site.respond(site.new_session(), over_https("/?embed=1")))
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=None; Partitioned")
    [cookie] = cookies_of(site.respond(site.new_session(), over_https("/")))
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")


def test_cookie_options_hold_for_a_deletion():
    site = Site(lambda request: {"cookie_domain": "a.example"})
    request = Request.blank("/", headers={"Cookie": "session=junk"})
    session = site.session(request)
    session.invalidate()
    assert "; Domain=a.example;" in cookies_of(site.respond(session, request))[0]


def test_cookie_options_decide_where_the_cookie_is_refused():
    site = Site(lambda request: {"cookie_secure": True, "cookie_path": "/shop"})
    assert site.headers.refusal(over_https("/shop")) is None
    assert "cookie_secure" in site.headers.refusal(Request.blank("/shop"))
    assert "cookie_path" in site.headers.refusal(over_https("/"))


def test_bad_cookie_options_are_refused():
    site = Site(lambda request: {"secure": True})
    with pytest.raises(ConfigurationError, match="cookie_options returned secure"):
        site.respond(site.new_session())


def test_cookie_options_cost_nothing_where_no_cookie_is_sent():
    def never(request):
        raise AssertionError("asked for a request that sends no cookie")

    site = Site(never)
    site.respond(site.session())
