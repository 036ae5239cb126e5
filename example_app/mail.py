"""Sending mail."""

import logging

from pyramid.request import Request

log = logging.getLogger(__name__)


def send(request: Request, to: str, subject: str, text: str) -> None:
    log.info("Mail to %s: %s\n%s", to, subject, text)
