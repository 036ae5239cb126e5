"""A password that was hashed as one did years ago is hashed again at its login."""

import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type, hash_secret
from pyramid.router import Router
from sqlalchemy import select, update
from webtest import TestApp

from example_app.models import User
from tests.functional.browsing import log_in, user_shown
from tests.functional.conftest import database_of

OLD_HASH = hash_secret(b"demo", b"some salt", time_cost=2, memory_cost=16, parallelism=1, hash_len=32, type=Type.ID)


def write_hash(app: Router, password_hash: str) -> None:
    with database_of(app).begin() as connection:
        connection.execute(update(User).where(User.id == 1).values(password_hash=password_hash))


def hash_of_ada(app: Router) -> str:
    with database_of(app).connect() as connection:
        return str(connection.scalar(select(User.password_hash).where(User.id == 1)))


@pytest.fixture
def app(app: Router) -> Router:
    write_hash(app, OLD_HASH.decode())
    return app


def test_it_is_hashed_again_and_still_good(app: Router, browser: TestApp) -> None:
    log_in(browser, status=303)
    renewed = hash_of_ada(app)

    assert renewed != OLD_HASH.decode()
    log_in(TestApp(app), status=303)
    assert hash_of_ada(app) == renewed


def test_no_other_session_ends(app: Router, browser: TestApp) -> None:
    log_in(browser)
    write_hash(app, OLD_HASH.decode())
    log_in(TestApp(app))

    assert hash_of_ada(app) != OLD_HASH.decode()
    assert user_shown(browser.get("/messages")) == "Ada"


def test_a_wrong_password_changes_nothing(app: Router, browser: TestApp) -> None:
    log_in(browser, password="wrong", status=403)

    assert hash_of_ada(app) == OLD_HASH.decode()


def test_a_password_that_was_changed_meanwhile_stays(
    app: Router, browser: TestApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one was checked already when another request changes it."""

    def change_it_meanwhile(hasher: PasswordHasher, password_hash: str) -> bool:
        write_hash(app, "of another password")
        return True

    monkeypatch.setattr(PasswordHasher, "check_needs_rehash", change_it_meanwhile)
    log_in(browser, status=303)

    assert hash_of_ada(app) == "of another password"
