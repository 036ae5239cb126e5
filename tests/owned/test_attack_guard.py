"""What a user is entitled to where SQLAlchemy, the application and the guard meet in unusual ways."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import Any
from weakref import ref

import pytest
import zope.sqlalchemy
from pyramid.interfaces import ISecurityPolicy
from pyramid.security import remember
from pyramid_retry import RetryableException
from sqlalchemy import (
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    create_engine,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    immediateload,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)
from sqlalchemy.types import TypeDecorator
from webtest import TestApp

from pyramid_sessionkit.owned import NotLoggedIn, NotOwned, flushing, guard, owned, owned_by, unowned
from pyramid_sessionkit.owned.statements import _check_relationships
from tests.owned.conftest import Visitor
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

ADA, BOB = 7, 8


class Base(DeclarativeBase):
    type_annotation_map = {str: String(40)}


class Coded(TypeDecorator[int]):
    """Ids of users as another application writes them."""

    impl = String(20)
    cache_ok = True

    @property
    def python_type(self) -> type:
        return int

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else f"u-{value}"

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else int(value[2:])


@owned_by("id")
class Sailor(Base):
    __tablename__ = "attack_sailors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    boats: Mapped[list[Boat]] = relationship(foreign_keys="Boat.sailor_id", back_populates="sailor")


class Port(Base):
    """Nobody's."""

    __tablename__ = "attack_ports"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    boats: Mapped[list[Boat]] = relationship(back_populates="port")


@owned_by("sailor_id")
class Boat(Base):
    __tablename__ = "attack_boats"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    sailor_id: Mapped[int] = mapped_column(ForeignKey("attack_sailors.id"))
    friend_id: Mapped[int | None] = mapped_column(ForeignKey("attack_sailors.id"))
    port_id: Mapped[int | None] = mapped_column(ForeignKey("attack_ports.id"))
    sailor: Mapped[Sailor] = relationship(foreign_keys=sailor_id, back_populates="boats")
    friend: Mapped[Sailor | None] = relationship(foreign_keys=friend_id)
    port: Mapped[Port | None] = relationship(back_populates="boats")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "boat"}


class Ship(Boat):
    __tablename__ = "attack_ships"
    ship_id: Mapped[int] = mapped_column(ForeignKey("attack_boats.id"), primary_key=True)
    masts: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "ship"}


class Liner(Ship):
    __tablename__ = "attack_liners"
    liner_id: Mapped[int] = mapped_column(ForeignKey("attack_ships.ship_id"), primary_key=True)
    cabins: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "liner"}


@owned_by("sailor_id")
class Berth(Base):
    """Two columns are its key, and the owner is none of them."""

    __tablename__ = "attack_berths"
    pier: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sailor_id: Mapped[int]
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "berth"}


class Dock(Berth):
    __tablename__ = "attack_docks"
    pier: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    depth: Mapped[int]
    __table_args__ = (ForeignKeyConstraint(["pier", "number"], ["attack_berths.pier", "attack_berths.number"]),)
    __mapper_args__ = {"polymorphic_identity": "dock"}


@owned_by("sailor_id")
class Flag(Base):
    __tablename__ = "attack_flags"
    id: Mapped[int] = mapped_column(primary_key=True)
    sailor_id: Mapped[int] = mapped_column(Coded)
    colour: Mapped[str] = mapped_column(server_default="red")
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"eager_defaults": True, "version_id_col": version}


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.servers),
        pytest.param("mariadb", marks=pytest.mark.servers),
    ]
)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(database: str, tmp_path: Any, request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/attack.sqlite"
    if database == "postgresql":
        server: PostgreSQL = request.getfixturevalue("server")
        url = server.url
    elif database == "mariadb":
        mariadb: MariaDB = request.getfixturevalue("mariadb_server")
        url = mariadb.url
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for row in rows():
            session.add(row)
            session.flush()
        session.commit()
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


def rows() -> Iterator[Any]:
    yield Port(id=1, name="harbour")
    for sailor, first in ((ADA, 1000), (BOB, 2000)):
        yield Sailor(id=sailor, name=f"sailor {sailor}")
        yield Ship(id=first + 1, ship_id=first + 1, name=f"ship of {sailor}", sailor_id=sailor, masts=1)
        yield Liner(
            id=first + 2, ship_id=first + 2, liner_id=first + 2, name="liner", sailor_id=sailor, masts=1, cabins=1
        )
        yield Dock(pier="east", number=first, sailor_id=sailor, depth=1)
        yield Flag(id=first + 1, sailor_id=sailor)
    yield Boat(id=1003, name="with a friend", sailor_id=ADA, friend_id=BOB, port_id=1)


@pytest.fixture
def ada() -> Visitor:
    return Visitor(ADA)


@pytest.fixture
def session(engine: Engine, ada: Visitor) -> Iterator[Session]:
    with guard(Session(engine), ada) as session:
        yield session


class TestWrites:
    def test_own_rows_of_keys_of_two_columns_are_added(self, session: Session) -> None:
        session.add_all(
            [
                Dock(pier="west", number=1000, sailor_id=ADA, depth=1),
                Dock(pier="west", number=2, sailor_id=ADA, depth=1),
            ]
        )
        session.commit()

    def test_no_row_is_added_to_a_parent_of_somebody_else(self, session: Session) -> None:
        """Each column of the key is in a row of Ada's, and the whole key is Bob's."""
        session.add_all([Dock(pier="west", number=2000, sailor_id=ADA, depth=1)])
        session.flush()
        session.delete(session.get_one(Dock, ("west", 2000)))
        session.add(Berth(pier="west", number=2000, sailor_id=ADA))
        session.flush()
        session.connection()

        def before_insert(mapper: Any, connection: Any, target: Any) -> None:
            row = {"pier": "east", "number": 2000, "depth": 2}
            connection.execute(insert(Dock.__table__), row)

        event.listen(Boat, "before_insert", before_insert)
        try:
            session.add(Boat(name="x", sailor_id=ADA))
            with pytest.raises(NotOwned, match="would add a Dock"):
                session.flush()
        finally:
            event.remove(Boat, "before_insert", before_insert)

    @pytest.mark.parametrize("sailor", [ADA, BOB])
    @pytest.mark.parametrize("key", [1, 2])
    def test_rows_of_subclasses_are_compared_by_parents(self, session: Session, sailor: int, key: int) -> None:
        ship = session.get_one(Ship, (1000 if sailor == ADA else 2000) + key)
        setattr(ship, "masts" if key == 1 else "cabins", 5)
        if sailor == ADA:
            session.commit()
            return
        with pytest.raises(NotOwned, match="would change"):
            session.flush()

    def test_types_defaults_and_versions_change_nothing(self, session: Session) -> None:
        flag = session.get_one(Flag, 1001)
        flag.colour = "blue"
        session.add(Flag(sailor_id=ADA))
        session.commit()
        assert flag.version == 2
        session.get_one(Flag, 2001).colour = "blue"
        with pytest.raises(NotOwned, match="would change"):
            session.flush()
        session.rollback()
        session.add(Flag(sailor_id=BOB))
        with pytest.raises(NotOwned, match="would add"):
            session.flush()

    def test_sessions_that_share_a_connection_write(self, engine: Engine, ada: Visitor) -> None:
        with engine.connect() as connection:
            one, other = guard(Session(connection), ada), guard(Session(connection), ada)
            other.get_one(Sailor, ADA)
            one.add(Flag(sailor_id=ADA))
            one.flush()
            one.get_one(Flag, 1001).colour = "blue"
            one.flush()
            other.get_one(Flag, 2001).colour = "blue"
            with pytest.raises(NotOwned):
                other.flush()

    def test_each_guard_of_a_connection_has_its_say(self, engine: Engine, ada: Visitor) -> None:
        with engine.connect() as connection:
            mine, bobs = guard(Session(connection), ada), guard(Session(connection), Visitor(BOB))
            bobs.get_one(Sailor, BOB)
            mine.add(Flag(sailor_id=ADA))
            with pytest.raises(NotOwned):
                mine.flush()

    def test_a_guarded_connection_lets_sessions_flush(self, engine: Engine, ada: Visitor) -> None:
        with engine.connect() as connection:
            session = guard(Session(guard(connection, ada)), ada)
            session.add(Flag(sailor_id=ADA))
            session.flush()

    @pytest.mark.parametrize("fails", [True, False])
    def test_a_flush_that_did_nothing_is_over(self, session: Session, fails: bool) -> None:
        def before_flush(session: Session, *rest: Any) -> None:
            session.expunge_all()
            if fails:
                raise ValueError

        event.listen(session, "before_flush", before_flush)
        session.add(Flag(sailor_id=ADA))
        try:
            session.flush()
        except ValueError:
            assert fails
        event.remove(session, "before_flush", before_flush)
        table = Flag.__table__
        with pytest.raises(NotOwned, match="it was not made with owned"):
            session.execute(table.update().where(table.c.id == 1001).values(colour="x"))

    def test_many_rows_are_compared_once(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are sent in statements of a thousand rows, or less."""
        compared: list[int] = []

        def count(connection: Any, given: Any, rows: Any, *rest: Any) -> None:
            compared.append(len(rows))

        monkeypatch.setattr(flushing, "check_given", count)
        session.add_all(Flag(id=10_000 + number, sailor_id=ADA) for number in range(3000))
        session.flush()
        assert sum(compared) <= 3000

    def test_many_rows_are_all_compared(self, session: Session) -> None:
        session.add_all(Flag(sailor_id=ADA if number != 2999 else BOB) for number in range(3000))
        with pytest.raises(NotOwned, match="would add"):
            session.flush()

    def test_a_flush_that_was_refused_can_be_repeated(self, session: Session, ada: Visitor) -> None:
        ship = session.get_one(Ship, 1001)
        ship.masts, session.get_one(Ship, 2001).masts = 3, 3
        with pytest.raises(NotOwned):
            session.flush()
        session.rollback()
        with session.begin_nested():
            ship.masts = 4
        session.commit()
        assert ship.masts == 4

    def test_two_phases_commit(self, engine: Engine, ada: Visitor, database: str) -> None:
        if database != "mariadb":
            pytest.skip("SQLite has none, and PostgreSQL none by default")
        with guard(Session(engine, twophase=True), ada) as session:
            session.add(Flag(sailor_id=ADA))
            session.commit()

    @pytest.mark.parametrize("how", ["auto", "evaluate", "fetch"])
    def test_objects_are_in_step_with_what_was_changed(self, session: Session, ada: Visitor, how: Any) -> None:
        objects = list(session.scalars(select(Boat)))
        options = {"synchronize_session": how}
        session.execute(owned(ada, update(Boat).values(name="new")), execution_options=options)
        table = Boat.__table__
        for boat in objects:
            assert boat.name == session.scalar(select(table.c.name).where(table.c.id == boat.id))
            assert (boat.name == "new") == (boat.sailor_id == ADA)

    def test_who_is_logged_in_is_found_with_rows_pending(self, session: Session) -> None:
        """The query for the user would write what is pending, which has to wait for the user."""

        class Asking:
            @property
            def authenticated_userid(self) -> str:
                return str(session.scalars(select(Sailor).where(Sailor.id == ADA)).one().id)

        asking = Asking()
        guard(session, asking)
        session.add(Flag(id=1500, sailor_id=ADA))
        session.connection().execute(owned(Visitor(ADA), update(Flag).values(colour="blue")))
        session.commit()


@pytest.fixture
def own_registry() -> Iterator[type[Any]]:
    class OwnBase(DeclarativeBase):
        pass

    yield OwnBase
    OwnBase.registry.dispose()


def test_a_grandparent_cannot_say_whose_a_row_is(own_registry: Any) -> None:
    """Nothing would link the row to the one that has an owner."""

    @owned_by("sailor_id")
    class Parent(own_registry):  # type: ignore[misc]
        __tablename__ = "attack_parents"
        id = mapped_column(Integer, primary_key=True)
        sailor_id = mapped_column(Integer)

    class Child(Parent):
        __tablename__ = "attack_children"
        child_id = mapped_column(ForeignKey("attack_parents.id"), primary_key=True)
        # An attribute says the same as a column.
        __mapper_args__ = {"inherit_condition": child_id == Parent.id}

    with pytest.raises(TypeError, match="inherit_condition"):

        class Grandchild(Child):
            __tablename__ = "attack_grandchildren"
            grandchild_id = mapped_column(ForeignKey("attack_parents.id"), primary_key=True)
            __mapper_args__ = {"inherit_condition": grandchild_id == Parent.id}


def test_queries_that_cannot_be_limited_are_refused(own_registry: Any, ada: Visitor) -> None:
    """Also where the way to them leads through what nobody owns."""

    class Crew(own_registry):  # type: ignore[misc]
        __tablename__ = "attack_crews"
        id = mapped_column(Integer, primary_key=True)

    @owned_by("sailor_id")
    class Cook(own_registry):  # type: ignore[misc]
        __tablename__ = "attack_cooks"
        id = mapped_column(Integer, primary_key=True)
        sailor_id = mapped_column(ForeignKey("attack_crews.id"))
        crew_id = mapped_column(ForeignKey("attack_crews.id"))
        crew = relationship(Crew, foreign_keys=crew_id)

    Crew.own_cooks = relationship(Cook, lazy="dynamic", viewonly=True, foreign_keys=Cook.sailor_id)
    assert owned(ada, select(Cook)) is not None
    _check_relationships.cache_clear()
    Crew.cooks = relationship(Cook, lazy="dynamic", viewonly=True, foreign_keys=Cook.crew_id)
    with pytest.raises(NotOwned, match=r"Crew\.cooks"):
        owned(ada, select(Cook))


class TestReads:
    """A boat of Ada's has a friend, who is Bob."""

    @pytest.fixture
    def boat(self, session: Session, ada: Visitor) -> Boat:
        return session.scalars(self.statement(ada)).one()

    @staticmethod
    def statement(ada: Visitor) -> Any:
        return owned(ada, select(Boat).where(Boat.id == 1003))

    def test_what_others_hold_is_not_shown(self, session: Session, ada: Visitor) -> None:
        """A port is nobody's, and was loaded before with the boats of all."""
        with unowned(session, reason="setup"):
            session.get_one(Boat, 2001).port_id = 1
        session.commit()
        port = session.get_one(Port, 1)
        assert len(port.boats) == 2
        boat = session.scalars(self.statement(ada)).one()
        assert boat.port is port
        assert [each.sailor_id for each in port.boats] == [ADA]

    def test_what_elements_hold_is_not_shown(self, session: Session, ada: Visitor) -> None:
        bob = session.get_one(Sailor, BOB)
        loaded = session.get_one(Boat, 1003)
        assert loaded.friend is bob
        boats = session.scalars(owned(ada, select(Sailor))).one().boats
        assert loaded in boats
        assert loaded.friend is None

    def test_unflushed_changes_of_what_is_found_are_kept(self, session: Session, ada: Visitor) -> None:
        port = session.get_one(Port, 1)
        assert len(port.boats) == 1
        boat = session.scalars(self.statement(ada)).one()
        new = Boat(name="new", sailor_id=ADA)
        with session.no_autoflush:
            port.boats.append(new)
            assert boat.port is port
            assert new in port.boats
        session.commit()
        assert new.port_id == 1

    def test_what_is_loaded_later_is_not_shown(self, session: Session, boat: Boat) -> None:
        bob = session.get_one(Sailor, BOB)
        assert boat.friend is None
        assert bob.name == "sailor 8"

    @pytest.mark.parametrize("names", [None, ["friend"], ["friend", "friend_id"]])
    @pytest.mark.parametrize("again", [Session.expire, Session.refresh])
    def test_what_is_loaded_again_is_not_shown(self, session: Session, boat: Boat, again: Any, names: Any) -> None:
        bob = session.get_one(Sailor, BOB)
        assert boat.friend is None
        again(session, boat, names)
        assert boat.friend is None
        assert bob in session

    def test_own_objects_are_shown_after_a_commit(self, session: Session, boat: Boat) -> None:
        """All that is known of them is forgotten then, their owners included."""
        kept = [boat.sailor, session.get_one(Sailor, BOB)]
        session.commit()
        assert boat.sailor is kept[0]
        assert boat.friend is None

    def test_immediateload_shows_nothing_of_others(self, session: Session, ada: Visitor) -> None:
        bob = session.get_one(Sailor, BOB)
        boat = session.scalars(
            self.statement(ada).options(immediateload(Boat.friend), immediateload(Boat.sailor))
        ).one()
        assert boat.friend is None
        assert boat.sailor.id == ADA
        assert bob in session

    def test_objects_can_be_pickled_and_stay_limited(self, session: Session, boat: Boat) -> None:
        written = pickle.dumps(boat)
        session.expunge_all()
        bob = session.get_one(Sailor, BOB)
        again = pickle.loads(written)
        session.add(again)
        assert again.friend is None
        assert again.sailor.id == ADA
        assert bob in session

    def test_objects_can_be_merged_from_a_cache(self, engine: Engine, boat: Boat) -> None:
        with Session(engine) as other:
            bob = other.get_one(Sailor, BOB)
            merged = other.merge(boat, load=False)
            assert merged.friend is None
            assert merged.sailor.id == ADA
            assert bob in other

    @pytest.mark.parametrize(
        "of", [lambda: select(Boat).options(selectinload(Boat.port)), lambda: select(Boat, Port).join(Boat.port)]
    )
    def test_changes_of_what_has_no_owner_are_not_lost(
        self, session: Session, ada: Visitor, of: Callable[[], Any]
    ) -> None:
        port = session.get_one(Port, 1)
        with session.no_autoflush:
            port.name = "changed"
            with pytest.raises(NotOwned, match="would lose the changes of a Port"):
                session.execute(owned(ada, of())).all()
        session.execute(owned(ada, of())).all()
        assert port.name == "changed"

    def test_changes_of_other_tables_are_no_hindrance(self, session: Session, ada: Visitor) -> None:
        port = session.get_one(Port, 1)
        with session.no_autoflush:
            port.name = "changed"
            assert session.scalars(owned(ada, select(Flag))).all()
        assert port.name == "changed"

    def test_two_users_of_one_process_are_kept_apart(self, engine: Engine) -> None:
        for _ in range(2):
            for sailor in (ADA, BOB):
                with Session(engine) as session:
                    boats = session.scalars(owned(Visitor(sailor), select(Boat))).all()
                    assert {boat.sailor.id for boat in boats} == {sailor}
                    ports = {boat.port for boat in boats if boat.port}
                    assert {boat.sailor_id for port in ports for boat in port.boats} <= {sailor}

    def test_a_message_says_what_kind_of_statement_it_was(self, session: Session) -> None:
        with pytest.raises(NotOwned, match=r"SELECT of 'attack_boats'.*another user") as caught:
            session.scalars(owned(Visitor(BOB), select(Boat))).all()
        assert str(BOB) not in str(caught.value).replace("attack_boats", "")


class TestBlocks:
    """Where a block of ``unowned`` is not around what runs, it is said why it does not help."""

    @staticmethod
    def explained(session: Session) -> bool:
        with pytest.raises(NotOwned) as caught:
            session.execute(update(Flag).values(colour="x"))
        return "The unowned() block in " in str(caught.value)

    @staticmethod
    def lifted(session: Session) -> bool:
        return bool(session.execute(update(Flag).where(Flag.id == 0).values(colour="x")))

    def test_a_class_that_opens_one(self, session: Session) -> None:
        class AsAdmin:
            def __enter__(self) -> None:
                self.block = unowned(session, reason="admin")
                self.block.__enter__()

            def __exit__(self, *error: Any) -> None:
                self.block.__exit__(*error)

        with AsAdmin():
            assert self.explained(session)
        assert not self.explained(session)

    def test_a_stack_that_is_kept(self, session: Session) -> None:
        with ExitStack() as stack:
            stack.enter_context(unowned(session, reason="admin"))
            kept = stack.pop_all()
            assert self.lifted(session)
        assert self.lifted(session)
        kept.close()
        assert not self.explained(session)

    def test_a_fixture_of_pytest(self, session: Session) -> None:
        def as_admin() -> Iterator[None]:
            with unowned(session, reason="admin"):
                yield

        fixture = as_admin()
        next(fixture)
        assert self.explained(session)
        assert next(fixture, None) is None

    def test_nobody_who_is_logged_in(self, session: Session) -> None:
        def as_admin() -> Iterator[None]:
            with unowned(session, reason="admin"):
                yield

        anonymous = Visitor(None)
        guard(session, anonymous)
        fixture = as_admin()
        next(fixture)
        session.add(Flag(sailor_id=ADA))
        with pytest.raises(NotLoggedIn, match="block in as_admin"):
            session.flush()

    def test_callbacks_from_c_are_lifted(self, session: Session) -> None:
        with unowned(session, reason="admin"):
            assert list(map(self.lifted, [session]))
            assert max([1], key=lambda _: self.lifted(session))
        assert not self.explained(session)

    def test_a_debugger_changes_nothing(self, session: Session) -> None:
        before = sys.gettrace()
        sys.settrace(lambda *rest: lambda *rest: None)
        try:
            with unowned(session, reason="admin"):
                assert self.lifted(session)
        finally:
            sys.settrace(before)
        assert not self.explained(session)

    def test_other_greenlets_are_guarded(self, session: Session) -> None:
        greenlet = pytest.importorskip("greenlet")
        with unowned(session, reason="admin"):
            assert greenlet.greenlet(lambda: self.explained(session)).switch()
        main = greenlet.getcurrent()

        def waits() -> None:
            with unowned(session, reason="admin"):
                main.switch()

        waiting = greenlet.greenlet(waits)
        waiting.switch()
        assert self.explained(session)
        waiting.switch()
        assert not self.explained(session)

    def test_coroutines_that_wait_lift_nothing(self, session: Session) -> None:
        async def work() -> bool:
            with unowned(session, reason="admin"):
                await asyncio.sleep(0.01)
                return self.lifted(session)

        async def main() -> tuple[bool, bool]:
            working = asyncio.create_task(work())
            await asyncio.sleep(0)
            return self.explained(session), await working

        assert asyncio.run(main()) == (True, True)


TOOLBAR = """
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

# As in pyramid_debugtoolbar.
@event.listens_for(Engine, "before_cursor_execute")
def before(connection, *rest):
    connection.started = 1

@event.listens_for(Engine, "after_cursor_execute")
def after(connection, *rest):
    del connection.started

from pyramid_sessionkit.owned import NotOwned, guard
from tests.owned.test_attack_guard import ADA, BOB, Base, Sailor, Ship, Visitor

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Sailor(id=BOB, name="bob"), Ship(id=1, ship_id=1, name="bob's", sailor_id=BOB, masts=1)])
    session.commit()
    ada = Visitor(ADA)
    guard(session, ada)
    session.add(Ship(name="new", sailor_id=ADA, masts=1))
    session.commit()
    session.get_one(Ship, 1).masts = 5
    try:
        session.flush()
    except NotOwned:
        print("refused")
"""


class TestApplication:
    """With pyramid_tm, pyramid_retry, sessions in the same transaction, and a toolbar that takes times."""

    def test_a_toolbar_that_takes_the_time_of_queries(self, tmp_path: Any) -> None:
        """It was imported first, and cannot stand a query inside another."""
        script = tmp_path / "toolbar.py"
        script.write_text(TOOLBAR)
        done = subprocess.run(
            [sys.executable, script],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
        )
        assert done.stdout == "refused\n", done.stderr

    @pytest.fixture
    def make(self, make_app: Any, engine: Engine) -> Callable[..., TestApp]:
        factory = sessionmaker(engine)

        def dbsession(request: Any) -> Session:
            session = factory()
            zope.sqlalchemy.register(session, transaction_manager=request.tm)
            return guard(session, request)

        def configure(config: Any) -> None:
            config.add_request_method(dbsession, reify=True)

        def make(views: dict[str, Any], joined: bool = True) -> TestApp:
            named: dict[str, Any] = {
                "identity": lambda request, userid: request.dbsession.get(Sailor, int(userid)),
                "credentials_hash": lambda request, sailor: sailor.name,
            }
            in_database = {
                "sessionkit.store": "sql",
                "sessionkit.sql.dbsession": "dbsession",
                "sessionkit.sql.url": engine.url.render_as_string(hide_password=False),
                "sessionkit.sql.create_table": True,
            }
            named |= in_database if joined else {}
            return make_app(views, includes=("pyramid_retry", "pyramid_tm"), configure=configure, **named)

        return make

    def test_joined_sessions_and_retries_work(self, make: Any, engine: Engine) -> None:
        tries: list[Any] = []

        def log_in(request: Any) -> Any:
            remember(request, ADA)
            request.session["n"] = 1
            return request.response

        def write(request: Any) -> Any:
            request.dbsession.add(Ship(name=f"try {len(tries)}", sailor_id=ADA, masts=1))
            request.dbsession.flush()
            request.session["n"] += 1
            tries.append(request.session["n"])
            if len(tries) == 1:
                raise RetryableException
            return request.response

        def steal(request: Any) -> Any:
            request.session["n"] += 1
            request.dbsession.get(Ship, 2001).masts = 9
            return request.response

        browser = make({"/log_in": log_in, "/write": write, "/steal": steal})
        browser.get("/log_in")
        browser.get("/write")
        with pytest.raises(NotOwned):
            browser.get("/steal")
        assert tries == [2, 2]
        with Session(engine) as session:
            found = session.scalars(select(Ship.name).where(Ship.name.like("try%"))).all()
            assert found == ["try 1"]
            assert session.get_one(Ship, 2001).masts == 1

    @pytest.mark.parametrize("first", ["the session", "the user", "rows"])
    def test_policies_know_the_user_of_joined_sessions(
        self, make: Any, monkeypatch: pytest.MonkeyPatch, first: str
    ) -> None:
        """The guard asks who is logged in before a statement, and the statement may be the one that finds it out."""
        told: list[Any] = []

        def set_user(connection: Any, userid: Any, *rest: Any) -> None:
            told.append(userid)

        monkeypatch.setattr(sys.modules["pyramid_sessionkit.owned.listeners"], "set_user", set_user)

        def log_in(request: Any) -> Any:
            remember(request, ADA)
            return request.response

        def read(request: Any) -> Any:
            told.clear()
            guard(request.dbsession, request, policies=True)
            if first == "the session":
                request.session.get("n")
            elif first == "the user":
                assert request.authenticated_userid == str(ADA)
            request.dbsession.scalars(select(Boat.name)).all()
            request.session["n"] = 1
            return request.response

        browser = make({"/log_in": log_in, "/read": read})
        browser.get("/log_in")
        # It used to wait for itself.
        thread = Thread(target=browser.get, args=("/read",), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        assert told[-1] == str(ADA)
        assert set(told) == {str(ADA)}

    def test_a_request_leaves_no_garbage(self, make: Any, database: str) -> None:
        kept: list[Any] = []

        def write(request: Any) -> Any:
            if not request.authenticated_userid:
                remember(request, ADA)
            dbsession = request.dbsession
            dbsession.scalars(owned(request, select(Boat))).all()
            dbsession.execute(owned(request, update(Flag).values(colour="x")))
            dbsession.add(Flag(sailor_id=ADA))
            dbsession.flush()
            with unowned(dbsession, reason="test"):
                dbsession.execute(update(Flag).values(colour="y"))
            kept.append(ref(request))
            kept.append(ref(dbsession))
            return request.response

        browser = make({"/": write}, joined=False)
        browser.get("/")
        browser.get("/")
        kept.clear()
        gc.collect()
        gc.disable()
        try:
            browser.get("/")
            assert [each() for each in kept] == [None, None]
        finally:
            gc.enable()

    def test_credentials_may_be_read_like_the_identity(self, make_app: Any) -> None:
        """A column that is loaded late is read when the hash is made."""
        seen: list[Any] = []

        def claimed(request: Any) -> Any:
            return request.registry.getUtility(ISecurityPolicy).unauthenticated_userid(request)

        def digest(request: Any, identity: Any) -> str:
            seen.append(claimed(request))
            if fails:
                raise ValueError
            return "same"

        def view(request: Any) -> Any:
            with suppress(ValueError):
                if not request.authenticated_userid:
                    remember(request, ADA)
            seen.append(claimed(request))
            return request.response

        browser = make_app({"/": view}, identity=lambda request, userid: userid, credentials_hash=digest)
        fails = False
        browser.get("/")
        browser.get("/")
        fails = True
        browser.get("/")
        assert seen == [str(ADA), None] * 3


def test_a_message_tells_no_text_of_the_statement(ada: Visitor) -> None:
    engine = create_engine("sqlite://")
    with guard(Session(engine), ada) as session, pytest.raises(NotOwned) as caught:
        session.execute(text("CALL set_password('hunter2')"))
    engine.dispose()
    assert "hunter2" not in str(caught.value)
