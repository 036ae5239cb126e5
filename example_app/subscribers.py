"""Subscribers of the events of pyramid_sessionkit."""

import logging

from pyramid.events import subscriber

from example_app import kept_form
from pyramid_sessionkit import LoggedIn, LoginRequired, SessionEnded

log = logging.getLogger(__name__)


@subscriber(LoggedIn)
def logged_in(event: LoggedIn) -> None:
    log.info("User %s logged in: session %s", event.userid, event.key[:8])


@subscriber(SessionEnded)
def session_ended(event: SessionEnded) -> None:
    log.info("Session %s of user %s ended: %s", event.key[:8], event.userid or "nobody", event.reason)


@subscriber(LoginRequired)
def login_required(event: LoginRequired) -> None:
    if event.keeps:
        kept_form.keep(event.request)
