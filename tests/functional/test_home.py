from concurrent.futures import ThreadPoolExecutor

from pyramid.router import Router
from webtest import TestApp

from tests.functional.browsing import get_with_cookie, log_in, user_shown, views_shown


def test_each_view_counts(browser: TestApp) -> None:
    assert [views_shown(browser.get("/")) for _ in range(3)] == [1, 2, 3]


def test_each_visitor_has_a_count_of_their_own(app: Router) -> None:
    TestApp(app).get("/")

    assert views_shown(TestApp(app).get("/")) == 1


def test_no_view_is_lost_when_eight_run_at_once(app: Router, browser: TestApp) -> None:
    browser.get("/")
    cookie = browser.cookies["session"]

    def view_five_times(_: int) -> list[int]:
        return [get_with_cookie(app, cookie).status_int for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(view_five_times, range(8)))

    assert answers == [[200] * 5] * 8
    assert views_shown(browser.get("/")) == 1 + 8 * 5 + 1


def test_a_login_keeps_the_count(browser: TestApp) -> None:
    browser.get("/")
    log_in(browser)

    assert views_shown(browser.get("/")) == 2


def test_an_anonymous_visitor_is_led_to_the_login(browser: TestApp) -> None:
    page = browser.get("/")

    assert user_shown(page) is None
    assert page.click("Log in", index=0).request.path == "/login"


def test_a_user_is_led_to_the_dashboard(browser: TestApp) -> None:
    log_in(browser)
    page = browser.get("/")

    assert user_shown(page) == "Ada"
    assert page.click("Go to your dashboard").status_int == 200
