from collections.abc import Callable

import pytest
from pyramid.router import Router
from webtest import TestApp, TestResponse

from tests.functional.browsing import error_at, fill_in, log_in, messages_shown, notice

Messages = Callable[[], list[str]]


def write(browser: TestApp, text: str, **expect: int) -> TestResponse:
    return fill_in(browser.get("/messages"), "post", {"text": text}, **expect)


@pytest.fixture
def bob(app: Router) -> TestApp:
    browser = TestApp(app)
    log_in(browser, "bob@example.com")
    return browser


def test_a_message_is_saved_and_that_is_said_once(ada: TestApp) -> None:
    answer = write(ada, "first", status=303)
    page = answer.follow()

    assert notice(page) == "Your message is saved."
    assert messages_shown(page) == ["first"]
    assert notice(ada.get("/messages")) is None


def test_the_newest_comes_first(ada: TestApp) -> None:
    write(ada, "first")
    write(ada, "second")

    assert messages_shown(ada.get("/messages")) == ["second", "first"]


def test_each_sees_his_own(ada: TestApp, bob: TestApp) -> None:
    write(ada, "of Ada")
    write(bob, "of Bob")

    assert messages_shown(ada.get("/messages")) == ["of Ada"]
    assert messages_shown(bob.get("/messages")) == ["of Bob"]


def test_whose_it_is_cannot_be_sent(ada: TestApp, bob: TestApp) -> None:
    token = bob.get("/messages").forms["post"]["csrf_token"].value
    bob.post("/messages?user_id=1", {"csrf_token": token, "text": "of Bob", "user_id": "1"}, status=303)

    assert messages_shown(ada.get("/messages")) == []
    assert messages_shown(bob.get("/messages")) == ["of Bob"]


@pytest.mark.parametrize("text", ["a", "a" * 500, "a\r\n" * 249 + "bc", "  a  ", "Ünïcödé 🎈", "a\n\nb"])
def test_texts_that_are_taken(ada: TestApp, messages: Messages, text: str) -> None:
    write(ada, text, status=303)

    assert messages() == [text.strip().replace("\r\n", "\n")]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "Please fill this in."),
        (" \n ", "Please fill this in."),
        ("a" * 501, "Use 500 characters at most; these are 501."),
        ("a\0b", "This contains characters that cannot be used."),
    ],
)
def test_texts_that_are_refused(ada: TestApp, messages: Messages, text: str, error: str) -> None:
    write(ada, "there before")
    page = write(ada, text, status=400)

    assert error_at(page, "text") == error
    assert page.forms["post"]["text"].value.strip() == text.strip()
    assert messages_shown(page) == ["there before"]
    assert messages() == ["there before"]


def test_it_is_escaped(ada: TestApp) -> None:
    page = write(ada, "<script>alert(1)</script>").follow()

    assert messages_shown(page) == ["<script>alert(1)</script>"]
    assert page.html.select("li script") == []


def test_an_own_message_is_deleted(ada: TestApp) -> None:
    write(ada, "first")
    write(ada, "second")
    page = ada.get("/messages").forms[2].submit(status=303).follow()

    assert notice(page) == "The message is deleted."
    assert messages_shown(page) == ["first"]


def test_a_message_of_someone_else_is_not(ada: TestApp, bob: TestApp, messages: Messages) -> None:
    write(ada, "of Ada")
    target = ada.get("/messages").forms[2].action
    token = bob.get("/messages").forms["post"]["csrf_token"].value
    bob.post(target, {"csrf_token": token}, status=404)

    assert messages() == ["of Ada"]


def test_nobody_deletes_by_a_link_or_without_a_token(ada: TestApp, messages: Messages) -> None:
    write(ada, "of Ada")
    target = ada.get("/messages").forms[2].action
    ada.get(target, status=404)
    ada.post(target, status=400)

    assert messages() == ["of Ada"]


@pytest.mark.parametrize("message_id", ["99", "x", "9" * 30])
def test_there_is_nothing_to_delete(ada: TestApp, message_id: str) -> None:
    token = ada.get("/messages").forms["post"]["csrf_token"].value

    ada.post(f"/messages/{message_id}/delete", {"csrf_token": token}, status=404)
