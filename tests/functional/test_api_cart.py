"""The same cart as on the pages."""

from typing import Any

import pytest
from webtest import TestApp

from tests.functional.browsing import add_to_cart, api_csrf, cart_shown, log_in, problem_shown


def put(browser: TestApp, item: str, quantity: Any, **expect: Any) -> Any:
    return browser.put_json(f"/api/cart/{item}", {"quantity": quantity}, headers=api_csrf(browser), **expect)


def test_a_cart_is_empty_at_first(browser: TestApp) -> None:
    assert browser.get("/api/cart").json == {"items": [], "total_cents": 0}


def test_what_is_put_into_the_cart_is_there(browser: TestApp) -> None:
    put(browser, "ink", 5)
    answer = put(browser, "ink", 2)

    assert answer.json == {
        "items": [{"item": "ink", "name": "Ink", "cents": 990, "quantity": 2}],
        "total_cents": 1980,
    }
    assert browser.get("/api/cart").json == answer.json
    assert cart_shown(browser.get("/cart")) == {"ink": 2}


def test_a_login_keeps_it(browser: TestApp) -> None:
    put(browser, "ink", 2)
    log_in(browser)

    assert browser.get("/api/cart").json["total_cents"] == 1980


def test_an_item_is_taken_out(browser: TestApp) -> None:
    add_to_cart(browser, "ink", 3)
    add_to_cart(browser, "pencil", 1)
    browser.delete("/api/cart/ink", headers=api_csrf(browser), status=204)

    assert cart_shown(browser.get("/cart")) == {"pencil": 1}
    problem_shown(browser.delete("/api/cart/ink", headers=api_csrf(browser), status=404))


@pytest.mark.parametrize("item", ["gold", "%F0%9F%8E%88", " "])
def test_there_are_only_products(browser: TestApp, item: str) -> None:
    answer = put(browser, item, 1, status=404)

    assert problem_shown(answer) == "There is no such product."


@pytest.mark.parametrize("quantity", [0, -1, 100, 1.5, "1", None, True, [1], 10**30])
def test_a_quantity_is_from_1_to_99(browser: TestApp, quantity: Any) -> None:
    answer = put(browser, "ink", quantity, status=422)

    problem_shown(answer)
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/quantity"]
    assert browser.get("/api/cart").json["items"] == []


def test_it_needs_the_csrf_token(browser: TestApp) -> None:
    problem_shown(browser.put_json("/api/cart/ink", {"quantity": 1}, status=400))
    problem_shown(browser.delete("/api/cart/ink", status=400))
