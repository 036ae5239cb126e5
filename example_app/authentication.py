"""Checks an e-mail address and a password. Wrong passwords are counted, so that nobody can go on guessing."""

from typing import NamedTuple

from argon2.exceptions import VerifyMismatchError
from pyramid.request import Request
from sqlalchemy import select, update

from example_app import throttle
from example_app.known_browser import browser_known_to
from example_app.models.user import User, hasher
from example_app.throttle import Limit
from pyramid_sessionkit.owned import unowned

# Wrong passwords. Many people may share an IP address, so its limit is higher.
PER_ACCOUNT = Limit(5, 15 * 60)
PER_ADDRESS = Limit(20, 15 * 60)

# For e-mail addresses without an account: a faster answer would say which addresses have one.
NOBODYS_HASH = hasher.hash("nobody")


class Login(NamedTuple):
    """The result of an attempt: ``user`` is None if it failed, and ``retry_after`` are the seconds to wait, if any."""

    user: User | None
    retry_after: int | None = None


def authenticate(request: Request, email: str, password: str) -> Login:
    """The user with this e-mail address and password. Each wrong password counts, on every page that asks for one."""
    email = email.strip().lower()
    user = request.dbsession.scalar(select(User).where(User.email == email))
    limits = _limits(request, user, email)
    attempt = throttle.begin(request, limits)
    if attempt.retry_after is not None:
        # The right password is refused too, or the answer would say which one it is.
        return Login(None, attempt.retry_after)
    if not is_right_password(NOBODYS_HASH if user is None else user.password_hash, password) or user is None:
        return Login(None)
    throttle.forgive(request, attempt)
    # Not for the address: people with one account could reset its count after each guess at other accounts.
    throttle.clear(request, next(iter(limits)))
    _rehash(request, user, password)
    return Login(user)


def _limits(request: Request, user: User | None, email: str) -> dict[str, Limit]:
    """What an attempt counts for, the account first. An e-mail address without an account counts in the same way."""
    browser = user and browser_known_to(request, user)
    if user is not None and browser is not None:
        return {f"login of {user.id} with {browser}": PER_ACCOUNT}
    return {f"login of {email}": PER_ACCOUNT, f"logins from {throttle.address(request)}": PER_ADDRESS}


def _rehash(request: Request, user: User, password: str) -> None:
    """Hash the password again if it was hashed with fewer rounds or less memory than today."""
    if not hasher.check_needs_rehash(user.password_hash):
        return
    # Only if it is still this one: another request may have changed the password since we read it.
    same = update(User).where(User.id == user.id, User.password_hash == user.password_hash)
    with unowned(request.dbsession, reason="a new hash of the same password"):
        request.dbsession.execute(same.values(password_hash=hasher.hash(password)))


def is_right_password(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False
