"""What each command of Alembic runs: ``alembic -c development.ini upgrade head``."""

from alembic import context
from pyramid.paster import get_appsettings, setup_logging
from sqlalchemy import Connection

from example_app.models import Base, get_engine


def from_command_line() -> None:
    # Where the ini file needs variables: alembic -c production.ini -x DATABASE_URL=... upgrade head
    variables = context.get_x_argument(as_dictionary=True)
    ini_file = context.config.config_file_name
    setup_logging(ini_file, variables)
    settings = get_appsettings(ini_file, options=variables)
    if context.is_offline_mode():
        # alembic upgrade head --sql
        context.configure(url=settings["sqlalchemy.url"], target_metadata=Base.metadata, literal_binds=True)
        migrate()
        return
    with get_engine(settings).connect() as connection:
        on_connection(connection)


def on_connection(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    migrate()


def migrate() -> None:
    with context.begin_transaction():
        context.run_migrations()


if "connection" in context.config.attributes:
    # The transaction is the caller's: see migrations.py.
    on_connection(context.config.attributes["connection"])
else:
    from_command_line()
