"""Alembic, run as a project runs it, finds nothing in an owned class that it cannot write down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.command import init
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from tests.owned.conftest import DATABASES
from tests.servers.postgresql import PostgreSQL
from tests.test_docs import named_blocks

# The declaration that the package exports: this line names its module.
OWNED_BY = "from pyramid_sessionkit.owned.declaration import owned_by"

MODELS = f"""\
{OWNED_BY}
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


@owned_by("id")
class User(Base):
    __tablename__ = "users"
    __table_args__ = {{"info": {{"of the application": 1}}}}
    id: Mapped[int] = mapped_column(primary_key=True)


@owned_by("user_id")
class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "document"}}


class Letter(Document):
    __mapper_args__ = {{"polymorphic_identity": "letter"}}


class Book(Document):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(ForeignKey("documents.id"), primary_key=True)
    pages: Mapped[int]
    __mapper_args__ = {{"polymorphic_identity": "book"}}
"""
INI = """\
[alembic]
script_location = %(here)s/migrations
path_separator = os
"""
ENV = """\
from os import environ

from alembic import context
from sqlalchemy import create_engine

from models import Base

engine = create_engine(environ["URL"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
NOTES = """

@owned_by("user_id")
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
"""
# One process for commands that nothing changes between: each start takes longer than what it is for.
RUN = "import sys; from alembic.config import main; [main(command.split()) for command in sys.argv[1:]]"
Alembic = Callable[..., str]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/project.sqlite"
    server: PostgreSQL = request.getfixturevalue("server")
    # Of its own, since Alembic would drop the tables that other tests have made.
    name = f"project_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def alembic(url: str, tmp_path: Path) -> Alembic:
    """Runs commands of Alembic in a project, and returns what they have printed."""
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "URL": url, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}

    def alembic(*commands: str) -> str:
        run = [sys.executable, "-c", RUN, *commands]
        done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    init(Config(tmp_path / "alembic.ini"), str(tmp_path / "migrations"))
    for name, content in {"models.py": MODELS, "alembic.ini": INI, "migrations/env.py": ENV}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return alembic


def columns(url: str) -> dict[str, list[str]]:
    engine = create_engine(url)
    found: Any = inspect(engine)
    names = {table: [column["name"] for column in found.get_columns(table)] for table in found.get_table_names()}
    engine.dispose()
    return names


def revision(tmp_path: Path, message: str) -> str:
    (path,) = (tmp_path / "migrations" / "versions").glob(f"*_{message}.py")
    return path.read_text(encoding="utf-8")


def test_alembic_makes_the_tables_of_owned_classes(alembic: Alembic, url: str, tmp_path: Path) -> None:
    alembic("revision --autogenerate -m first", "upgrade head", "revision --autogenerate -m second")
    written = revision(tmp_path, "first")
    assert "info={'of the application': 1}" in written
    assert "pyramid_sessionkit" not in written
    made = columns(url)
    assert made.pop("alembic_version") == ["version_num"]
    assert made == {"users": ["id"], "documents": ["id", "kind", "user_id"], "books": ["id", "pages"]}
    assert "op." not in revision(tmp_path, "second").partition("def upgrade")[2]


@pytest.mark.servers
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_alembic_makes_policies_as_the_page_says(alembic: Alembic, url: str, tmp_path: Path) -> None:
    """Also for a class that is new in the models, of which a revision has yet to be made."""
    recipe = named_blocks("howto/owned_policies.rst")["owned-policies-alembic"].text
    env = ENV.replace("engine =", f"target_metadata = Base.metadata\n{recipe}\nengine =", 1)
    env = env.replace("Base.metadata)", "Base.metadata, on_version_apply=make_policies)")
    (tmp_path / "migrations" / "env.py").write_text(env, encoding="utf-8")
    alembic("revision --autogenerate -m first", "upgrade head")
    assert tables_with_policies(url) == {"users", "documents", "books"}

    (tmp_path / "models.py").write_text(MODELS + NOTES, encoding="utf-8")
    alembic("current", "revision --autogenerate -m second", "upgrade head")
    assert tables_with_policies(url) == {"users", "documents", "books", "notes"}
    printed = alembic("check", "downgrade -1", "upgrade head", "upgrade head --sql")
    assert tables_with_policies(url) == {"users", "documents", "books", "notes"}
    assert 'CREATE POLICY sessionkit_owner ON "notes"' in printed


def tables_with_policies(url: str) -> set[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = set(connection.scalars(text("SELECT tablename FROM pg_policies")))
    engine.dispose()
    return found
