"""Tables and users to try the application with. For development only: everyone knows the password."""

from alembic import command
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from example_app.migrations import alembic_config
from example_app.models import User
from example_app.models.user import hasher

PASSWORD = "demo"  # noqa: S105
USERS = {
    "ada@example.com": {"name": "Ada", "role": "admin"},
    "bob@example.com": {"name": "Bob", "role": "user"},
}

ATTEMPTS = 10


def prepare(session_factory: sessionmaker[Session]) -> None:
    """Make the tables and users that are missing, and print who can log in."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _make_tables_and_users(session_factory)
            break
        except DBAPIError:
            # Another process has made the same table or user meanwhile: look again.
            if attempt == ATTEMPTS:
                raise
    print("Demo users:", " and ".join(USERS), f"with the password: {PASSWORD}", flush=True)


def _make_tables_and_users(session_factory: sessionmaker[Session]) -> None:
    with session_factory.begin() as dbsession:
        _make_tables(dbsession.connection())
        known = set(dbsession.scalars(select(User.email)))
        for email, fields in USERS.items():
            if email not in known:
                dbsession.add(User(email=email, password_hash=hasher.hash(PASSWORD), **fields))


def _make_tables(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # Processes that start together do this one after the other. SQLite alone would make each table by itself.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    tables = set(inspect(connection).get_table_names())
    if "users" in tables and "alembic_version" not in tables:
        raise _earlier(connection, "its tables were not made by Alembic")
    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise _earlier(connection, str(error)) from None


def _earlier(connection: Connection, why: str) -> RuntimeError:
    url = connection.engine.url
    which = f"the file {url.database}" if url.get_backend_name() == "sqlite" else "that database"
    return RuntimeError(f"{url!r} is of an earlier version of this application ({why}). Delete {which} and start again")
