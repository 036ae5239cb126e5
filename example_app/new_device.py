"""A mail to a user who logs in with a browser or a system for the first time."""

from datetime import datetime, timezone

from pyramid.request import Request
from sqlalchemy import insert, select

from example_app import mail
from example_app.models import KnownDevice, User
from example_app.routes import public_url
from pyramid_sessionkit.owned import owned

TEXT = """There was a login to your account from a device that you have not used before:

    {browser}
    Address: {address}
    Time: {time} UTC

If that was you, there is nothing to do. If not, choose a new password, which ends all sessions and API tokens:

    {url}
"""


def notify_of_new_device(request: Request, user: User, device: dict[str, str]) -> None:
    """Call it after the login. The first device of a user, as at the sign-up, causes no mail."""
    known = request.dbsession.scalars(owned(request, select(KnownDevice.name))).all()
    if device["browser"] in known:
        return
    request.dbsession.execute(owned(request, insert(KnownDevice).values(name=device["browser"])))
    if known:
        mail.send(request, user.email, f"New login from {device['browser']}", _text(request, device))


def _text(request: Request, device: dict[str, str]) -> str:
    return TEXT.format(
        browser=device["browser"],
        address=device["address"] or "unknown",
        time=datetime.now(timezone.utc).strftime("%d %b %Y, %H:%M"),
        url=public_url(request, "reset"),
    )
