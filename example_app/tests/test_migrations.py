"""Alembic makes the tables that the models describe, and can remove them."""

from alembic import command
from sqlalchemy import Engine, inspect

from example_app.migrations import alembic_config
from example_app.models import Base, get_engine


def test_the_migrations_make_what_the_models_say(dbengine: Engine) -> None:
    with dbengine.connect() as connection:
        # Where this fails: alembic -c development.ini revision --autogenerate -m "what is new"
        command.check(alembic_config(connection))


def test_upgrade_and_downgrade() -> None:
    engine = get_engine({"sqlalchemy.url": "sqlite://"})
    with engine.begin() as connection:
        config = alembic_config(connection)
        command.upgrade(config, "head")
        assert set(inspect(connection).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
