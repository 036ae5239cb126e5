from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from argon2 import PasswordHasher
from pyramid.router import Router
from webtest import TestApp

from tests.functional.browsing import (
    add_to_cart,
    cart_shown,
    csrf_header,
    error_at,
    get_with_cookie,
    log_in,
    notice,
    sign_up,
    user_shown,
    views_shown,
)

Users = Callable[[], dict[str, tuple[str, str]]]


def test_it_logs_in_and_welcomes(browser: TestApp, users: Users) -> None:
    page = sign_up(browser, name=" Eve ", email=" Eve@Example.COM ").follow()

    assert page.request.path == "/dashboard"
    assert user_shown(page) == "Eve"
    assert notice(page) == "Welcome, Eve."
    assert users()["eve@example.com"] == ("Eve", "")


def test_the_password_is_good_for_the_next_login(app: Router, browser: TestApp) -> None:
    sign_up(browser)

    assert user_shown(log_in(TestApp(app), "eve@example.com", "a long one").follow()) == "Eve"


def test_a_new_user_is_no_administrator(browser: TestApp) -> None:
    sign_up(browser)

    browser.get("/admin", status=403)


def test_nobody_makes_himself_an_administrator(browser: TestApp) -> None:
    fields = {"name": "Eve", "email": "eve@example.com", "password": "a long one", "role": "admin"}
    token = browser.get("/signup").forms["signup"]["csrf_token"].value
    browser.post("/signup", {**fields, "csrf_token": token}, status=303)

    browser.get("/admin", status=403)


def test_the_cart_is_kept(browser: TestApp) -> None:
    add_to_cart(browser, "ink", 2)
    sign_up(browser)

    assert cart_shown(browser.get("/cart")) == {"ink": 2}


def test_the_session_id_of_before_opens_nothing(app: Router, browser: TestApp) -> None:
    browser.get("/signup")
    before = browser.cookies["session"]
    sign_up(browser)

    assert user_shown(get_with_cookie(app, before)) is None


def test_a_second_user_takes_over_nothing_of_the_first(browser: TestApp) -> None:
    log_in(browser)
    browser.get("/")
    add_to_cart(browser, "ink")
    sign_up(browser)

    assert views_shown(browser.get("/")) == 1
    assert cart_shown(browser.get("/cart")) == {}


def test_a_taken_email_address(app: Router, browser: TestApp, users: Users) -> None:
    before = users()
    page = sign_up(browser, name="Eve", email="ADA@example.com", password="another one", status=400)

    assert error_at(page, "email") == "There is an account with this e-mail address already."
    assert page.forms["signup"]["name"].value == "Eve"
    assert page.forms["signup"]["email"].value == "ada@example.com"
    assert page.forms["signup"]["password"].value == ""
    assert users() == before
    assert user_shown(browser.get("/")) is None
    log_in(TestApp(app), password="another one", status=403)
    log_in(TestApp(app), status=303)


def test_of_two_at_once_with_one_email_address_one_is_told_so(
    app: Router, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_found_it_free = Barrier(2, timeout=10)
    make_hash = PasswordHasher.hash

    def meet(hasher: PasswordHasher, password: str) -> str:
        both_found_it_free.wait()
        return make_hash(hasher, password)

    forms = []
    for name in ("Eve", "Evelyn"):
        form = TestApp(app).get("/signup").forms["signup"]
        form["name"], form["email"], form["password"] = name, "eve@example.com", "a long one"
        forms.append(form)
    monkeypatch.setattr(PasswordHasher, "hash", meet)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda form: form.submit(status="*"), forms))

    welcomed, refused = sorted(answers, key=lambda answer: answer.status_int)
    assert (welcomed.status_int, refused.status_int) == (303, 400)
    assert error_at(refused, "email") == "There is an account with this e-mail address already."
    kept = forms[answers.index(welcomed)]["name"].value
    assert users()["eve@example.com"] == (kept, "")
    assert user_shown(refused.test_app.get("/")) is None


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("name", "  ", "Please fill this in."),
        ("name", "e" * 81, "Use 80 characters at most; these are 81."),
        ("name", "E\0e", "This contains characters that cannot be used."),
        ("email", "", "Please fill this in."),
        ("email", "eve", "This is not an e-mail address."),
        ("email", "eve@", "This is not an e-mail address."),
        ("email", "e@v e", "This is not an e-mail address."),
        ("email", "e" * 250 + "@b.de", "Use 254 characters at most; these are 255."),
        ("password", "seven77", "Use 8 characters or more."),
    ],
)
def test_a_wrong_field_is_told_and_the_others_are_kept(
    browser: TestApp, users: Users, field: str, value: str, error: str
) -> None:
    before = users()
    page = sign_up(browser, **{field: value}, status=400)

    assert error_at(page, field) == error
    assert [name for name in ("name", "email", "password") if error_at(page, name)] == [field]
    assert page.forms["signup"]["name"].value == (value.strip() if field == "name" else "Eve")
    assert page.forms["signup"]["email"].value == (value if field == "email" else "eve@example.com")
    assert users() == before
    assert user_shown(browser.get("/")) is None


def test_files_for_fields_are_as_good_as_nothing(browser: TestApp) -> None:
    token = browser.get("/signup").forms["signup"]["csrf_token"].value
    files = [(name, "file.txt", b"text") for name in ("name", "email", "password")]
    page = browser.post("/signup", {"csrf_token": token}, upload_files=files, status=400)

    assert error_at(page, "email") == "Please fill this in."


def test_what_was_typed_is_escaped(browser: TestApp) -> None:
    page = sign_up(browser, name='"><script>', password="", status=400)

    assert "<script>" not in page
    assert page.forms["signup"]["name"].value == '"><script>'


def test_it_needs_the_csrf_token(browser: TestApp, users: Users) -> None:
    before = users()
    fields = {"name": "Eve", "email": "eve@example.com", "password": "a long one"}
    browser.post("/signup", fields, status=400)

    assert users() == before


def test_it_changes_the_csrf_token(browser: TestApp) -> None:
    before = csrf_header(browser.get("/signup"))
    sign_up(browser)

    assert csrf_header(browser.get("/")) != before
