"""A client that keeps no cookies has a session as a browser has."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.response import Response

from pyramid_sessionkit import why_logged_out
from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.adoption.old_site import DictSessions
from tests.conftest import SECRET
from tests.session_header.site import NAME, Client, Site, cookie_in

NEW_SECRET = "another-secret-of-thirty-two-characters"


@pytest.fixture
def site(any_store: Any) -> Site:
    return Site(any_store)


@pytest.fixture
def client(site: Site) -> Client:
    return Client(site)


def test_it_gets_its_id_once_and_keeps_its_session(client: Client) -> None:
    first = client.get("/put")
    assert first.headers.getall(NAME) == [client.session]
    assert NAME not in client.get("/put").headers
    assert client.sees() == {"contents": {"n": 2}, "userid": None}


def test_nothing_is_stored_before_something_is_put_in(client: Client) -> None:
    assert NAME not in client.get("/look").headers
    assert NAME not in client.get("/idle").headers
    assert client.site.store.count() == 0


def test_a_browser_beside_it_gets_a_cookie(site: Site) -> None:
    response = site.ask("/put")
    assert NAME not in response.headers
    cookie = cookie_in(response)
    assert site.ask("/look", Cookie=f"session={cookie}").json_body["contents"] == {"n": 1}


def test_without_the_setting_the_header_means_nothing(any_store: Any) -> None:
    response = Site(any_store, header_name="none").ask("/put", X_Session="")
    assert NAME not in response.headers
    assert cookie_in(response)
    assert response.headers["Vary"] == "Cookie"


def test_a_login_gives_it_a_new_id_and_keeps_contents(client: Client) -> None:
    client.get("/put")
    before = client.session
    client.post("/login")
    assert client.session != before
    assert client.sees() == {"contents": {"n": 1}, "userid": "ada"}
    assert Client(client.site, before).sees()["userid"] is None


def test_a_logout_says_with_an_empty_header_forget_it(client: Client) -> None:
    client.post("/login")
    before = client.session
    assert client.post("/logout").headers.getall(NAME) == [""]
    assert client.site.store.count() == 0
    assert Client(client.site, before).sees() == {"contents": {}, "userid": None}


def test_a_logout_without_an_id_sends_nothing(client: Client) -> None:
    assert NAME not in client.post("/logout").headers


def test_a_form_asked_for_after_a_logout_keeps_it_out(client: Client, any_store: Any) -> None:
    def both(request: Any) -> Response:
        request.session.invalidate()
        return Response(request.session.get_csrf_token())

    def setup(config: Configurator) -> None:
        config.add_route("both", "/both")
        config.add_view(both, route_name="both")

    client = Client(Site(any_store, setup))
    client.post("/login")
    assert client.get("/both").headers.getall(NAME) == [""]


def test_a_csrf_token_sends_it_no_blank_id(client: Client) -> None:
    assert NAME not in client.get("/token").headers


def test_a_csrf_token_of_its_session_is_the_same_each_time(client: Client) -> None:
    client.get("/put")
    assert client.get("/token").text == client.get("/token").text


@pytest.mark.parametrize("known", ["live", "ended"])
def test_logging_in_anew_works_whatever_it_has(client: Client, known: str) -> None:
    client.post("/login")
    if known == "ended":
        client.site.store.clear()
    client.post("/login?user=bob")
    assert client.sees()["userid"] == "bob"


def test_contents_that_cannot_be_read_give_way_to_a_new_session(client: Client) -> None:
    client.get("/put")
    store, key = client.site.store, client.session.partition(".")[0]
    store.update(key, store.load(key, True)._replace(data=b"not JSON"))
    assert client.sees()["contents"] == {}
    client.get("/put")
    assert client.sees()["contents"] == {"n": 1}


def test_its_id_outlives_a_change_of_the_secret(any_store: Any) -> None:
    client = Client(Site(any_store))
    client.post("/login")
    client.site = Site(any_store, secret=f"{NEW_SECRET} {SECRET}")
    assert client.sees()["userid"] == "ada"
    client.get("/regenerate")
    client.site = Site(any_store, secret=NEW_SECRET)
    assert client.sees()["userid"] == "ada"


def test_the_name_of_the_header_may_change_its_case(any_store: Any) -> None:
    client = Client(Site(any_store))
    client.get("/put")
    client.site = Site(any_store, header_name="x-session")
    assert client.sees()["contents"] == {"n": 1}


@pytest.mark.parametrize("rolling", ["false", "true"])
def test_an_id_it_has_is_not_sent_again(any_store: Any, rolling: str) -> None:
    client = Client(Site(any_store, persistent="true", rolling=rolling))
    assert "Max-Age" not in client.get("/put").headers[NAME]
    assert NAME not in client.get("/put").headers


def test_the_path_and_domain_of_the_cookie_do_not_matter(any_store: Any) -> None:
    client = Client(Site(any_store, cookie_path="/elsewhere", cookie_domain="example.com"))
    client.get("/put")
    assert client.sees()["contents"] == {"n": 1}


def test_keys_begin_with_the_prefix_of_the_application(any_store: Any) -> None:
    client = Client(Site(any_store, key_prefix=lambda request: "shop-"))
    client.get("/put")
    assert client.session.startswith("shop-")


def test_one_response_object_for_all_gives_each_its_own_id(any_store: Any) -> None:
    everybodys = Response("the same object")

    def view(request: Any) -> Response:
        request.session["n"] = 1
        return everybodys

    def setup(config: Configurator) -> None:
        config.add_route("shared", "/shared")
        config.add_view(view, route_name="shared")

    site = Site(any_store, setup)
    clients = [Client(site) for _ in range(3)]
    for client in clients:
        assert client.get("/shared").headers.getall(NAME) == [client.session]
    assert len({client.session for client in clients}) == 3
    assert NAME not in site.ask("/shared").headers
    assert NAME not in clients[0].get("/shared").headers


def test_an_id_that_came_late_stays_with_its_client(any_store: Any) -> None:
    """After the last look at the response object that all get."""
    everybodys = Response("the same object")

    def put_in(request: Any, response: Response) -> None:
        request.session["n"] = 1

    def view(request: Any) -> Response:
        if "late" in request.params:
            request.add_response_callback(put_in)
        return everybodys

    def setup(config: Configurator) -> None:
        config.add_route("shared", "/shared")
        config.add_view(view, route_name="shared")

    site = Site(any_store, setup)
    assert Client(site).get("/shared?late=1").headers[NAME]
    assert NAME not in Client(site).get("/shared").headers
    assert NAME not in site.ask("/shared").headers


def test_an_old_cookie_is_neither_adopted_nor_deleted(any_store: Any) -> None:
    old = DictSessions({"token": Adopted({"n": 7}, "ada")})
    client = Client(Site(any_store, lambda config: config.set_session_adoption(old)))
    assert client.get("/look", Cookie="old=token").json_body == {"contents": {}, "userid": None}
    client.post("/login", Cookie="old=token")
    client.post("/logout", Cookie="old=token")
    assert not old.forgotten


@pytest.mark.parametrize("end", ["timeout", "lifetime"])
def test_it_learns_why_its_login_has_ended(clock: Any, end: str) -> None:
    def setup(config: Configurator) -> None:
        config.add_route("why", "/why")
        config.add_view(lambda request: {"why": why_logged_out(request)}, route_name="why", renderer="json")

    client = Client(Site(MemoryStore(), setup, timeout=60, lifetime=60 if end == "lifetime" else 600))
    client.post("/login")
    clock(100)
    assert client.get("/why").json_body == {"why": end}
