"""A cart that everyone has, logged in or not, and that a login keeps."""

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults

from example_app import forms
from example_app.products import PRODUCTS
from example_app.views import NO_STORE
from pyramid_sessionkit import Request

Cart = dict[str, int]  # quantities by item

MOST = 99


@view_defaults(http_cache=NO_STORE, renderer="example_app:templates/cart.jinja2")
class CartViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(route_name="cart", request_method="GET")
    def page(self) -> dict[str, Any]:
        return self._page({})

    @view_config(route_name="cart_add", request_method="POST")
    def add(self) -> Any:
        return self._change(lambda there, quantity: min(there + quantity, MOST))

    @view_config(route_name="cart_remove", request_method="POST")
    def remove(self) -> Any:
        return self._change(lambda there, quantity: max(there - quantity, 0))

    def _change(self, new_quantity: Callable[[int, int], int]) -> Any:
        request = self.request
        values, errors = forms.cart_change(request.POST)
        if errors:
            request.response.status_int = 400
            return self._page(errors)
        item = values["item"]

        def change(cart: Cart) -> Cart:
            quantity = new_quantity(cart.get(item, 0), values["quantity"])
            others = {name: there for name, there in cart.items() if name != item}
            return {**others, item: quantity} if quantity else others

        # Two tabs that add the same thing at once both count.
        request.session.apply("cart", change, {})
        return HTTPSeeOther(request.route_path("cart"))

    def _page(self, errors: dict[str, str]) -> dict[str, Any]:
        cart: Cart = self.request.session.get("cart", {})
        lines = [(item, product, cart[item]) for item, product in PRODUCTS.items() if item in cart]
        total = sum(product.cents * quantity for _, product, quantity in lines)
        return {"products": PRODUCTS, "lines": lines, "total": total, "errors": errors}
