"""The samples of ``docs/howto/owned.rst``, run as they are shown there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.security import remember
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker
from webtest import TestApp

from pyramid_sessionkit.owned import NotOwned
from tests.test_docs import module_of

NAMES = ("models", "views", "guard", "objects", "unowned")
PATHS = {"messages": "/messages", "message": "/messages/{id}", "rename": "/rename/{id}", "forgetful": "/forgetful"}


def get_tm_session(session_factory: Any, transaction_manager: Any, request: Any = None) -> Session:
    """As the cookiecutter has it."""
    session: Session = session_factory(info={"request": request})
    zope.sqlalchemy.register(session, transaction_manager=transaction_manager)
    return session


@pytest.fixture
def browser(make_app: Any, tmp_path: Path) -> Iterator[Any]:
    engine = create_engine(f"sqlite:///{tmp_path}/docs.sqlite")
    module = module_of(
        "howto/owned.rst",
        *(f"owned-{name}" for name in NAMES),
        get_tm_session=get_tm_session,
        session_factory=sessionmaker(engine),
    )
    module.Base.metadata.create_all(engine)

    def log_in(request: Any) -> Any:
        remember(request, request.matchdict["user"])
        return request.response

    def configure(config: Any) -> None:
        config.add_request_method(module.dbsession, reify=True)
        for name, path in {**PATHS, "sign_up": "/sign_up"}.items():
            config.add_route(name, path)
        config.scan(module)

    app = make_app({"/log_in/{user}": log_in}, includes=("pyramid_tm",), configure=configure)

    def texts() -> list[str]:
        with Session(engine) as session:
            return list(session.scalars(select(module.Message.text).order_by(module.Message.id)))

    app.texts = texts
    yield app
    engine.dispose()


def test_samples(browser: Any) -> None:
    users = [browser.post("/sign_up", {"name": name}).json for name in ("Ada", "Bob")]
    for user in users:
        browser.get(f"/log_in/{user}")
        browser.post("/messages", {"text": f"of {user}"})
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
