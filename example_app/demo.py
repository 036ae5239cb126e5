"""Tables and users to try the application with. For development only: everyone knows the password."""

from sqlalchemy import inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from example_app.models import Base, User
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
            # Another process made the same thing between our look and our write: look again.
            if attempt == ATTEMPTS:
                raise
    print("Demo users:", " and ".join(USERS), f"with the password: {PASSWORD}", flush=True)


def _make_tables_and_users(session_factory: sessionmaker[Session]) -> None:
    with session_factory.begin() as dbsession:
        _make_tables(dbsession)
        known = set(dbsession.scalars(select(User.email)))
        for email, fields in USERS.items():
            if email not in known:
                dbsession.add(User(email=email, password_hash=hasher.hash(PASSWORD), **fields))


def _make_tables(dbsession: Session) -> None:
    connection = dbsession.connection()
    Base.metadata.create_all(connection)
    there = {column["name"] for column in inspect(connection).get_columns(User.__tablename__)}
    missing = sorted(set(User.__table__.columns.keys()) - there)
    if missing:
        raise RuntimeError(
            f"The table users of {connection.engine.url!r} is of an earlier version and lacks {', '.join(missing)}: "
            "delete that database, or the file of it, and start again"
        )
