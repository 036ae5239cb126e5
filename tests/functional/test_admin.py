from webtest import TestApp

from tests.functional.browsing import log_in


def test_an_administrator_sees_the_users(browser: TestApp) -> None:
    log_in(browser)
    page = browser.get("/admin", status=200)

    rows = [[cell.text for cell in row.select("th, td")] for row in page.html.select("tbody tr")]
    assert rows == [["Ada", "ada@example.com", "–", "admin"], ["Bob", "bob@example.com", "–", "user"]]


def test_another_user_is_told_that_it_is_not_for_him(browser: TestApp) -> None:
    log_in(browser, "bob@example.com")
    page = browser.get("/admin", status=403)

    assert page.html.h1.text == "Not for you"
    assert "ada@example.com" not in page


def test_a_visitor_may_log_in_first(browser: TestApp) -> None:
    assert browser.get("/admin", status=303).location == "http://localhost/login?next=%2Fadmin"
