from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any, ClassVar

import pytest
from sqlalchemy import Engine, create_engine, event, func, select, text
from sqlalchemy.orm import Session, close_all_sessions

from pyramid_sessionkit.owned import NotOwned, guard
from tests.owned.family.fixtures import (  # noqa: F401
    mariadb_server,
    mariadb_world,
    postgresql_world,
    sqlite_world,
    world,
)
from tests.owned.models import ADA, Base, Note, note_tags, rows
from tests.servers.postgresql import PostgreSQL


class Visitor:
    """A request, as far as the guard looks at it; ``asked`` counts how often."""

    _kept: ClassVar[list[Any]] = []

    def __init__(self, userid: int | str | None) -> None:
        self.keep(self)
        self.userid = None if userid is None else str(userid)
        self.asked = 0

    @classmethod
    def keep(cls, visitor: Any) -> None:
        """A guard keeps no request alive, as it is during a request."""
        cls._kept.append(visitor)

    @property
    def authenticated_userid(self) -> str | None:
        self.asked += 1
        return self.userid


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


@pytest.fixture
def database() -> str:
    """Override it, parametrised with ``DATABASES``, where they may differ."""
    return "sqlite"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the rows of all."""
    path = tmp_path_factory.mktemp("owned") / "template.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    fill(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def on_server(server: PostgreSQL) -> Iterator[Engine]:
    engine = create_engine(server.url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def fill(engine: Engine) -> None:
    with Session(engine) as session:
        for row in rows():
            session.add(row)
            session.flush()
        session.execute(note_tags.insert(), [{"note_id": 1, "tag_id": 1}, {"note_id": 11, "tag_id": 1}])
        session.commit()


@pytest.fixture
def engine(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if database == "sqlite":
        copyfile(request.getfixturevalue("template"), tmp_path / "owned.sqlite")
        engine = create_engine(f"sqlite:///{tmp_path}/owned.sqlite")
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        yield engine
        close_all_sessions()
        engine.dispose()
        return
    engine = request.getfixturevalue("on_server")
    tables = Base.metadata.tables.values()
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(table.name for table in tables)} RESTART IDENTITY CASCADE"))
    fill(engine)
    with engine.begin() as connection:
        for table in tables:
            if "id" in table.c:
                connection.execute(func.setval(func.pg_get_serial_sequence(table.name, "id"), 100).select())
    yield engine
    close_all_sessions()


Tables = dict[str, list[Any]]


def contents(connection: Any) -> Tables:
    tables = Base.metadata.tables.values()
    return {
        table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
        for table in tables
    }


@pytest.fixture
def stored(engine: Engine) -> Callable[[], Tables]:
    """What is committed."""

    def stored() -> Tables:
        with engine.connect() as connection:
            return contents(connection)

    return stored


@pytest.fixture
def ada() -> Visitor:
    return Visitor(ADA)


@pytest.fixture
def anonymous() -> Visitor:
    return Visitor(None)


@pytest.fixture
def session(engine: Engine, ada: Visitor) -> Iterator[Session]:
    """Guarded, for Ada."""
    with guard(Session(engine), ada) as session:
        yield session


@pytest.fixture
def refused(session: Session, stored: Callable[[], Tables]) -> Callable[..., None]:
    """Check that something is refused, and that nothing was changed by it even if all is committed then."""

    def refused(
        attempt: Callable[[], object],
        error: type[Exception] = NotOwned,
        match: str | None = None,
        session: Session = session,
    ) -> None:
        before = stored()
        with pytest.raises(error, match=match) as caught:
            attempt()
        assert " of 8" not in str(caught.value)
        assert "'8'" not in str(caught.value)
        if session.is_active:
            with session.no_autoflush:
                assert contents(session.connection()) == before
            session.expunge_all()
            session.commit()
        else:
            session.rollback()
        assert stored() == before

    return refused


def texts(engine: Engine, model: Any = Note) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(model.text).order_by(model.text)))
