"""Applications that others wrote down in their tutorials: how a test changes their lines, starts and visits them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import transaction
from webtest import TestApp

from tests.conftest import SECRET

MODES = ["memory", "independent", "joined"]
"""Where the sessions are: in memory, in a database of their own, or in the transactions of the application."""


def settings_of(mode: str, folder: Path) -> dict[str, Any]:
    """The lines of an ini file. In joined mode the sessions are in the database of ``sqlalchemy.url``."""
    application = {"sqlalchemy.url": f"sqlite:///{folder}/application.sqlite", "retry.attempts": "3"}
    if mode == "without":
        return application
    if mode == "memory":
        return application | {"sessionkit.secret": SECRET, "sessionkit.store": "memory"}
    sql = application | {
        "sessionkit.secret": SECRET,
        "sessionkit.store": "sql",
        "sessionkit.sql.create_table": "true",
    }
    if mode == "joined":
        return sql | {"sessionkit.sql.dbsession": "dbsession"}
    return sql | {"sessionkit.sql.url": f"sqlite:///{folder}/sessions.sqlite"}


def load(name: str, changes: str = "") -> ModuleType:
    """An application of this folder as a new module, its lines changed as a diff says, in which ``@@`` parts hunks."""
    path = Path(__file__).with_name(f"{name}.py")
    source = path.read_text(encoding="utf-8")
    for hunk in changes.split("@@\n") if changes else ():
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in "- ")
        new = "".join(line[1:] for line in lines if line[0] in "+ ")
        assert source.count(old) == 1, f"{path.name} has not, or not once:\n{old}"
        source = source.replace(old, new)
    module = ModuleType(f"changed_{name}")
    # Models and views are looked up by the name of their module.
    sys.modules[module.__name__] = module
    exec(compile(source, path, "exec"), vars(module))
    return module


@contextmanager
def committed(app: Any, get_tm_session: Callable[..., Any]) -> Iterator[Any]:
    """A SQLAlchemy session of the application, as its scripts have one."""
    tm = transaction.TransactionManager(explicit=True)
    with tm:
        yield get_tm_session(app.registry["dbsession_factory"], tm)


@contextmanager
def doomed(app: Any, get_tm_session: Callable[..., Any]) -> Iterator[tuple[TestApp, Any]]:
    """The fixtures of the cookiecutter and of wiki2: all requests share one transaction, which is undone at the end."""
    tm = transaction.TransactionManager(explicit=True)
    tm.begin()
    tm.doom()
    dbsession = get_tm_session(app.registry["dbsession_factory"], tm)
    environ = {"HTTP_HOST": "example.com", "tm.active": True, "tm.manager": tm, "app.dbsession": dbsession}
    try:
        yield TestApp(app, extra_environ=environ), dbsession
    finally:
        tm.abort()
