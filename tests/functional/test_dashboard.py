import pytest
from pyramid.router import Router
from sqlalchemy import delete
from webtest import TestApp

from example_app.models import User
from tests.functional.browsing import log_in, user_shown


def test_it_shows_the_user_and_the_session(browser: TestApp) -> None:
    browser.get("/")
    page = log_in(browser, "bob@example.com").follow()

    facts = [fact.text for fact in page.html.select("dd")]
    assert user_shown(page) == "Bob"
    assert facts[:4] == ["Bob", "bob@example.com", "–", "1"]
    assert "it is forgotten" in facts


def test_it_tells_who_chose_to_be_remembered(browser: TestApp) -> None:
    assert "you stay logged in" in log_in(browser, persistent=True).follow()


@pytest.mark.parametrize("text", ["Messages", "Cart", "Profile", "Password", "Devices", "Users and sessions"])
def test_it_leads_to_all_pages(browser: TestApp, text: str) -> None:
    page = log_in(browser).follow()
    target = next(link["href"] for link in page.html.select(".tiles a") if link.text == text)

    assert browser.get(target).status_int == 200


def test_it_does_not_lead_to_what_would_be_refused(browser: TestApp) -> None:
    page = log_in(browser, "bob@example.com").follow()

    assert "Users and sessions" not in [link.text for link in page.html.select("a")]


def test_a_user_who_is_gone_is_anonymous(app: Router, browser: TestApp) -> None:
    log_in(browser)
    with app.registry["dbsession_factory"].begin() as dbsession:
        dbsession.execute(delete(User))

    assert browser.get("/dashboard").location == "http://localhost/login?next=%2Fdashboard&why=user_gone"
