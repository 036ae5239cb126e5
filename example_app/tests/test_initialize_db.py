"""The first administrator, as the script makes one."""

import sys
from io import StringIO
from pathlib import Path

import pytest
from pyramid.request import Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from example_app import models
from example_app.authentication import is_right_password
from example_app.models import User
from example_app.scripts.initialize_db import main, make_admin


def test_a_new_user_is_asked_for_a_password(
    app_request: Request, dbsession: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("a long one\n"))
    make_admin(app_request, "Alan@example.com")

    alan = dbsession.scalars(select(User).where(User.email == "alan@example.com")).one()
    assert alan.role == "admin"
    assert is_right_password(alan.password_hash, "a long one")


def test_a_user_becomes_an_administrator(app_request: Request, user: User) -> None:
    make_admin(app_request, user.email)

    assert user.role == "admin"


def test_a_short_password_is_refused(app_request: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("short\n"))
    with pytest.raises(SystemExit, match="password: Use 8 characters or more"):
        make_admin(app_request, "alan@example.com")


def test_without_tables_it_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = models.get_engine({"sqlalchemy.url": "sqlite://"})
    monkeypatch.setattr(models, "get_engine", lambda settings: engine)
    ini_file = str(Path(__file__).parent.with_name("testing.ini"))
    with pytest.raises(SystemExit, match=r"alembic -c .*testing\.ini upgrade head"):
        main(["initialize_example_app_db", ini_file, "--admin", "alan@example.com"])
    engine.dispose()
