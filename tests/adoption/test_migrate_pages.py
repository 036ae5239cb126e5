"""Who follows docs/howto/migrate word for word keeps its visitors: what the pages say is run."""

from __future__ import annotations

import textwrap
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.security import remember

from tests.adoption.old_pyramid import needs, put
from tests.adoption.old_site import VIEWS, Browser
from tests.conftest import SECRET

PAGES = Path(__file__).parents[2] / "docs" / "howto" / "migrate"

pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
    # The old sites have what Pyramid 2 calls deprecated.
    pytest.mark.filterwarnings("ignore:Authentication and authorization policies:DeprecationWarning"),
]


def block(page: str, caption: str) -> str:
    """The code under this caption."""
    lines = (PAGES / f"{page}.rst").read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.strip().startswith(f":caption: {caption}"))
    indent = len(lines[start]) - len(lines[start].lstrip())
    end = next(
        (at for at in range(start + 1, len(lines)) if lines[at].strip() and not lines[at].startswith(" " * indent)),
        len(lines),
    )
    return textwrap.dedent("\n".join(lines[start + 1 : end]))


def login(request: Any) -> dict[str, Any]:
    request.response.headerlist.extend(remember(request, "ada"))
    return {}


def site(page: str, when: str, settings: dict[str, Any], views: Any, **replaced: str) -> Any:
    source = block(page, f"myapp/__init__.py, {when}") + "\n    return config\n"
    for old, new in replaced.items():
        source = source.replace(old.replace("_", "."), new)
    names: dict[str, Any] = {"Configurator": Configurator, "ACLAuthorizationPolicy": ACLAuthorizationPolicy}
    names["groups"] = lambda userid, request: []
    exec(source, names)
    config = names["main"]({}, **settings)
    for view in views:
        config.add_route(view.__name__, f"/{view.__name__}")
        config.add_view(view, route_name=view.__name__, renderer="json")
    return config.make_wsgi_app()


def follow(page: str, settings: dict[str, Any], in_session: bool = True, **replaced: str) -> None:
    settings = {"session.secret": "old-secret", "authtkt.secret": "old-secret", **settings}
    before = site(page, "before", settings, [put, login], **replaced)
    browser = Browser(before, {})
    browser.get("/login")
    if in_session:
        browser.get("/put?what=pears")
    had = dict(browser.cookies)
    assert had
    ours = {"sessionkit.secret": SECRET, "sessionkit.cookie_name": "sid"}
    browser.app = site(page, "after", {**settings, **ours}, VIEWS, **replaced)
    contents = {"cart": ["pears"]} if in_session else {}
    assert browser.get("/show").json == {"contents": contents, "userid": "ada"}
    assert {name: browser.cookies[name] for name in had} == had
    browser.app = before
    assert browser.get("/put?what=plums" if in_session else "/login").status_int == 200


def test_signed_cookie_is_right() -> None:
    follow("signed_cookie", {})


def test_authtkt_is_right() -> None:
    follow("authtkt", {}, in_session=False)


def test_beaker_is_right(tmp_path: Path) -> None:
    needs("pyramid_beaker")
    ini = RawConfigParser()
    ini.read_string("[app]\n" + block("beaker", "production.ini, before").replace("%(here)s", str(tmp_path)))
    follow("beaker", dict(ini["app"]))


@pytest.mark.servers
def test_pyramid_session_redis_is_right(server: Any) -> None:
    needs("pyramid_session_redis")
    follow("pyramid_session_redis", {}, redis_internal="127.0.0.1:" + str(server("redis").port))
