"""Mail is sent when the transaction has committed."""

import logging
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from pyramid.config import Configurator
from pyramid.testing import DummyRequest
from pyramid_mailer.exceptions import BadHeaders
from pyramid_mailer.interfaces import IMailer
from transaction import TransactionManager

from example_app.mail import send

TEXT = "Open https://example.com/?token=abc"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sent_mail"


@pytest.fixture
def mail_request(folder: Path) -> DummyRequest:
    """A request whose transaction can be committed."""
    settings = {"mail.top_level_directory": str(folder), "mail.default_sender": "shop@example.com"}
    config = Configurator(settings=settings)
    config.include("example_app.mail")
    request = DummyRequest(tm=TransactionManager(explicit=True))
    request.registry = config.registry
    request.tm.begin()
    return request


def test_it_is_there_after_the_commit(mail_request: DummyRequest, folder: Path) -> None:
    send(mail_request, "grace@example.com", "Your link", TEXT)
    assert not list(folder.iterdir())

    mail_request.tm.commit()
    (file,) = folder.iterdir()
    mail = file.read_text()
    assert "From: shop@example.com\n" in mail
    assert "To: grace@example.com\n" in mail
    assert "Subject: Your link\n" in mail
    # As it is, to be copied.
    assert mail.endswith(f"\n\n{TEXT}")


def test_nothing_is_sent_without_a_commit(mail_request: DummyRequest, folder: Path) -> None:
    send(mail_request, "grace@example.com", "Your link", TEXT)
    mail_request.tm.abort()

    assert not list(folder.iterdir())


def test_nothing_is_sent_if_the_commit_fails(mail_request: DummyRequest, folder: Path) -> None:
    database = Mock(commit=Mock(side_effect=RuntimeError), sortKey=Mock(return_value="database"))
    mail_request.tm.get().join(database)
    send(mail_request, "grace@example.com", "Your link", TEXT)
    with pytest.raises(RuntimeError):
        mail_request.tm.commit()

    assert not list(folder.iterdir())


def test_a_mail_server_that_is_down_breaks_no_request(
    mail_request: DummyRequest, caplog: pytest.LogCaptureFixture
) -> None:
    class Down:
        def send_immediately(self, message: Any) -> None:
            raise ConnectionRefusedError

    mail_request.registry.registerUtility(Down(), IMailer)
    send(mail_request, "grace@example.com", "Your link", TEXT)
    with caplog.at_level(logging.ERROR):
        mail_request.tm.commit()

    assert "A mail could not be sent: Your link" in caplog.text


def test_an_address_adds_no_header(mail_request: DummyRequest) -> None:
    with pytest.raises(BadHeaders):
        send(mail_request, "grace@example.com\nBcc: all@example.com", "Your link", TEXT)
