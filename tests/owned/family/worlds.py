"""The databases that the family runs on: one with the rows of all, and one in which Ada is alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from tests.owned.family.shapes import ADA, Base, of_ada, of_nobody, of_others

# Of each table, the owner first. A car's owner is that of its vehicle.
OWNED = {
    "writers": "SELECT id, text, stars FROM writers ORDER BY 1",
    "letters": "SELECT writer_id, id, text, stars, topic_id FROM letters ORDER BY 2",
    "vehicles": "SELECT writer_id, id, kind, text, stars FROM vehicles ORDER BY 2",
    "cars": "SELECT writer_id, car_id, extra, wheels FROM cars LEFT JOIN vehicles ON id = car_id ORDER BY 2",
    "seats": "SELECT writer_id, number, text, stars FROM seats ORDER BY 1, 2",
    "tickets": "SELECT login, id, text, stars FROM tickets ORDER BY 2",
    "shelves": "SELECT writer_id, id, name, topic_id FROM shelves ORDER BY 2",
    "racks": "SELECT writer_id, id, name, topic_id FROM racks ORDER BY 2",
}
FREE = {
    "topics": "SELECT id, name FROM topics ORDER BY 1",
    "archives": "SELECT id, text, stars FROM archives ORDER BY 1",
}
GONE = [("the table is gone, or its columns are",)]
# Plain views: through them rows can be written on the servers.
VIEWS = (
    "CREATE VIEW letters_view AS SELECT id, text, stars, writer_id FROM letters",
    "CREATE VIEW all_tickets AS SELECT * FROM tickets",
)

Rows = dict[str, list[tuple[Any, ...]]]


class World:
    """A database with all rows, and the one of Ada alone; both are as before after each statement."""

    def __init__(self, name: str, full: Engine, alone: Engine) -> None:
        self.name = name
        self.full = full
        self.alone = alone
        self.restored = 0
        for engine in (full, alone):
            self._make(engine)
        self.before = self.committed()
        self._alone = self.committed(alone)

    def _make(self, engine: Engine) -> None:
        Base.metadata.create_all(engine)
        people = [of_nobody, of_ada] if engine is self.alone else [of_nobody, of_ada, of_others]
        with Session(engine) as session:
            for made in people:
                for row in made():
                    session.add(row)
                    session.flush()
            session.commit()
        with engine.begin() as connection:
            for view in VIEWS:
                connection.execute(text(view))
            if self.name == "postgresql":
                for table in ("letters", "vehicles", "tickets", "archives", "topics"):
                    connection.execute(text(f"SELECT setval('{table}_id_seq', 20000)"))

    def committed(self, engine: Engine | None = None) -> Rows:
        try:
            with (engine or self.full).connect() as connection:
                return self.rows(connection.connection.driver_connection)
        except OperationalError:  # there is no such database any more
            return {}

    def rows(self, driver: Any) -> Rows:
        """Of all tables, by the cursor of the driver, past everything that could refuse it."""
        cursor = driver.cursor()
        found = {table: _fetch(cursor, sql) for table, sql in (OWNED | FREE).items()}
        cursor.close()
        return found

    def restore_if_changed(self) -> bool:
        """After what commits by itself. A database that is whole costs a look only."""
        changed = False
        for engine, before in ((self.full, self.before), (self.alone, self._alone)):
            if self.committed(engine) != before:
                self._again(engine)
                changed = True
        self.restored += changed
        return changed

    def _again(self, engine: Engine) -> None:
        assert self.name != "postgresql", "what is rolled back there is gone, DDL too"
        if self.name == "mariadb":
            self._start_again(engine)
        engine.dispose()
        self._make(engine)

    def _start_again(self, engine: Engine) -> None:
        database = engine.url.database
        # There may be no database to connect to any more.
        server = create_engine(engine.url.set(database="test"), poolclass=NullPool)
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {database}")
            connection.exec_driver_sql(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")

    def close(self) -> None:
        self.full.dispose()
        self.alone.dispose()


def _fetch(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    try:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]
    except Exception:
        return GONE


MINE = (ADA, str(ADA))


def of_others_in(rows: Rows) -> Rows:
    """Whatever is not Ada's, rows without an owner included."""
    return {table: [row for row in rows[table] if row[0] not in MINE] for table in OWNED}


def of_ada_in(rows: Rows) -> Rows:
    """What is Ada's, and the tables that are nobody's."""
    mine = {table: [row for row in rows[table] if row[0] in MINE] for table in OWNED}
    return mine | {table: rows[table] for table in FREE}


def sqlite() -> World:
    return World("sqlite", _sqlite(), _sqlite())


def _sqlite() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(driver: Any, _: Any) -> None:
        # Transactions of the database's own, so that everything is rolled back, DDL and WITH ... DELETE too.
        driver.isolation_level = None
        driver.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # Not by SQLAlchemy: a guard need not know this.
        connection.connection.driver_connection.execute("BEGIN")

    return engine


def postgresql(server: Any) -> World:
    for name in ("family", "family_alone"):
        server.execute(f"CREATE DATABASE {name}")
    url = make_url(server.url)
    return World("postgresql", *(_pooled(url.set(database=name)) for name in ("family", "family_alone")))


def mariadb(server: Any) -> World:
    for name in ("family", "family_alone"):
        server.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        server.execute(f"GRANT ALL ON {name}.* TO test@'%'")
    # LOAD DATA INFILE reads a file of the server.
    server.execute("GRANT FILE ON *.* TO test@'%'")
    url = make_url(server.url).update_query_dict({"local_infile": "1"})
    return World("mariadb", *(_pooled(url.set(database=name)) for name in ("family", "family_alone")))


def _pooled(url: Any) -> Engine:
    return create_engine(url, pool_size=1, max_overflow=2)
