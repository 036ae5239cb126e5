"""No cache gives one client's response to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.response import Response

from pyramid_sessionkit.stores.memory import MemoryStore
from tests.session_header.site import NAME, Client, Site


@pytest.fixture
def respond() -> Callable[..., Response]:
    """The response to a client whose view used its session and set these headers."""

    def respond(path: str, client: bool = True, login: bool = False, **headers: str) -> Response:
        def view(request: Any) -> Response:
            if request.params.get("put"):
                request.session["n"] = 1
            else:
                dict(request.session)
            return Response(b"", headerlist=[(name.replace("_", "-"), value) for name, value in headers.items()])

        def setup(config: Configurator) -> None:
            config.add_route("view", "/view")
            config.add_view(view, route_name="view")

        site = Site(MemoryStore(), setup)
        if not client:
            return site.ask(path)
        sender = Client(site)
        if login:
            sender.get("/login")
        return sender.get(path)

    return respond


@pytest.mark.parametrize("client", [True, False], ids=["header", "cookie"])
@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({}, "Cookie, X-Session"),
        ({"Vary": "Accept"}, "Accept, Cookie, X-Session"),
        ({"Vary": "x-session"}, "x-session, Cookie"),
        ({"vary": "cookie,X-SESSION"}, "cookie,X-SESSION"),
        ({"Vary": "*"}, "*"),
    ],
)
def test_vary_names_both_whichever_was_sent(
    respond: Callable[..., Response], client: bool, there: dict[str, str], expected: str
) -> None:
    for path in ("/view", "/view?put=1"):
        assert respond(path, client, **there).headers.getall("Vary") == [expected]


def test_a_session_that_was_not_looked_at_adds_nothing() -> None:
    headers = Client(Site(MemoryStore())).get("/idle").headers
    assert not {"Vary", "Cache-Control", NAME} & set(headers)


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"Cache_Control": "public, max-age=60"},
        {"cache_control": "private, max-age=60"},
        {"Cache_Control": "no-cache", "CDN_Cache_Control": "max-age=60", "Surrogate_Control": "max-age=60"},
    ],
)
def test_what_has_an_id_is_not_stored_whatever_the_view_says(
    respond: Callable[..., Response], chosen: dict[str, str]
) -> None:
    headers = respond("/view?put=1", **chosen).headers
    assert headers[NAME]
    assert [value for name, value in headers.items() if name.lower().endswith("-control")] == ["no-store"]


def test_what_says_forget_it_is_not_stored_either() -> None:
    client = Client(Site(MemoryStore()))
    client.get("/login")
    response = client.get("/logout")
    assert (response.headers[NAME], response.headers["Cache-Control"]) == ("", "no-store")


def test_an_id_that_the_view_sent_is_replaced(respond: Callable[..., Response]) -> None:
    (value,) = respond("/view?put=1", x_session="of a subrequest").headers.getall(NAME)
    assert value != "of a subrequest"


@pytest.mark.parametrize(
    ("chosen", "expected"), [({}, "private"), ({"Cache_Control": "public, max-age=60"}, "public, max-age=60")]
)
def test_what_a_logged_in_client_sees_is_private(
    respond: Callable[..., Response], chosen: dict[str, str], expected: str
) -> None:
    assert respond("/view", login=True, **chosen).headers["Cache-Control"] == expected
