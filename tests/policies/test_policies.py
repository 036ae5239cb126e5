"""Row-level security: what PostgreSQL itself refuses to the application's role."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pyramid.exceptions import ConfigurationError
from sqlalchemy import (
    Connection,
    Engine,
    ForeignKey,
    MetaData,
    String,
    Uuid,
    create_engine,
    event,
    exc,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pyramid_sessionkit.owned import transaction_user
from pyramid_sessionkit.owned.declaration import OWNED, owned_by
from pyramid_sessionkit.owned.policies import check_role, owned_policies
from pyramid_sessionkit.owned.transaction_user import SET_USER, set_user
from tests.servers.postgresql import PostgreSQL

pytestmark = pytest.mark.servers

ADA, BOB = 7, 8
UUIDS = {ADA: UUID("a" * 32), BOB: UUID("b" * 32)}


class Base(DeclarativeBase):
    pass


@owned_by("id")
class Reader(Base):
    __tablename__ = "rls_readers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


@owned_by("reader_id")
class Letter(Base):
    __tablename__ = "rls_letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    reader_id: Mapped[int | None] = mapped_column(ForeignKey("rls_readers.id"), index=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("rls_shelves.id", ondelete="CASCADE"))


class Shelf(Base):
    """Nobody's."""

    __tablename__ = "rls_shelves"
    id: Mapped[int] = mapped_column(primary_key=True)


@owned_by("reader_id")
class Verse(Base):
    """A composite primary key, of which the owner is a part."""

    __tablename__ = "rls_verses"
    reader_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@owned_by("login")
class Key(Base):
    __tablename__ = "rls_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(String(50))


@owned_by("reader")
class Medal(Base):
    __tablename__ = "rls_medals"
    id: Mapped[int] = mapped_column(primary_key=True)
    reader: Mapped[UUID] = mapped_column(Uuid)


@owned_by("reader")
class Coin(Base):
    """A UUID as 32 characters."""

    __tablename__ = "rls_coins"
    id: Mapped[int] = mapped_column(primary_key=True)
    reader: Mapped[UUID] = mapped_column(Uuid(native_uuid=False))


@owned_by("reader_id")
class Work(Base):
    __tablename__ = "rls_works"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    reader_id: Mapped[int]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "work"}


class Volume(Work):
    __tablename__ = "rls_volumes"
    id: Mapped[int] = mapped_column(ForeignKey("rls_works.id"), primary_key=True)
    pages: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "volume"}


class Comic(Volume):
    __tablename__ = "rls_comics"
    comic_id: Mapped[int] = mapped_column(ForeignKey("rls_volumes.id"), primary_key=True)
    colours: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "comic"}


@owned_by("reader_id")
class Odd(Base):
    """Names that need quotes, and that look like parameters to SQLAlchemy and to the driver."""

    __tablename__ = "rls Odd:table %s"
    __table_args__ = {"schema": 'rls "S"'}
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    reader_id: Mapped[int] = mapped_column("Reader's \\ :id")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "odd"}


class Odder(Odd):
    __tablename__ = "rls Odder:table %s"
    __table_args__ = {"schema": 'rls "S"'}
    id: Mapped[int] = mapped_column(ForeignKey(Odd.id), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "odder"}


def rows() -> list[object]:
    found: list[object] = [Shelf(id=1)]
    for reader, n in ((ADA, 0), (BOB, 10)):
        found += [
            Reader(id=reader, email=f"{reader}@example.com"),
            Letter(id=n + 1, text=f"one of {reader}", reader_id=reader, shelf_id=1),
            Letter(id=n + 2, text=f"two of {reader}", reader_id=reader),
            Verse(reader_id=reader, number=1, text=f"verse of {reader}"),
            Key(id=n + 1, login=str(reader)),
            Medal(id=n + 1, reader=UUIDS[reader]),
            Coin(id=n + 1, reader=UUIDS[reader]),
            Work(id=n + 1, reader_id=reader),
            Volume(id=n + 2, reader_id=reader, pages=1),
            Comic(id=n + 3, comic_id=n + 3, reader_id=reader, pages=1, colours=1),
            Odd(id=n + 1, reader_id=reader),
            Odder(id=n + 2, reader_id=reader),
        ]
    return [*found, Letter(id=99, text="nobody's", reader_id=None), Key(id=98, login="ada"), Key(id=99, login="")]


BESIDES = """
CREATE VIEW rls_view AS SELECT * FROM rls_letters;
CREATE VIEW rls_view_of_view AS SELECT * FROM rls_view;
CREATE VIEW rls_everyone WITH (security_invoker = false) AS SELECT count(*) AS number FROM rls_letters;
CREATE COLLATION rls_any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
ALTER TABLE rls_keys ALTER login TYPE varchar(50) COLLATE rls_any_case;
CREATE FUNCTION rls_rewrite() RETURNS void LANGUAGE sql AS $$ UPDATE rls_letters SET text = 'x' $$;
"""

TABLES = [
    "rls_readers",
    "rls_letters",
    "rls_verses",
    "rls_keys",
    "rls_medals",
    "rls_coins",
    "rls_works",
    "rls_volumes",
    "rls_comics",
    '"rls ""S"""."rls Odd:table %s"',
    '"rls ""S"""."rls Odder:table %s"',
]


class Site:
    """A database with the rows of Ada and Bob, its owner, and the role of the application."""

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        self.admin = create_engine(server.url)

    def engine(self, role: str = "rls_app", **options: Any) -> Engine:
        return create_engine(self.server.url.replace("postgres@", f"{role}@"), **options)

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.server.execute(statement)

    def rows(self, query: str = "SELECT id, text, reader_id FROM rls_letters ORDER BY id") -> list[tuple[object, ...]]:
        """What is stored, as a superuser sees it."""
        return self.server.execute(query)

    def protect(self) -> None:
        with self.admin.begin() as connection:
            for statement in owned_policies(Base.metadata):
                connection.execute(text(statement))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """Of its own: each table with an owner must have a policy there."""
    with PostgreSQL(tmp_path_factory.mktemp("policies")) as server:
        yield server


@pytest.fixture(scope="module")
def site(server: PostgreSQL) -> Iterator[Site]:
    site = Site(server)
    site.run('CREATE SCHEMA "rls ""S"""', "CREATE ROLE rls_app LOGIN", "CREATE ROLE rls_bypassing LOGIN BYPASSRLS")
    Base.metadata.create_all(site.admin)
    site.run(BESIDES)
    for schema in ("public", '"rls ""S"""'):
        site.run(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC", f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO PUBLIC")
        site.run(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO PUBLIC")
    site.protect()
    yield site
    site.admin.dispose()


@pytest.fixture(autouse=True)
def filled(site: Site) -> None:
    site.run(f"TRUNCATE rls_shelves, {', '.join(TABLES)}")
    with Session(site.admin) as session:
        for row in rows():
            session.add(row)
            session.flush()
        session.commit()


@pytest.fixture
def engine(site: Site) -> Iterator[Engine]:
    engine = site.engine()
    yield engine
    engine.dispose()


class Visitor:
    def __init__(self, userid: int | str | UUID | None) -> None:
        self.authenticated_userid = None if userid is None else str(userid)


def guarded(bind: Engine | Connection, visitor: Visitor) -> Session:
    """A guarded session: what ``guard(Session(bind), visitor, policies=True)`` is to be."""
    session = Session(bind)

    def tell(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != SET_USER:
            set_user(connection, visitor.authenticated_userid, session.info.get("lifted", False), statement)

    def listen(_session: Session, _transaction: Any, connection: Connection) -> None:
        if not event.contains(connection, "before_cursor_execute", tell):
            event.listen(connection, "before_cursor_execute", tell)

    event.listen(session, "after_begin", listen)
    return session


@contextmanager
def unowned(session: Session) -> Iterator[None]:
    session.info["lifted"] = True
    try:
        yield
    finally:
        session.info["lifted"] = False


@pytest.fixture
def ada() -> Visitor:
    return Visitor(ADA)


@pytest.fixture
def session(engine: Engine, ada: Visitor) -> Iterator[Session]:
    with guarded(engine, ada) as session:
        yield session


def visible(session: Session, table: str = "rls_letters", column: str = "id") -> list[Any]:
    return list(session.scalars(text(f"SELECT {column} FROM {table} ORDER BY 1")))


def refused(session: Session, statement: str, match: str = "violates row-level security", **values: Any) -> None:
    """The database refuses it, and the transaction goes on."""
    with pytest.raises(exc.DBAPIError, match=match), session.begin_nested():
        session.execute(text(statement), values)


# What the database keeps


@pytest.mark.parametrize("model", [each.ownership.mapper.class_ for each in OWNED.of_metadata(Base.metadata)])
def test_shows_own_rows_only(engine: Engine, model: Any) -> None:
    for person in (ADA, BOB):
        userid = UUIDS[person] if model in (Medal, Coin) else person
        with guarded(engine, Visitor(userid)) as session:
            found = session.scalars(select(model)).all()
            assert found
            assert {str(getattr(each, OWNED.of_mapper(model.__mapper__).ownership.key)) for each in found} == {
                str(userid)
            }


def test_update_without_where_changes_own_rows(site: Site, session: Session) -> None:
    assert session.execute(text("UPDATE rls_letters SET text = 'x'")).rowcount == 2
    session.commit()
    assert [row[2] for row in site.rows() if row[1] == "x"] == [ADA, ADA]


def test_or_in_text_does_not_reach_others(session: Session) -> None:
    done = session.execute(update(Letter).where(text("id = 1 OR id = 11")).values(text="x"))
    assert done.rowcount == 1  # type: ignore[attr-defined]


def test_delete_without_where_deletes_own_rows(site: Site, session: Session) -> None:
    session.execute(text("DELETE FROM rls_letters"))
    session.commit()
    assert [row[0] for row in site.rows()] == [11, 12, 99]


def test_insert_for_others_is_refused(session: Session) -> None:
    refused(session, "INSERT INTO rls_letters (id, text, reader_id) VALUES (50, 'x', 8)")
    refused(session, "INSERT INTO rls_letters (id, text) VALUES (50, 'x')")
    session.execute(text("INSERT INTO rls_letters (id, text, reader_id) VALUES (50, 'x', 7)"))
    assert visible(session) == [1, 2, 50]


def test_update_that_gives_away_is_refused(session: Session) -> None:
    refused(session, "UPDATE rls_letters SET reader_id = 8")
    refused(session, "UPDATE rls_letters SET reader_id = NULL")


def test_upsert_over_others_rows_is_refused(session: Session) -> None:
    upsert = "INSERT INTO rls_letters (id, text, reader_id) VALUES (11, 'x', 7) ON CONFLICT (id) DO "
    refused(session, upsert + "UPDATE SET text = 'x', reader_id = 7")
    assert session.execute(text(upsert + "NOTHING")).rowcount == 0


def test_merge_of_others_rows_is_refused(session: Session) -> None:
    merge = "MERGE INTO rls_letters AS l USING rls_shelves ON {} WHEN MATCHED THEN UPDATE SET text = 'x'"
    refused(session, merge.format("true"))
    assert session.execute(text(merge.format("l.reader_id = 7"))).rowcount == 2


def test_composite_keys_show_own_rows(session: Session) -> None:
    refused(session, "INSERT INTO rls_verses VALUES (8, 2, 'x')")
    assert session.execute(text("UPDATE rls_verses SET text = 'x'")).rowcount == 1


def test_subclass_rows_follow_their_parents(session: Session) -> None:
    assert visible(session, "rls_volumes") == [2, 3]
    assert visible(session, "rls_comics", "comic_id") == [3]
    refused(session, "UPDATE rls_comics SET comic_id = 12")
    refused(session, "INSERT INTO rls_comics VALUES (12, 1)")
    assert session.execute(text("DELETE FROM rls_comics")).rowcount == 1


def test_subclass_needs_no_policy_of_its_parent(site: Site, engine: Engine) -> None:
    site.run("ALTER TABLE rls_works DISABLE ROW LEVEL SECURITY")
    with engine.connect() as connection:
        connection.exec_driver_sql(SET_USER, (str(ADA), ""))
        assert list(connection.scalars(text("SELECT id FROM rls_volumes ORDER BY 1"))) == [2, 3]
    site.protect()


def test_flush_of_a_subclass_works(session: Session) -> None:
    session.add(Comic(id=50, comic_id=50, reader_id=ADA, pages=1, colours=1))
    session.flush()
    session.delete(session.get_one(Comic, 3))
    session.get_one(Comic, 50).colours = 2
    session.commit()
    assert visible(session, "rls_comics", "comic_id") == [50]


def test_flush_of_others_subclass_is_refused(session: Session) -> None:
    session.add(Comic(id=50, comic_id=50, reader_id=BOB, pages=1, colours=1))
    with pytest.raises(exc.ProgrammingError, match="violates row-level security"):
        session.flush()


def test_truncate_is_refused(session: Session) -> None:
    for table in TABLES:
        refused(session, f"TRUNCATE {table}".replace(":", "\\:"), "permission denied")
    refused(session, "TRUNCATE rls_shelves CASCADE", "permission denied")


def test_views_show_own_rows(session: Session) -> None:
    for view in ("rls_view", "rls_view_of_view"):
        assert visible(session, view) == [1, 2]
        assert session.execute(text(f"UPDATE {view} SET text = 'x'")).rowcount == 2
        refused(session, f"INSERT INTO {view} (id, text, reader_id) VALUES (50, 'x', 8)")
    assert session.execute(text("DELETE FROM rls_view_of_view")).rowcount == 2


def test_views_may_be_open_on_purpose(session: Session) -> None:
    assert visible(session, "rls_everyone", "number") == [5]


def test_do_blocks_and_functions_change_own_rows(site: Site, session: Session) -> None:
    session.execute(text("DO $$ BEGIN EXECUTE 'UPD' || 'ATE rls_letters SET text = ''x'''; END $$"))
    session.execute(text("SELECT rls_rewrite()"))
    session.commit()
    assert [row[0] for row in site.rows() if row[1] == "x"] == [1, 2]


def test_cursor_of_the_driver_sees_own_rows(session: Session) -> None:
    raw: Any = session.connection().connection.dbapi_connection
    assert raw.execute("SELECT count(*) FROM rls_letters").fetchone() == (0,)
    session.execute(text("SELECT 1"))
    assert raw.execute("SELECT array_agg(id ORDER BY id) FROM rls_letters").fetchone() == ([1, 2],)
    assert raw.execute("UPDATE rls_letters SET text = 'x'").rowcount == 2


def test_copy_shows_own_rows_and_loads_none(session: Session) -> None:
    session.execute(text("SELECT 1"))
    raw: Any = session.connection().connection.dbapi_connection
    for source in ("rls_letters (id)", "(SELECT id FROM rls_letters)"):
        with raw.cursor().copy(f"COPY {source} TO STDOUT") as copy:
            assert sorted(bytes(line) for line in copy) == [b"1\n", b"2\n"]
    with pytest.raises(psycopg.errors.FeatureNotSupported), raw.cursor().copy("COPY rls_letters FROM STDIN"):
        pass


# Whose transaction it is


@pytest.mark.parametrize(
    "userid", [None, "", "ada", "07", "7.0", "+7", " 7", "٧", "7 OR true", "7' OR 'a' = 'a", "9" * 40, str(UUIDS[ADA])]
)
def test_who_is_no_reader_sees_nothing(engine: Engine, userid: str | None) -> None:
    with guarded(engine, Visitor(userid)) as session:
        assert visible(session) == visible(session, "rls_readers") == visible(session, "rls_comics", "comic_id") == []
        refused(session, "INSERT INTO rls_letters (id, text, reader_id) VALUES (50, 'x', 7)")
        refused(session, "INSERT INTO rls_keys (id, login) VALUES (50, '')")


def test_text_owners_differ_in_case(engine: Engine) -> None:
    """Even where the collation of the column takes Ada for ada."""
    for userid, expected in (("ada", [98]), ("Ada", []), ("ada ", []), ("", []), (None, [])):
        with guarded(engine, Visitor(userid)) as session:
            assert visible(session, "rls_keys") == expected


@pytest.mark.parametrize("userid", [str(UUIDS[BOB]), UUIDS[BOB].hex, str(UUIDS[BOB]).upper()])
def test_uuids_may_be_spelled_in_each_way(engine: Engine, userid: str) -> None:
    with guarded(engine, Visitor(userid)) as session:
        assert visible(session, "rls_medals") == visible(session, "rls_coins") == [11]


def test_login_in_a_transaction_shows_own_rows(engine: Engine) -> None:
    visitor = Visitor(None)
    with guarded(engine, visitor) as session:
        assert visible(session) == []
        visitor.authenticated_userid = str(ADA)
        assert visible(session) == [1, 2]
        visitor.authenticated_userid = None
        assert visible(session) == []


def test_rolled_back_savepoint_keeps_the_user(engine: Engine) -> None:
    visitor = Visitor(ADA)
    with guarded(engine, visitor) as session:
        savepoint = session.begin_nested()
        assert visible(session) == [1, 2]
        savepoint.rollback()
        assert visible(session) == [1, 2]
        savepoint = session.begin_nested()
        visitor.authenticated_userid = str(BOB)
        assert visible(session) == [11, 12]
        savepoint.rollback()
        assert visible(session) == [11, 12]


@pytest.mark.parametrize("rollback", ["ROLLBACK TO a", "/* . */ rollback to savepoint a", "SELECT 1; ROLLBACK TO a"])
def test_rollback_by_text_keeps_the_guard_down(session: Session, rollback: str) -> None:
    with unowned(session):
        session.execute(text("SAVEPOINT a"))
        assert len(visible(session)) == 5
    assert visible(session) == [1, 2]
    session.execute(text(rollback))
    assert visible(session) == [1, 2]


def test_savepoint_of_a_failed_block_rolls_back(session: Session) -> None:
    savepoint = session.begin_nested()
    with pytest.raises(exc.IntegrityError), unowned(session):
        session.execute(text("INSERT INTO rls_letters (id, text) VALUES (1, 'x')"))
    savepoint.rollback()
    assert visible(session) == [1, 2]


def test_outer_savepoint_rolled_back_keeps_the_user(engine: Engine) -> None:
    visitor = Visitor(ADA)
    with guarded(engine, visitor) as session:
        connection = session.connection()
        outer = connection.begin_nested()
        connection.begin_nested()
        visitor.authenticated_userid = str(BOB)
        assert visible(session) == [11, 12]
        with pytest.warns(exc.SAWarning, match="deassociated"):
            outer.rollback()
        assert visible(session) == [11, 12]


def test_next_transaction_has_its_user(session: Session, ada: Visitor) -> None:
    assert visible(session) == [1, 2]
    session.commit()
    assert visible(session) == [1, 2]
    session.rollback()
    ada.authenticated_userid = str(BOB)
    assert visible(session) == [11, 12]


def test_pooled_connection_carries_nothing(site: Site) -> None:
    engine = site.engine(pool_size=1, max_overflow=0)
    for reader, expected in ((ADA, [1, 2]), (BOB, [11, 12]), (None, []), (ADA, [1, 2])):
        with guarded(engine, Visitor(reader)) as session:
            assert visible(session) == expected
            with unowned(session):
                assert len(visible(session)) == 5
            session.commit()
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM rls_letters")) == 0
            settings = "SELECT current_setting('sessionkit.userid') || current_setting('sessionkit.unowned')"
            assert connection.scalar(text(settings)) == ""
    engine.dispose()


def test_threads_have_their_own_users(site: Site) -> None:
    engine = site.engine(pool_size=2, max_overflow=0)
    barrier, wrong = threading.Barrier(4), []

    def work(reader: int, expected: list[int]) -> None:
        barrier.wait()
        for _ in range(50):
            with guarded(engine, Visitor(reader)) as session:
                for _ in range(3):
                    found = visible(session)
                    if found != expected:
                        wrong.append((reader, found))

    threads = [threading.Thread(target=work, args=each) for each in ((ADA, [1, 2]), (BOB, [11, 12])) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    engine.dispose()


def test_unowned_lifts_it_for_its_block(site: Site, session: Session) -> None:
    assert visible(session) == [1, 2]
    with unowned(session):
        assert visible(session) == [1, 2, 11, 12, 99]
        assert len(visible(session, "rls_comics", "comic_id")) == 2
        session.execute(text("UPDATE rls_letters SET text = 'x' WHERE id > 10"))
    assert visible(session) == [1, 2]
    refused(session, "INSERT INTO rls_letters (id, text, reader_id) VALUES (50, 'x', 8)")
    session.commit()
    assert [row[0] for row in site.rows() if row[1] == "x"] == [11, 12, 99]


def test_unowned_finds_who_logs_in(engine: Engine) -> None:
    with guarded(engine, Visitor(None)) as session:
        by_email = select(Reader.id).where(Reader.email == "7@example.com")
        assert session.scalar(by_email) is None
        with unowned(session):
            assert session.scalar(by_email) == ADA


def statements_of(engine: Engine) -> list[str]:
    """What reaches the driver from now on."""
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *each: seen.append(each[2]))
    return seen


def test_user_is_told_once_for_a_transaction(engine: Engine, session: Session) -> None:
    seen = statements_of(engine)
    for _ in range(3):
        visible(session)
        with session.begin_nested():
            visible(session)
    assert seen.count(SET_USER) == 1
    session.commit()
    visible(session)
    assert seen.count(SET_USER) == 2


def test_user_belongs_to_the_transaction(engine: Engine) -> None:
    """Two sessions may share one."""
    with engine.connect() as connection:
        for reader, expected in ((ADA, 1), (BOB, 11), (ADA, 1)):
            set_user(connection, str(reader), False)
            assert connection.scalar(text("SELECT min(id) FROM rls_letters")) == expected


def test_transaction_may_set_its_isolation(session: Session) -> None:
    session.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
    assert visible(session) == [1, 2]


def test_streamed_results_have_their_user(engine: Engine, ada: Visitor) -> None:
    with engine.connect().execution_options(yield_per=1) as connection, guarded(connection, ada) as session:
        assert visible(session) == [1, 2]


def test_lost_connections_are_replaced(site: Site, engine: Engine, ada: Visitor) -> None:
    with guarded(engine, ada) as session:
        visible(session)
    site.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rls_app'")
    with guarded(engine, ada) as session:
        with pytest.raises(exc.OperationalError) as caught:
            visible(session)
        assert caught.value.connection_invalidated
        session.rollback()
        assert visible(session) == [1, 2]


def test_autocommit_is_refused(site: Site, ada: Visitor) -> None:
    engine = site.engine(isolation_level="AUTOCOMMIT")
    with guarded(engine, ada) as session:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
                visible(session)
    engine.dispose()


def test_owned_statements_use_the_index(site: Site, session: Session) -> None:
    site.run(
        "INSERT INTO rls_letters (id, text, reader_id) SELECT n, 'x', 8 FROM generate_series(1000, 50000) AS n",
        "ANALYZE rls_letters",
    )
    plan = session.execute(text("EXPLAIN SELECT * FROM rls_letters WHERE reader_id = 7")).scalars()
    assert any("Index Cond: (reader_id = 7)" in line for line in plan)


# What the documentation says that it does not keep


def test_foreign_keys_reach_others_rows(site: Site, session: Session) -> None:
    session.execute(text("DELETE FROM rls_shelves"))
    session.commit()
    assert [row[0] for row in site.rows()] == [2, 12, 99]


def test_unique_keys_tell_that_a_row_exists(session: Session) -> None:
    refused(session, "INSERT INTO rls_letters (id, text, reader_id) VALUES (11, 'x', 7)", "duplicate key")
    refused(session, "UPDATE rls_readers SET email = '8@example.com'", "duplicate key")


# The role and the tables


def faults(engine: Engine) -> str:
    try:
        with engine.connect() as connection:
            check_role(connection, OWNED.of_metadata(Base.metadata))
    except ConfigurationError as error:
        return str(error)
    finally:
        engine.dispose()
    return ""


def test_policies_may_be_made_again(site: Site) -> None:
    site.protect()
    with site.admin.begin() as connection:
        for statement in owned_policies(Base.metadata):
            connection.exec_driver_sql(statement)
    assert site.rows("SELECT count(*) FROM pg_policies WHERE policyname = 'sessionkit_owner'") == [(len(TABLES),)]
    assert faults(site.engine()) == ""


def test_tables_without_owners_need_no_policies() -> None:
    assert owned_policies(MetaData()) == []


@pytest.mark.parametrize("role", ["postgres", "rls_bypassing"])
def test_role_that_bypasses_is_refused(site: Site, role: str, ada: Visitor) -> None:
    found = faults(site.engine(role))
    assert f"{role} is a superuser or has BYPASSRLS" in found
    assert "policy" not in found
    engine = site.engine(role)
    with guarded(engine, ada) as session:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="BYPASSRLS"):
                visible(session)
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP POLICY sessionkit_owner ON rls_letters", "rls_letters has no policy"),
        ("ALTER TABLE rls_letters DISABLE ROW LEVEL SECURITY", "rls_letters has no policy"),
        ("ALTER TABLE rls_letters NO FORCE ROW LEVEL SECURITY", "rls_letters has no policy"),
        ("GRANT TRUNCATE ON rls_letters TO rls_app", "REVOKE TRUNCATE ON rls_letters FROM rls_app"),
        ("GRANT TRUNCATE ON rls_letters TO PUBLIC", "REVOKE TRUNCATE ON rls_letters FROM rls_app"),
        ("CREATE POLICY other ON rls_letters USING (true)", "opened by other policies (other)"),
        ("CREATE POLICY other ON rls_letters TO rls_app USING (true)", "opened by other policies (other)"),
        ("CREATE OR REPLACE VIEW rls_late AS SELECT * FROM rls_view", "the view rls_late is read as its owner"),
    ],
)
def test_what_opens_tables_is_named(site: Site, change: str, message: str) -> None:
    site.run(change)
    try:
        assert message in faults(site.engine())
    finally:
        site.run("DROP POLICY IF EXISTS other ON rls_letters")
        site.protect()
    assert faults(site.engine()) == ""


@pytest.mark.parametrize("policy", ["AS RESTRICTIVE USING (true)", "TO rls_bypassing USING (true)"])
def test_policies_that_open_nothing_may_be_added(site: Site, policy: str) -> None:
    site.run(f"CREATE POLICY other ON rls_letters {policy}")
    try:
        assert faults(site.engine()) == ""
    finally:
        site.run("DROP POLICY other ON rls_letters")


def test_role_is_checked_once_for_an_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Connection] = []
    monkeypatch.setattr(transaction_user, "check_role", lambda connection, _: checked.append(connection))
    for reader in (ADA, BOB):
        with guarded(engine, Visitor(reader)) as session:
            visible(session)
    assert len(checked) == 1


def test_other_databases_are_refused(ada: Visitor) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="PostgreSQL"):
        check_role(connection, OWNED)
    with guarded(engine, ada) as session, pytest.raises(ConfigurationError, match="PostgreSQL"):
        session.execute(text("SELECT 1"))
    engine.dispose()


def test_owner_of_the_tables_may_be_the_role(site: Site, ada: Visitor) -> None:
    """One role for migrations and for the application is protected from mistakes too."""
    site.run("CREATE ROLE rls_owner LOGIN")
    for table in TABLES:
        site.run(f"ALTER TABLE {table} OWNER TO rls_owner", f"GRANT TRUNCATE ON {table} TO rls_owner")
    engine = site.engine("rls_owner")
    try:
        assert "REVOKE TRUNCATE ON rls_letters FROM rls_owner" in faults(engine)
        with engine.begin() as connection:
            for statement in owned_policies(Base.metadata):
                connection.execute(text(statement))
        assert faults(engine) == ""
        with guarded(engine, ada) as session:
            assert visible(session) == [1, 2]
            refused(session, "TRUNCATE rls_letters", "permission denied")
        with engine.connect() as connection:
            revision = text("UPDATE rls_letters SET text = 'x'")
            assert connection.execute(revision).rowcount == 0
            connection.execute(text("SELECT set_config('sessionkit.unowned', 'on', true)"))
            assert connection.execute(revision).rowcount == 5
    finally:
        engine.dispose()
        for table in TABLES:
            site.run(f"ALTER TABLE {table} OWNER TO postgres")
        site.run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM rls_owner")
