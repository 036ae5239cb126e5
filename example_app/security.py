"""Who is who: loading the logged-in user, and checking a password."""

from argon2.exceptions import VerifyMismatchError
from pyramid.request import Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from example_app.models.user import User, hasher

# For e-mail addresses that nobody has: an answer that came faster would tell which ones exist.
NOBODYS_HASH = hasher.hash("nobody")


def identity(request: Request, userid: str) -> User | None:
    """What ``request.identity`` is; None, and so anonymous, once the user is gone."""
    try:
        user_id = int(userid)
    except ValueError:
        return None
    return request.dbsession.get(User, user_id)


def authenticate(dbsession: Session, email: str, password: str) -> User | None:
    """The user with this e-mail address and password."""
    user = dbsession.scalar(select(User).where(User.email == email.lower()))
    try:
        hasher.verify(NOBODYS_HASH if user is None else user.password_hash, password)
    except VerifyMismatchError:
        return None
    return user
