"""The samples of ``docs/howto/owned.rst``, run as they are shown there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.security import remember
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session, sessionmaker
from webtest import TestApp

from pyramid_sessionkit.owned import NotOwned
from tests.test_docs import module_of

NAMES = ("models", "views", "guard", "objects", "unowned", "admin", "script")
PATHS = {
    "messages": "/messages",
    "message": "/messages/{id}",
    "rename": "/rename/{id}",
    "forgetful": "/forgetful",
    "sign_up": "/sign_up",
    "all_messages": "/all_messages",
    "moderate": "/moderate/{id}",
}
ADMIN = "1"


class Root:
    __acl__ = [("Allow", f"user:{ADMIN}", "admin")]


def get_tm_session(session_factory: Any, transaction_manager: Any) -> Session:
    session: Session = session_factory()
    zope.sqlalchemy.register(session, transaction_manager=transaction_manager)
    return session


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/docs.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def module(engine: Engine) -> Any:
    module = module_of(
        "howto/owned.rst",
        *(f"owned-{name}" for name in NAMES),
        get_tm_session=get_tm_session,
        session_factory=sessionmaker(engine),
    )
    module.Base.metadata.create_all(engine)
    return module


@pytest.fixture
def browser(make_app: Any, module: Any, engine: Engine) -> Any:

    def log_in(request: Any) -> Any:
        remember(request, request.matchdict["user"])
        return request.response

    def configure(config: Any) -> None:
        config.add_request_method(module.dbsession, reify=True)
        config.set_root_factory(lambda request: Root)
        for name, path in PATHS.items():
            config.add_route(name, path)
        config.scan(module)

    app = make_app(
        {"/log_in/{user}": log_in},
        includes=("pyramid_tm",),
        configure=configure,
        principals=lambda request, userid: [f"user:{userid}"],
    )

    def texts() -> list[str]:
        with Session(engine) as session:
            return list(session.scalars(select(module.Message.text).order_by(module.Message.id)))

    app.texts = texts
    return app


def write_messages(browser: Any) -> None:
    """Of Ada, who is the administrator, and of Bob, who is logged in then."""
    users = [browser.post("/sign_up", {"name": name}).json for name in ("Ada", "Bob")]
    for user in users:
        browser.get(f"/log_in/{user}")
        browser.post("/messages", {"text": f"of {user}"})


def test_samples(browser: Any) -> None:
    write_messages(browser)
    assert browser.get("/messages").json == ["of 2"]
    assert browser.put_json("/messages/1", {"text": "x"}).json == 0
    assert browser.put_json("/messages/2", {"text": "new"}).json == 1
    browser.post("/rename/2", {"text": "newer"})
    with pytest.raises(NotOwned):
        browser.post("/rename/1", {"text": "x"})
    with pytest.raises(NotOwned) as caught:
        browser.post("/forgetful")
    assert browser.texts() == ["of 1", "newer"]
    page = Path(__file__).parent.parent.parent / "docs/howto/owned.rst"
    assert str(caught.value) in " ".join(page.read_text(encoding="utf-8").split())


def test_nobody(browser: TestApp) -> None:
    browser.get("/messages", status=404)


def test_administrators(browser: Any, caplog: pytest.LogCaptureFixture) -> None:
    write_messages(browser)
    browser.get("/all_messages", status=403)
    browser.put_json("/moderate/1", {"text": "x"}, status=403)
    browser.get(f"/log_in/{ADMIN}")
    assert [message["text"] for message in browser.get("/all_messages").json] == ["of 1", "of 2"]
    browser.put_json("/moderate/3", {"text": "x"}, status=404)
    browser.put_json("/moderate/2", {"text": "moderated"})
    assert browser.texts() == ["of 1", "moderated"]
    assert "unowned: moderation of message 2 (user 1)" in caplog.messages
    with pytest.raises(NotOwned):
        browser.post("/rename/2", {"text": "x"})


def test_a_script(
    browser: Any, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_messages(browser)
    monkeypatch.setattr(module, "application", lambda global_config: browser.app, raising=False)
    ini = tmp_path / "app.ini"
    ini.write_text(f"[app:main]\nuse = call:{module.__name__}:application\n", encoding="utf-8")
    assert module.remove_messages(str(ini), 2) == 1
    assert browser.texts() == ["of 1"]
    assert "unowned: the messages of user 2 are removed (nobody is logged in)" in caplog.messages
