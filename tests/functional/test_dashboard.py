from pyramid.router import Router
from sqlalchemy import delete
from webtest import TestApp

from example_app.models import User
from tests.functional.browsing import log_in, user_shown


def test_an_anonymous_visitor_goes_to_the_login(browser: TestApp) -> None:
    answer = browser.get("/dashboard")

    assert answer.status_int == 303
    assert answer.location == "http://localhost/login"


def test_it_shows_the_user_and_the_session(browser: TestApp) -> None:
    browser.get("/")
    page = log_in(browser, "bob@example.com").follow()

    facts = [fact.text for fact in page.html.select("dd")]
    assert user_shown(page) == "Bob"
    assert facts[:3] == ["Bob", "bob@example.com", "1"]
    assert "it is forgotten" in facts


def test_it_tells_who_chose_to_be_remembered(browser: TestApp) -> None:
    assert "you stay logged in" in log_in(browser, persistent=True).follow()


def test_the_browser_keeps_no_copy_for_its_back_button(browser: TestApp) -> None:
    assert "no-store" in log_in(browser).follow().headers["Cache-Control"]


def test_a_user_who_is_gone_is_anonymous(app: Router, browser: TestApp) -> None:
    log_in(browser)
    with app.registry["dbsession_factory"].begin() as dbsession:
        dbsession.execute(delete(User))

    assert browser.get("/dashboard").location == "http://localhost/login"
