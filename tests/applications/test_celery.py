"""Tasks of a real Celery: what goes through its broker, and what its worker does to a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from kombu.transport.memory import Channel
from pyramid.config import Configurator
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
        self.browser = TestApp(self.wsgi)

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


def slow(request: Request) -> None:
    """It has read its session before the task runs, and writes after it."""
    session = request.session
    session["read"] = len(session)
    result = VIEWS[0].make_report.delay(session.key, session.userid)  # type: ignore[attr-defined]
    session["task"] = result.get(timeout=SECONDS)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    ini = tmp_path / "app.ini"
    ini.write_text(
        f"[app:main]\nuse = call:{__name__}:app\nsessionkit.secret = {SECRET}\nsessionkit.store = sql\n"
        f"sessionkit.sql.url = sqlite:///{tmp_path}/sessions.sqlite\nsessionkit.sql.create_table = true\n"
    )
    monkeypatch.setenv("MYAPP_INI", str(ini))
    monkeypatch.setenv("MYAPP_BROKER", "memory://")
    tasks = module_of("howto/tasks.rst", "tasks-worker", "tasks-view")
    tasks.queue.conf.update(result_backend="cache+memory://", task_default_queue=tmp_path.name)
    monkeypatch.setitem(globals(), "VIEWS", [tasks])
    sent: list[str] = []
    put = Channel._put

    def noted(self: Any, queue: str, message: Any, **kwargs: Any) -> Any:
        sent.append(json.dumps(message))
        return put(self, queue, message, **kwargs)

    monkeypatch.setattr(Channel, "_put", noted)
    found = Site(ini, tasks, sent)
    delay = tasks.make_report.delay

    def delayed(*args: Any) -> Any:
        result = delay(*args)
        found.results.append(result)
        return result

    monkeypatch.setattr(tasks.make_report, "delay", delayed)
    with start_worker(tasks.queue, pool="solo", perform_ping_check=False, shutdown_timeout=SECONDS):
        yield found


def test_a_task_finds_the_session_without_its_secret(site: Site) -> None:
    site.browser.get("/in")
    key, secret, signature = site.browser.cookies["session"].strip('"').split(".")
    assert site.browser.post("/report").json == {"report": "in preparation"}
    assert site.finish() == ["done"]
    assert site.browser.get("/look").json == {"report": "/reports/ada.pdf"}
    (message,) = [text for text in site.sent if "make_report" in text]
    decoded = message + str(json.loads(message))
    assert key in _opened(message)
    assert not [part for part in (secret, signature) if part in decoded or part in _opened(message)]


def _opened(message: str) -> str:
    """The body of a message, which is base64."""
    from base64 import b64decode

    return b64decode(json.loads(message)["body"]).decode()


def test_a_task_and_a_request_at_once_both_arrive(site: Site) -> None:
    site.browser.get("/in")
    site.browser.get("/slow")
    assert site.browser.get("/look").json == {"read": 0, "report": "/reports/ada.pdf", "task": "done"}


def test_a_task_of_a_user_who_left_brings_nothing_back(site: Site) -> None:
    site.browser.get("/in")
    key = site.browser.cookies["session"].strip('"').partition(".")[0]
    site.browser.get("/out")
    site.tasks.make_report.delay(key, "ada")
    assert site.finish() == ["logged out"]
    assert site.browser.get("/look").json == {}
