"""Alembic's commands from Python, in a transaction of the caller."""

from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection) -> Config:
    """For ``alembic.command``: ``command.upgrade(alembic_config(connection), "head")``."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "example_app:alembic")
    return config
