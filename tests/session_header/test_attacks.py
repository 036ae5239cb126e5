"""What somebody else may send, and what must not come of it."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request

from pyramid_sessionkit import SuspiciousCookie
from pyramid_sessionkit.session_id.session_header import SessionHeader
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.state import BLANK_KEY, Presented
from tests.conftest import SECRET
from tests.session_header.site import NAME, Client, Site, cookie_in


@pytest.fixture
def site(any_store: Any) -> Site:
    return Site(any_store)


def suspicions(site: Site) -> list[str]:
    return [event.kind for event in site.told if isinstance(event, SuspiciousCookie)]


NOBODY = {"contents": {}, "userid": None}


class TestTwoKinds:
    @pytest.fixture(params=["session", NAME, NAME.lower()])
    def site(self, any_store: Any, request: pytest.FixtureRequest) -> Site:
        return Site(any_store, cookie_name=request.param)

    def test_the_id_of_a_cookie_opens_nothing_as_header(self, site: Site) -> None:
        cookie = cookie_in(site.ask("/login"))
        assert Client(site, cookie).sees() == NOBODY
        assert suspicions(site) == ["signature"]

    def test_the_id_of_a_header_opens_nothing_as_cookie(self, site: Site) -> None:
        client = Client(site)
        client.get("/login")
        cookie = f"session={client.session}; {NAME}={client.session}; {NAME.lower()}={client.session}"
        assert site.ask("/look", Cookie=cookie).json_body == NOBODY
        assert suspicions(site) == ["signature"]

    def test_a_blank_cookie_begins_nothing_as_header(self, site: Site) -> None:
        blank = cookie_in(site.ask("/token"))
        client = Client(site, blank)
        client.get("/put")
        assert client.session != blank
        assert suspicions(site) == ["signature"]


class TestBoth:
    """A header and a cookie with different sessions."""

    @pytest.fixture
    def cookie(self, site: Site) -> str:
        return f"session={cookie_in(site.ask('/login?user=ada'))}"

    def test_the_header_counts_alone(self, site: Site, cookie: str) -> None:
        client = Client(site)
        client.get("/login?user=bob")
        assert client.get("/look", Cookie=cookie).json_body["userid"] == "bob"
        client.get("/put", Cookie=cookie)
        assert site.ask("/look", Cookie=cookie).json_body == {"contents": {}, "userid": "ada"}

    def test_a_logout_leaves_the_session_of_the_cookie(self, site: Site, cookie: str) -> None:
        client = Client(site)
        client.get("/login?user=bob")
        client.get("/logout", Cookie=cookie)
        assert site.ask("/look", Cookie=cookie).json_body["userid"] == "ada"

    @pytest.mark.parametrize("sent", ["", "rubbish"])
    def test_a_header_without_an_id_does_not_use_the_cookie(self, site: Site, cookie: str, sent: str) -> None:
        assert Client(site, sent).get("/look", Cookie=cookie).json_body == NOBODY


@pytest.mark.parametrize(
    "chosen",
    [
        "x",
        ",",
        "x" * 100_000,
        f"{'k' * 22}.{'s' * 43}",
        f"{BLANK_KEY}.{'s' * 43}.{'s' * 43}",
        f"{'k' * 22}.{'s' * 43}.{'s' * 43}",
        "\xff\x00\udcff",
        "a\r\nSet-Cookie: session=evil",
    ],
)
def test_nobody_chooses_their_id(site: Site, chosen: str) -> None:
    environ = {**Request.blank("/put").environ, "HTTP_X_SESSION": chosen}
    response = Request(environ).get_response(site.application)
    assert response.json_body == {"contents": {"n": 1}, "userid": None}
    (given,) = response.headers.getall(NAME)
    assert given != chosen
    assert "evil" not in str(response.headerlist)
    assert len(suspicions(site)) == 1


def test_a_signed_id_of_no_session_gets_another_key(site: Site) -> None:
    """As after an end of the session: its key is not created again."""
    signed = SessionHeader(NAME, [SECRET.encode()]).sign(Presented("k" * 22, "s" * 43))
    client = Client(site, signed)
    client.get("/put")
    assert client.session.partition(".")[0] not in ("", "k" * 22)


def test_an_id_that_was_planted_before_a_login_opens_nothing(site: Site) -> None:
    attacker = Client(site)
    attacker.get("/put")
    victim = Client(site, attacker.session)
    victim.post("/login")
    assert attacker.sees()["userid"] is None


def test_several_ids_at_once_open_nothing(site: Site) -> None:
    one, other = Client(site), Client(site)
    for client in (one, other):
        client.post("/login")
    for joined in (f"{one.session},{other.session}", f"{one.session}, {one.session}"):
        assert Client(site, joined).sees() == NOBODY


def test_white_space_around_an_id_does_not_matter(site: Site) -> None:
    client = Client(site)
    client.get("/put")
    assert Client(site, f" \t{client.session} ").sees()["contents"] == {"n": 1}
    assert Client(site, f"\xa0{client.session}").sees() == NOBODY


def test_a_replaced_id_beside_the_new_one_stores_nothing(site: Site) -> None:
    client = Client(site)
    client.get("/put")
    old = Client(site, client.session)
    client.get("/login")
    before = old.session
    assert old.get("/look").json_body == NOBODY
    assert old.post("/put").status_int == 503
    assert old.session == before
    assert client.sees() == {"contents": {"n": 1}, "userid": "ada"}


@pytest.mark.parametrize(
    "settings",
    [{"cookie_secure": "true"}, {"cookie_name": "__Host-s"}, {"cookie_options": lambda _: {"cookie_secure": True}}],
)
class TestPlainHTTP:
    def test_no_id_goes_over_it(self, any_store: Any, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        client = Client(Site(any_store, **settings))
        assert NAME not in client.get("/login").headers
        assert any_store.count() == 0
        assert "No session ID was sent in a header and no session stored: sessionkit.cookie_secure" in caplog.text

    def test_https_is_as_without_the_setting(self, any_store: Any, settings: Any) -> None:
        client = Client(Site(any_store, **settings), base="https://localhost")
        client.get("/login")
        assert client.sees()["userid"] == "ada"

    def test_a_proxy_may_say_that_it_was_https(self, any_store: Any, settings: Any) -> None:
        client = Client(Site(any_store, trust_proxy="true", **settings))
        client.get("/login", X_Forwarded_Proto="https")
        assert client.sees()["userid"] == "ada"

    def test_a_logout_over_it_is_a_logout(self, any_store: Any, settings: Any) -> None:
        client = Client(Site(any_store, **settings), base="https://localhost")
        client.get("/login")
        client.base = "http://localhost"
        assert client.get("/logout").headers[NAME] == ""
        assert any_store.count() == 0


class TestName:
    @pytest.mark.parametrize("name", ["X-Session", "x-session", "Session-ID", "MyApp2-Session", "Cookies", "Fromage"])
    def test_it_may_be(self, name: str) -> None:
        assert parse_settings({"sessionkit.secret": SECRET, "sessionkit.header_name": name}).header_name == name

    @pytest.mark.parametrize("name", ["", "X Session", "X_Session", "X-Session:", "X-Séssion", "-X", "X-A\r\nB", "1-X"])
    def test_it_must_not_be(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=r"sessionkit\.header_name"):
            parse_settings({"sessionkit.secret": SECRET, "sessionkit.header_name": name})

    @pytest.mark.parametrize(
        "name",
        [
            *("Cookie", "cookie2", "Set-Cookie", "Authorization", "Proxy-Authorization", "Host", "Origin", "Range"),
            *("Accept", "Accept-Language", "Content-Type", "Content-Language", "Sec-Fetch-Site", "X-Requested-With"),
            *("X-CSRF-Token", "X-Forwarded-For", "Location", "Vary", "Cache-Control", "Access-Control-Allow-Origin"),
        ],
    )
    def test_headers_with_a_meaning_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="meaning of its own"):
            parse_settings({"sessionkit.secret": SECRET, "sessionkit.header_name": name})
