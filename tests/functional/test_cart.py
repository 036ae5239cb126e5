from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyramid.router import Router
from webtest import TestApp

from tests.conftest import SpyStore
from tests.functional.browsing import add_to_cart, cart_shown, log_in, same_visitor

TOTAL = "td.total"


def test_what_is_added_is_there(browser: TestApp) -> None:
    add_to_cart(browser, "ink", 2)
    page = add_to_cart(browser, "pencil", status=303).follow()

    assert cart_shown(page) == {"pencil": 1, "ink": 2}
    assert page.html.select_one(TOTAL).text == "€ 21.60"


def test_the_same_again_is_more_of_it(browser: TestApp) -> None:
    add_to_cart(browser, "ink", 2)

    assert cart_shown(add_to_cart(browser, "ink", 3).follow()) == {"ink": 5}


def test_more_than_99_of_one_thing_are_not_sold(browser: TestApp) -> None:
    add_to_cart(browser, "ink", 98)

    assert cart_shown(add_to_cart(browser, "ink", 3).follow()) == {"ink": 99}


@pytest.mark.parametrize(("button", "left"), [("−", 2), ("+", 4), ("Remove", None)])
def test_the_buttons_of_a_line(browser: TestApp, button: str, left: int | None) -> None:
    add_to_cart(browser, "pencil")
    page = add_to_cart(browser, "ink", 3).follow()
    forms = [page.forms[place] for place in page.forms if isinstance(place, int)]
    form = next(f for f in forms if f.action != "/logout" and f["item"].value == "ink" and button in f.text)
    page = form.submit(status=303).follow()

    expected = {"pencil": 1} if left is None else {"pencil": 1, "ink": left}
    assert cart_shown(page) == expected


def test_removing_what_is_not_there_changes_nothing(browser: TestApp) -> None:
    token = browser.get("/cart").forms["add-ink"]["csrf_token"].value
    browser.post("/cart/remove", {"csrf_token": token, "item": "ink", "quantity": "1"}, status=303)

    assert cart_shown(browser.get("/cart")) == {}


@pytest.mark.parametrize("quantity", ["0", "-1", "100", "1.5", "", "many", "٣"])
def test_a_wrong_quantity(browser: TestApp, quantity: str) -> None:
    add_to_cart(browser, "pencil")
    page = add_to_cart(browser, "ink", quantity, status=400)

    assert page.html.select_one("[role=alert]").text == "The quantity is a whole number from 1 to 99."
    assert cart_shown(page) == {"pencil": 1}
    assert cart_shown(browser.get("/cart")) == {"pencil": 1}


def test_an_unknown_product(browser: TestApp) -> None:
    token = browser.get("/cart").forms["add-ink"]["csrf_token"].value
    page = browser.post("/cart/add", {"csrf_token": token, "item": "yacht", "quantity": "1"}, status=400)

    assert page.html.select_one("[role=alert]").text == "There is no such product."


@pytest.mark.parametrize("path", ["/cart/add", "/cart/remove"])
def test_nothing_changes_by_a_link_or_without_a_token(browser: TestApp, path: str) -> None:
    add_to_cart(browser, "ink")
    browser.get(f"{path}?item=ink&quantity=1", status=404)
    browser.post(path, {"item": "ink", "quantity": "1"}, status=400)

    assert cart_shown(browser.get("/cart")) == {"ink": 1}


def test_a_login_keeps_it(browser: TestApp) -> None:
    add_to_cart(browser, "ink", 2)
    log_in(browser)

    assert cart_shown(browser.get("/cart")) == {"ink": 2}


def test_the_next_user_of_the_browser_does_not_see_it(browser: TestApp) -> None:
    log_in(browser)
    add_to_cart(browser, "ink", 2)
    log_in(browser, "bob@example.com")

    assert cart_shown(browser.get("/cart")) == {}


@pytest.mark.parametrize(
    ("there", "mine", "others", "together"),
    [
        ([], ("ink", 2), ("pencil", 3), {"pencil": 3, "ink": 2}),
        ([], ("ink", 2), ("ink", 3), {"ink": 5}),
        ([("ink", 1)], ("ink", 2), ("ink", 3), {"ink": 6}),
        ([("notebook", 1)], ("ink", 2), ("pencil", 3), {"notebook": 1, "pencil": 3, "ink": 2}),
    ],
)
def test_two_tabs_that_add_at_once_lose_nothing(
    browser: TestApp, spy: SpyStore, there: list[Any], mine: Any, others: Any, together: dict[str, int]
) -> None:
    browser.get("/cart")
    for item, quantity in there:
        add_to_cart(browser, item, quantity)
    other_tab = same_visitor(browser)
    page = browser.get("/cart")
    # Between this tab's reading of the session and its writing, the other one does both.
    spy.before["update" if there else "create"] = lambda: add_to_cart(other_tab, *others)
    form = page.forms[f"add-{mine[0]}"]
    form["quantity"] = mine[1]
    form.submit()

    assert spy.before == {}
    assert cart_shown(browser.get("/cart")) == together


def test_eight_tabs_at_once_lose_nothing(app: Router, browser: TestApp) -> None:
    browser.get("/cart")
    tabs = [same_visitor(browser) for _ in range(8)]

    def add_three_times(tab: TestApp) -> list[int]:
        return [add_to_cart(tab, "ink").status_int for _ in range(3)]

    with ThreadPoolExecutor(len(tabs)) as pool:
        answers = list(pool.map(add_three_times, tabs))

    assert answers == [[303] * 3] * 8
    assert cart_shown(browser.get("/cart")) == {"ink": 24}
