"""E-mail addresses: each belongs to one account."""

from pyramid.request import Request
from pyramid_retry import mark_error_retryable
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from example_app.models import User


def is_taken(request: Request, email: str) -> bool:
    return request.dbsession.scalar(select(User.id).where(User.email == email)) is not None


def write_address(request: Request) -> None:
    """Write what the view has changed, an address among it. If it is taken by now, the request is tried again."""
    try:
        request.dbsession.flush()
    except IntegrityError as error:
        # Someone else took the address since is_taken() was asked. The next attempt will see it.
        mark_error_retryable(error)
        raise
