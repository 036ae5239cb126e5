"""The session libraries of Pyramid, ready to be adopted; each function takes the arguments of the old library."""

from pyramid_sessionkit.adoption.pyramid_sessions.beaker_sessions import beaker_sessions
from pyramid_sessionkit.adoption.pyramid_sessions.factory_sessions import FactorySessions
from pyramid_sessionkit.adoption.pyramid_sessions.old_users import (
    OldUsers,
    Who,
    authtkt_sessions,
    authtkt_user,
    session_user,
)
from pyramid_sessionkit.adoption.pyramid_sessions.redis_sessions import redis_sessions
from pyramid_sessionkit.adoption.pyramid_sessions.signed_cookie import signed_cookie_sessions

__all__ = [
    "FactorySessions",
    "OldUsers",
    "Who",
    "authtkt_sessions",
    "authtkt_user",
    "beaker_sessions",
    "redis_sessions",
    "session_user",
    "signed_cookie_sessions",
]
