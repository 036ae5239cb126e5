"""Links that are sent by mail: each works for one hour, once, and for its purpose alone.

The token stays in the address of the page that it opens. That page has no links to other sites, and the header
Referrer-Policy keeps its address from them anyway. Once the form on it was sent, the link no longer works. Opening the
page does not use the link up, since programs that look for bad links in mails open it too.
"""

import secrets
from hashlib import sha256
from time import time

from pyramid.request import Request
from sqlalchemy import delete, select

from example_app.models import MailedLink, User
from example_app.routes import public_url

GOOD_FOR = 3600  # seconds


def make_link(request: Request, route: str, user: User | None, email: str) -> str:
    """The URL of a route that needs a ``token``, to be sent to this address. Without a user it opens nothing."""
    token = secrets.token_urlsafe(32)
    now = int(time())
    request.dbsession.execute(delete(MailedLink).where(MailedLink.expires <= now))
    request.dbsession.add(
        MailedLink(
            token_hash=_hash(token),
            purpose=route,
            user_id=user and user.id,
            password_id=user and user.password_id,
            email=email,
            expires=now + GOOD_FOR,
        )
    )
    return public_url(request, route, token=token)


def find_link(request: Request) -> tuple[MailedLink, User] | None:
    """The link that this request follows, and its user; None if it does not work, or no longer."""
    statement = (
        select(MailedLink, User)
        .join(User, (User.id == MailedLink.user_id) & (User.password_id == MailedLink.password_id))
        .where(
            MailedLink.token_hash == _hash(request.matchdict["token"]),
            MailedLink.purpose == request.matched_route.name,
            MailedLink.expires > int(time()),
        )
    )
    found = request.dbsession.execute(statement).one_or_none()
    return None if found is None else (found[0], found[1])


def use_up(request: Request, link: MailedLink) -> bool:
    """Remove the link; False if another request has used it at the same time."""
    statement = delete(MailedLink).where(MailedLink.token_hash == link.token_hash)
    return bool(request.dbsession.execute(statement).rowcount)


def forget_links(request: Request, user: User) -> None:
    """Remove all links that were made for this user."""
    request.dbsession.execute(delete(MailedLink).where(MailedLink.user_id == user.id))


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
