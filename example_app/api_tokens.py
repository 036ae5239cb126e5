"""Bearer tokens: how they are made, and how the security policy learns whose they are."""

import secrets
import time
from hashlib import sha256
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import select, update

from example_app.models import ApiToken
from example_app.problems import is_api
from pyramid_sessionkit import BearerTokenSource
from pyramid_sessionkit.owned import owned

# So that people and scanners for leaked secrets recognize one.
BEGINNING = "example_"
SHOWN = 12  # characters

USE_IS_NOTED_EVERY = 60  # seconds: not each request is worth a write


def includeme(config: Configurator) -> None:
    config.add_session_source(BearerTokenSource(userid_of))
    # The token that says who sends the request; None where a session does, or nobody is logged in.
    config.add_request_method(lambda request: None, "api_token", reify=True)


def new_token() -> tuple[str, dict[str, Any]]:
    """A token, and what is stored of it."""
    token = BEGINNING + secrets.token_urlsafe(32)
    return token, {"prefix": token[:SHOWN], "token_hash": _hash(token), "created": int(time.time())}


def userid_of(request: Request, token: str) -> int | None:
    """Whose token this is. Nobody's on the pages: what a program may do is in the API."""
    if not is_api(request):
        return None
    found = request.dbsession.scalar(select(ApiToken).where(ApiToken.token_hash == _hash(token)))
    request.api_token = found
    return None if found is None else found.user_id


def note_use(request: Request) -> None:
    """Of the token that this request was let in with; written when the request commits.

    Not earlier: SQLite has one writer, and the count of logins is written on a connection of its own.
    """
    used, now = request.api_token, int(time.time())
    if used.last_used is None or used.last_used <= now - USE_IS_NOTED_EVERY:
        noted = owned(request, update(ApiToken).where(ApiToken.id == used.id).values(last_used=now))
        request.tm.get().addBeforeCommitHook(request.dbsession.execute, (noted,))


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
