"""Tasks of a real Celery: what goes through its broker, and what its worker does to a session."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from kombu.transport.memory import Channel
from pyramid.config import Configurator
from pyramid.events import BeforeRender
from pyramid.paster import get_app
from pyramid.request import Request
from pyramid.security import forget, remember
from webtest import TestApp

from tests.conftest import SECRET
from tests.test_docs import module_of

SECONDS = 20


class Site:
    """A web process and a worker of it, each with an application of its own, as the page shows them."""

    def __init__(self, ini: Path, tasks: ModuleType, sent: list[str]) -> None:
        self.tasks = tasks
        self.sent = sent
        """The messages, as the broker has them."""
        self.wsgi = get_app(str(ini))
        self.results: list[Any] = []

    def browser(self) -> TestApp:
        """One in which Ada is logged in."""
        browser = TestApp(self.wsgi)
        browser.get("/in")
        return browser

    def finish(self) -> list[str]:
        """Wait for the tasks that were queued, and return what they returned."""
        found = [result.get(timeout=SECONDS) for result in self.results]
        self.results.clear()
        return found


def app(global_config: Any, **settings: Any) -> Any:
    config = Configurator(settings=settings)
    config.include("pyramid_tm")
    config.include("pyramid_sessionkit")
    for name, view in {"in": log_in, "out": log_out, "look": look}.items():
        config.add_route(name, f"/{name}")
        config.add_view(view, route_name=name, renderer="json")
    config.add_subscriber(fail, BeforeRender)
    config.add_route("report", "/report")
    config.add_route("slow", "/slow")
    config.add_view(slow, route_name="slow", renderer="json")
    config.scan(VIEWS[0])
    return config.make_wsgi_app()


VIEWS: list[ModuleType] = []
"""The module of the page's view."""


def log_in(request: Request) -> None:
    remember(request, "ada")


def log_out(request: Request) -> None:
    forget(request)


def look(request: Request) -> dict[str, Any]:
    return dict(request.session)


def fail(event: BeforeRender) -> None:
    """After the view, and before the commit."""
    if "fail" in event["request"].params:
        raise RuntimeError("the page cannot be rendered")


def slow(request: Request) -> None:
    """It has read its session before the task runs, and writes after it."""
    session = request.session
    session["read"] = len(session)
    result = VIEWS[0].make_report.delay(session.key, session.userid)  # type: ignore[attr-defined]
    session["task"] = result.get(timeout=SECONDS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("celery")
    ini = folder / "app.ini"
    ini.write_text(
        f"[app:main]\nuse = call:{__name__}:app\nsessionkit.secret = {SECRET}\nsessionkit.store = sql\n"
        f"sessionkit.sql.url = sqlite:///{folder}/sessions.sqlite\nsessionkit.sql.create_table = true\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYAPP_INI", str(ini))
        patch.setenv("MYAPP_BROKER", "memory://")
        tasks = module_of("howto/tasks.rst", "tasks-worker", "tasks-view")
        tasks.queue.conf.result_backend = "cache+memory://"
        VIEWS.append(tasks)
        found = Site(ini, tasks, _noted_messages(patch))
        patch.setattr(tasks.make_report, "delay", _noting_results(tasks.make_report.delay, found.results))
        with start_worker(tasks.queue, pool="solo", perform_ping_check=False, shutdown_timeout=SECONDS):
            yield found
    VIEWS.clear()


def _noted_messages(patch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    put = Channel._put

    def noted(self: Any, queue: str, message: Any, **kwargs: Any) -> Any:
        sent.append(json.dumps(message) + b64decode(message["body"]).decode())
        return put(self, queue, message, **kwargs)

    patch.setattr(Channel, "_put", noted)
    return sent


def _noting_results(delay: Any, results: list[Any]) -> Any:
    def delayed(*args: Any) -> Any:
        results.append(delay(*args))
        return results[-1]

    return delayed


def test_a_task_finds_the_session_without_its_secret(site: Site) -> None:
    browser = site.browser()
    key, secret, signature = browser.cookies["session"].strip('"').split(".")
    site.sent.clear()
    assert browser.post("/report").json == {"report": "in preparation"}
    assert site.finish() == ["done"]
    assert browser.get("/look").json == {"report": "/reports/ada.pdf"}
    (message,) = [text for text in site.sent if "make_report" in text]
    assert key in message
    assert secret not in message
    assert signature not in message


def test_a_task_and_a_request_at_once_both_arrive(site: Site) -> None:
    browser = site.browser()
    browser.get("/slow")
    assert browser.get("/look").json == {"read": 0, "report": "/reports/ada.pdf", "task": "done"}


def test_a_task_of_a_user_who_left_brings_nothing_back(site: Site) -> None:
    browser = site.browser()
    key = browser.cookies["session"].strip('"').partition(".")[0]
    browser.get("/out")
    site.results.clear()
    site.tasks.make_report.delay(key, "ada")
    assert site.finish() == ["logged out"]
    assert browser.get("/look").json == {}


def test_nothing_is_queued_for_a_request_that_fails(site: Site) -> None:
    browser = site.browser()
    site.results.clear()
    with pytest.raises(RuntimeError):
        browser.post("/report?fail=1")
    assert site.results == []
