"""Who is who, and who may do what. development.ini names the first three functions."""

from typing import NamedTuple

from argon2.exceptions import VerifyMismatchError
from pyramid.authorization import Allow
from pyramid.request import Request
from pyramid.security import remember
from sqlalchemy import select

from example_app.devices import device_of
from example_app.models.user import User, hasher

REMEMBERED = 30 * 86400  # seconds

# For e-mail addresses that nobody has: an answer that came faster would tell which ones exist.
NOBODYS_HASH = hasher.hash("nobody")


def identity(request: Request, userid: str) -> User | None:
    """What ``request.identity`` is; None once the user is gone, which ends the session."""
    try:
        user_id = int(userid)
    except ValueError:
        return None
    return request.dbsession.get(User, user_id)


def principals(request: Request, user: User) -> list[str]:
    """Who the user is in the eyes of an ``__acl__``."""
    return [f"role:{user.role}"]


def credentials_hash(request: Request, user: User) -> str:
    """What logins depend on: when it changes, all sessions of before are ended."""
    return user.password_hash


class AdminPages:
    """The context of the routes that only administrators may use."""

    __acl__ = [(Allow, "role:admin", "admin")]

    def __init__(self, request: Request) -> None:
        pass


class Login(NamedTuple):
    """What came of an attempt to log in."""

    user: User | None
    retry_after: int | None  # seconds; not None: too many attempts


def authenticate(request: Request, email: str, password: str) -> Login:
    """The user with this e-mail address and password."""
    user = request.dbsession.scalar(select(User).where(User.email == email.lower()))
    password_hash = NOBODYS_HASH if user is None else user.password_hash
    return Login(user if is_right_password(password_hash, password) else None, None)


def is_right_password(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False


def log_in(request: Request, user: User, persistent: bool = False) -> None:
    """Make the session this user's; ``persistent`` if it should outlive the browser."""
    remember(request, str(user.id), persistent=persistent)
    # After remember(), which begins an empty session if another user was logged in.
    request.session["device"] = device_of(request)
    if persistent:
        # A cookie that outlives the browser is worth little if the session behind it ends after 20 idle minutes.
        request.session.set_expiry(timeout=REMEMBERED, lifetime=REMEMBERED)
