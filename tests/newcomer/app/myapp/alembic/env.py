from alembic import context
from myapp.models.meta import Base
from pyramid.paster import get_appsettings, setup_logging
from sqlalchemy import engine_from_config

config = context.config
setup_logging(config.config_file_name)
settings = get_appsettings(config.config_file_name)


def run_migrations_online():
    engine = engine_from_config(settings, prefix="sqlalchemy.")
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run_migrations_online()
