"""What Pyramid's quick tutorial makes: as it is, with our sessions, and with our login."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp, TestResponse

from pyramid_sessionkit import get_sessions
from tests.applications.steps import MODES, load, settings_of
from tests.test_docs import named_blocks

OUR_SESSIONS = """\
-        session_factory=SignedCookieSessionFactory("itsaseekreet"),
"""

OUR_LOGIN = f"""\
{OUR_SESSIONS}@@
-    config.set_security_policy(SecurityPolicy("sosecret"))
@@
+def identity(request, userid):
+    return userid if userid in USERS else None
+
+
+def principals(request, userid):
+    return GROUPS.get(userid, [])
+
+
 class SecurityPolicy:
"""

# Joined mode needs to know the SQLAlchemy session that all requests share.
DBSESSION = f"""@@
     config.add_route("home", "/")
+    {named_blocks("howto/joined.rst")["joined-scoped"].text}"""

INCLUDES = {
    "without": "pyramid_jinja2 pyramid_tm",
    "memory": "pyramid_jinja2 pyramid_tm pyramid_sessionkit",
    "independent": "pyramid_sessionkit pyramid_tm pyramid_jinja2",
    "joined": "pyramid_sessionkit pyramid_jinja2 pyramid_tm",
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    with ExitStack() as stack:

        def start_(changes: str, mode: str) -> Any:
            settings = settings_of(mode, tmp_path) | {"pyramid.includes": INCLUDES[mode]}
            if changes == OUR_LOGIN:
                settings |= {
                    f"sessionkit.{name}": f"changed_quick_tutorial.{name}" for name in ("identity", "principals")
                }
            elif mode != "without":
                settings["sessionkit.security_policy"] = "false"
            tutorial = load("quick_tutorial", changes + DBSESSION if mode == "joined" else changes)
            app = tutorial.main({}, **settings)
            engine = tutorial.DBSession.get_bind()
            tutorial.DBSession.remove()
            stack.callback(engine.dispose)
            tutorial.Base.metadata.create_all(engine)
            return app

        yield start_


def log_in(page: TestResponse, name: str, password: str) -> TestResponse:
    page.form["login"], page.form["password"] = name, password
    return page.form.submit("form.submitted")


def visit(browser: TestApp) -> None:
    """What the chapters have their readers try."""
    assert "Count: 1" in browser.get("/")
    assert "Count: 2" in browser.get("/")

    page = log_in(browser.get("/add"), "viewer", "wrong")
    assert "Failed login" in page
    page = log_in(page, "viewer", "viewer").follow()
    assert "form.submitted" in page, "a viewer may not add pages"
    page = log_in(page, "editor", "editor").follow()
    assert "Required" in page.form.submit("submit")
    page.form["title"], page.form["body"] = "Hello", "world"
    page = page.form.submit("submit").follow()
    assert "Added Hello" in page
    assert "Hello: world" in page
    assert "Logout" in page
    assert "Added Hello" not in browser.get("/")
    browser.post("/add", {"title": "forged", "body": "", "submit": ""}, status=400)

    assert "Login" in page.click("Logout").follow()
    assert "form.submitted" in browser.get("/add")


def test_the_chapters_are_what_they_are_without_us(start: Any) -> None:
    visit(TestApp(start("", "without")))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("changes", [OUR_SESSIONS, OUR_LOGIN], ids=["sessions", "login"])
def test_the_chapters_work_with_us(start: Any, changes: str, mode: str) -> None:
    app = start(changes, mode)
    visit(TestApp(app))
    assert [session.userid for session in get_sessions(app.registry).all(10)] == [None]


def test_a_factory_that_was_forgotten_is_named(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    start("", "memory")
    assert "Remove the other session factory: Configurator(session_factory=...)" in caplog.text
