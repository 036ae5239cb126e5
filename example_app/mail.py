"""Mail, by pyramid_mailer: to a server, or into a folder where the settings name one."""

import logging
from pathlib import Path

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid_mailer import get_mailer
from pyramid_mailer.interfaces import IMailer
from pyramid_mailer.mailer import DebugMailer, Mailer
from pyramid_mailer.message import Attachment, Message

log = logging.getLogger(__name__)

FOLDER = "mail.top_level_directory"
DEFAULT_SENDER = "no-reply@localhost"


def includeme(config: Configurator) -> None:
    settings = config.get_settings()
    config.registry.registerUtility(_make_mailer(settings), IMailer)


def _make_mailer(settings: dict[str, str]) -> DebugMailer | Mailer:
    if FOLDER not in settings:
        return Mailer.from_settings(settings)
    Path(settings[FOLDER]).mkdir(parents=True, exist_ok=True)
    return DebugMailer.from_settings(settings)


def send(request: Request, to: str, subject: str, text: str) -> None:
    """Send a mail as soon as the transaction of this request has committed.

    Nothing is sent if it does not commit: after an error, or if the answer is a 4xx or 5xx.
    """
    message = Message(
        sender=request.registry.settings.get("mail.default_sender", DEFAULT_SENDER),
        recipients=[to],
        subject=subject,
        # Not encoded where that is possible, so that a link can be copied from the file.
        body=Attachment(
            data=text, disposition="inline", transfer_encoding="7bit" if text.isascii() else "quoted-printable"
        ),
    )
    message.validate()
    request.tm.get().addAfterCommitHook(_send_now, (get_mailer(request.registry), message))


def notice(request: Request, text: str) -> str:
    """What a page says after a mail was sent. Where mail goes into a folder, it names the folder."""
    folder = request.registry.settings.get(FOLDER)
    return f"{text} Mails are in {folder}." if folder else text


def _send_now(committed: bool, mailer: DebugMailer | Mailer, message: Message) -> None:
    if not committed:
        return
    try:
        mailer.send_immediately(message)
    except Exception:
        # The request has committed, and its answer must say so, also where the mail server is down.
        log.exception("A mail could not be sent: %s", message.subject)
