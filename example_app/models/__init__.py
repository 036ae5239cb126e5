"""The database: ``request.dbsession``, whose transaction ends with the request.

It is guarded: views write rows of the logged-in user, and no others.
"""

from typing import Any

import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import Engine, engine_from_config
from sqlalchemy.orm import Session, configure_mappers, sessionmaker
from transaction import TransactionManager

from example_app.models.api_token import ApiToken
from example_app.models.known_device import KnownDevice
from example_app.models.login_attempt import LoginAttempt
from example_app.models.mailed_link import MailedLink
from example_app.models.message import Message
from example_app.models.meta import Base
from example_app.models.user import User
from pyramid_sessionkit.owned import guard
from pyramid_sessionkit.stores.sql import sessions_table

__all__ = [
    "ApiToken",
    "Base",
    "KnownDevice",
    "LoginAttempt",
    "MailedLink",
    "Message",
    "User",
    "get_engine",
    "get_session_factory",
    "get_tm_session",
    "includeme",
]

configure_mappers()

# Not a model, since only pyramid_sessionkit uses it. It is here so that Alembic makes it.
sessions_table(Base.metadata)


def get_engine(settings: dict[str, Any]) -> Engine:
    return engine_from_config(settings, "sqlalchemy.")


def get_session_factory(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine)


def get_tm_session(session_factory: sessionmaker[Session], transaction_manager: TransactionManager) -> Session:
    """A session that commits or rolls back with the transaction of the manager, never by itself."""
    dbsession = session_factory()
    zope.sqlalchemy.register(dbsession, transaction_manager=transaction_manager)
    return dbsession


def includeme(config: Configurator) -> None:
    settings = config.get_settings()
    # One manager for each request, and an error where it is used outside of a transaction.
    settings["tm.manager_hook"] = "pyramid_tm.explicit_manager"
    # A view that answers 4xx or 5xx has changed nothing.
    settings["tm.commit_veto"] = "pyramid_tm.default_commit_veto"
    config.include("pyramid_tm")
    config.include("pyramid_retry")

    # Tests may bring an engine of their own.
    session_factory = get_session_factory(settings.get("dbengine") or get_engine(settings))
    config.registry["dbsession_factory"] = session_factory

    def dbsession(request: Request) -> Session:
        # Tests may bring a session of their own.
        dbsession = request.environ.get("app.dbsession")
        if dbsession is None:
            # request.tm is the transaction manager of pyramid_tm.
            dbsession = get_tm_session(session_factory, request.tm)
        return guard(dbsession, request)

    config.add_request_method(dbsession, reify=True)
