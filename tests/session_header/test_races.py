"""Requests of one client that run at once, in each order that there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyramid.request import Request

from tests.races.conftest import store
from tests.races.site import Answer, Site, key_of
from tests.races.test_id_changes import Race, opened_by
from tests.session_header.site import NAME

__all__ = ["store"]

pytestmark = [pytest.mark.exhaustive, pytest.mark.parametrize("kind", ["memory", "sqlite"])]


class HeaderSite(Site):
    """Its browsers are clients that send a header, also with nothing in it."""

    def ask(self, cookie: str | None, *wishes: str, method: str = "POST") -> Answer:
        path = "/do?" + "&".join(f"wish={wish}" for wish in wishes)
        request = Request.blank(path, method=method, headers={NAME: cookie or ""})
        response = request.get_response(self._application)
        assert "Set-Cookie" not in response.headers
        body = json.loads(response.body) if response.content_type == "application/json" else {}
        sent = response.headers.get(NAME)
        if sent:
            self.issued.append(sent)
        return Answer(response.status_int, body, sent)


class HeaderRace(Race):
    def __init__(self, store: Any, *before: str, **settings: Any) -> None:
        super().__init__(store, *before)
        self._site = HeaderSite(store, header_name=NAME, **settings)


@pytest.mark.parametrize("change", ["login:ada", "regenerate"])
def test_a_change_beside_a_new_id_is_kept(store: Any, change: str) -> None:
    for site, (client,), order in HeaderRace(store, "write:old").orders(("write:new",), (change,)):
        answers = dict(client.answers[1:])
        assert answers[change,].status == 200
        kept = {"old", "new"} if answers["write:new",].status == 200 else {"old"}
        assert set(site.contents(client.cookie)["cart"]) == kept, order


@pytest.mark.parametrize("before", ["write:old", "login:bob", "login:ada"])
def test_a_login_sent_twice_logs_in_once(store: Any, before: str) -> None:
    for site, (client,), order in HeaderRace(store, before).orders(("login:ada",), ("login:ada",)):
        assert [answer.status for _, answer in client.answers[1:]] == [200, 200], order
        assert site.whose(client.cookie) == "ada", order
        assert len({sent for sent in site.issued[1:] if site.whose(sent) == "ada"}) == 1, order


def test_two_first_logins_leave_it_logged_in(store: Any) -> None:
    for site, (client,), order in HeaderRace(store).orders(("login:ada",), ("login:ada",)):
        assert site.whose(client.cookie) == "ada", order


def test_after_a_logout_no_id_of_the_session_opens_it(store: Any) -> None:
    for site, (client,), order in HeaderRace(store, "login:ada", "write:old").orders(("logout",), ("regenerate",)):
        status = dict(client.answers)["logout",].status
        assert status in (200, 503), order
        if status == 200:
            assert opened_by(site, key_of(site.issued[0])) == [], order


@pytest.mark.parametrize("wish", ["read", "write:x", "regenerate", "invalidate"])
def test_a_stolen_old_id_opens_nothing(store: Any, wish: str) -> None:
    for site, (victim, thief), order in HeaderRace(store, "write:old").orders(
        ("login:ada", "write:secret"), ("1", "who", wish), browsers=2, stolen=True
    ):
        assert site.whose(victim.cookie) == "ada", order
        assert "secret" in site.contents(victim.cookie)["cart"], order
        assert "secret" not in str(site.contents(thief.cookie)), order
