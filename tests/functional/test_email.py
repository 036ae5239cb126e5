"""Another e-mail address: a link to the new one, and a notice to the old one."""

from collections.abc import Callable

import pytest
from pyramid.request import Request
from pyramid.router import Router
from sqlalchemy import select
from webtest import TestApp, TestResponse

from example_app.models import User
from example_app.views import email as email_views
from tests.functional.browsing import error, error_at, fill_in, log_in, notice, same_visitor, sign_up, user_shown
from tests.functional.conftest import Mail, database_of

NEW = "countess@example.com"

Mails = list[Mail]
Later = Callable[[int], None]


def ask(browser: TestApp, email: str = NEW, status: int = 303) -> TestResponse:
    return fill_in(browser.get("/account/email"), "change-email", {"email": email}, status=status)


def confirm(page: TestResponse, status: int = 303) -> TestResponse:
    return page.forms["confirm-email"].submit(status=status)


def is_void(answer: TestResponse) -> bool:
    page = answer.follow()
    return page.request.path == "/dashboard" and "This link does not work" in (error(page) or "")


def email_of(app: Router, user_id: int = 1) -> str:
    with database_of(app).connect() as connection:
        return str(connection.scalar(select(User.email).where(User.id == user_id)))


@pytest.fixture
def link(ada: TestApp, mails: Mails) -> str:
    ask(ada)
    path = mails[0].link()
    mails.clear()
    return path


def test_it_is_changed_when_the_link_is_followed(app: Router, ada: TestApp, mails: Mails) -> None:
    page = ask(ada).follow()
    assert "A mail with a link is on its way to countess@example.com." in (notice(page) or "")
    assert [mail.to for mail in mails] == [NEW]
    assert email_of(app) == "ada@example.com"
    question = ada.get(mails[0].link())
    assert question.html.strong.text == NEW
    assert email_of(app) == "ada@example.com"

    assert notice(confirm(question).follow()) == "Your e-mail address is changed."
    assert email_of(app) == NEW


def test_the_password_and_the_sessions_stay(app: Router, ada: TestApp, link: str) -> None:
    phone = TestApp(app)
    log_in(phone)
    confirm(ada.get(link))

    assert user_shown(phone.get("/messages")) == "Ada"
    log_in(TestApp(app), "ada@example.com", status=403)
    log_in(TestApp(app), NEW, status=303)


def test_the_old_address_gets_a_notice(ada: TestApp, link: str, mails: Mails) -> None:
    confirm(ada.get(link))

    assert [(mail.to, mail.subject) for mail in mails] == [("ada@example.com", "Your e-mail address was changed")]
    assert NEW in mails[0].text


def test_it_is_kept_in_lower_case(app: Router, ada: TestApp, mails: Mails) -> None:
    ask(ada, " Countess@Example.COM")
    confirm(ada.get(mails[0].link()))

    assert email_of(app) == NEW


def test_nobody_learns_who_else_has_an_account(ada: TestApp, mails: Mails, queries: list[str]) -> None:
    ada.get("/account/email")
    queries.clear()
    free = ask(ada).follow()
    of_free = list(queries)
    queries.clear()
    taken = ask(ada, "bob@example.com").follow()

    assert (notice(taken) or "").replace("bob@", "countess@") == notice(free)
    assert queries == of_free
    assert [mail.to for mail in mails] == [NEW, "bob@example.com"]
    assert mails[1].subject == mails[0].subject
    assert "http" not in mails[1].text
    assert "ada" not in mails[1].text.lower()


def test_an_address_that_is_taken_meanwhile_is_not_given(app: Router, ada: TestApp, link: str) -> None:
    question = ada.get(link)
    sign_up(TestApp(app), email=NEW)

    assert is_void(confirm(question))
    assert email_of(app) == "ada@example.com"


def test_one_taken_at_the_same_time_is_not_given_either(
    app: Router, ada: TestApp, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found to be taken only when it is written; then the request is tried again."""
    sign_up(TestApp(app), email=NEW)
    is_taken = email_views.is_taken
    looks: list[bool] = []

    def look(request: Request, email: str) -> bool:
        looks.append(is_taken(request, email) if looks else False)
        return looks[-1]

    monkeypatch.setattr(email_views, "is_taken", look)

    assert is_void(confirm(ada.get(link)))
    assert looks == [False, True]
    assert email_of(app) == "ada@example.com"


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("", "Please fill this in."),
        ("countess", "This is not an e-mail address."),
        ("a,b@example.com", "This is not an e-mail address."),
        ("ada@example.com", "This is your e-mail address already."),
        ("ADA@example.com ", "This is your e-mail address already."),
        ("a" * 251 + "@b.c", "Use 254 characters at most; these are 255."),
    ],
)
def test_what_is_refused_is_sent_nothing(ada: TestApp, mails: Mails, email: str, said: str) -> None:
    page = ask(ada, email, status=400)

    assert error_at(page, "email") == said
    assert mails == []


def test_it_needs_a_fresh_login(ada: TestApp, later: Later) -> None:
    form = ada.get("/account/email")
    later(301)

    assert "/confirm" in ada.get("/account/email", status=303).location
    assert "/confirm" in fill_in(form, "change-email", {"email": NEW}, status=303).location


def test_a_link_works_once(ada: TestApp, link: str) -> None:
    confirm(ada.get(link))

    assert is_void(ada.get(link, status=303))


def test_of_two_tabs_one_changes_it(ada: TestApp, link: str) -> None:
    first, second = ada.get(link), same_visitor(ada).get(link)
    confirm(first)

    assert is_void(confirm(second))


def test_of_two_at_once_one_changes_it(app: Router, ada: TestApp, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have found the link when one of them uses it."""
    monkeypatch.setattr(email_views, "use_up", lambda request, link: False)

    assert is_void(confirm(ada.get(link)))
    assert email_of(app) == "ada@example.com"


def test_a_visitor_logs_in_first(app: Router, link: str) -> None:
    phone = TestApp(app)
    login = phone.get(link, status=303).follow()
    question = fill_in(login, "login", {"email": "ada@example.com", "password": "demo"}).follow()
    confirm(question)

    assert email_of(app) == NEW


def test_another_user_cannot_use_it(app: Router, ada: TestApp, link: str) -> None:
    """Nor is the link used up by that."""
    bob = TestApp(app)
    log_in(bob, "bob@example.com")
    assert is_void(bob.get(link, status=303))
    question = ada.get(link)
    token = bob.get("/account/email").forms["change-email"]["csrf_token"].value
    assert is_void(bob.post(link, {"csrf_token": token}, status=303))

    assert email_of(app, 2) == "bob@example.com"
    confirm(question)
    assert email_of(app) == NEW


def test_after_an_hour_it_is_too_old(app: Router, ada: TestApp, link: str, later: Later) -> None:
    question = ada.get(link)
    later(3601)

    assert is_void(ada.get(link, status=303))
    assert is_void(confirm(question))
    assert email_of(app) == "ada@example.com"


def test_a_changed_token_opens_nothing(ada: TestApp, link: str) -> None:
    other = "A" if link[-1] != "A" else "B"

    assert is_void(ada.get(link[:-1] + other, status=303))
    ada.get(link + "A", status=404)
    ada.get(link, status=200)


def test_a_link_for_a_password_opens_nothing(ada: TestApp, mails: Mails) -> None:
    fill_in(ada.get("/reset"), "reset", {"email": "ada@example.com"}, status=303)
    token = mails[0].link().removeprefix("/reset/")

    assert is_void(ada.get(f"/account/email/{token}", status=303))


def test_a_password_that_was_changed_meanwhile_makes_it_void(app: Router, ada: TestApp, link: str) -> None:
    """Whoever asked with a stolen session does not get the account after all."""
    question = ada.get(link)
    fields = {"current": "demo", "new": "a new password"}
    fill_in(ada.get("/account/password"), "change-password", fields, status=303)

    assert is_void(ada.get(link, status=303))
    question.forms["confirm-email"]["csrf_token"] = ada.get("/account/email").forms[0]["csrf_token"].value
    assert is_void(confirm(question))
    assert email_of(app) == "ada@example.com"


def test_it_makes_all_other_links_void(app: Router, ada: TestApp, mails: Mails) -> None:
    """Also when the address is changed back."""
    fill_in(TestApp(app).get("/reset"), "reset", {"email": "ada@example.com"}, status=303)
    for email in ("other@example.com", NEW):
        ask(ada, email)
    reset, other, new = (mail.link() for mail in mails)
    confirm(ada.get(new))
    assert is_void(ada.get(other, status=303))
    mails.clear()
    ask(ada, "ada@example.com")
    confirm(ada.get(mails[0].link()))

    assert ada.get(reset, status=303).location == "http://localhost/reset"


def test_nobody_sends_more_than_five(ada: TestApp, mails: Mails) -> None:
    for number in range(5):
        ask(ada, f"{number}@example.com")
    page = ask(ada, status=429)

    assert len(mails) == 5
    assert error_at(page, "email") == "Too many attempts. Please try again in 60 minutes."


def test_it_needs_the_csrf_token(app: Router, ada: TestApp, link: str, mails: Mails) -> None:
    ada.post("/account/email", {"email": NEW}, status=400)
    ada.post(link, {}, status=400)

    assert mails == []
    assert email_of(app) == "ada@example.com"
