"""The cart of the session, the same as on the pages."""

from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPNoContent, HTTPNotFound
from pyramid.view import view_config, view_defaults

from example_app.products import PRODUCTS
from example_app.views import NO_STORE
from example_app.views.cart import Cart
from pyramid_sessionkit import Request


@view_defaults(http_cache=NO_STORE, renderer="json", openapi=True)
class CartViews:
    def __init__(self, request: Request) -> None:
        self.request = request
        if request.api_token is not None:
            # Each request would begin a session that nobody finds again.
            raise HTTPForbidden(explanation="A cart belongs to a session, and a token has none. Log in instead.")

    @view_config(route_name="api_cart", request_method="GET")
    def cart(self) -> dict[str, Any]:
        cart: Cart = self.request.session.get("cart", {})
        items = [
            {"item": item, "name": product.name, "cents": product.cents, "quantity": cart[item]}
            for item, product in PRODUCTS.items()
            if item in cart
        ]
        return {"items": items, "total_cents": sum(line["cents"] * line["quantity"] for line in items)}

    @view_config(route_name="api_cart_item", request_method="PUT")
    def put(self) -> dict[str, Any]:
        item = self.request.matchdict["item"]
        if item not in PRODUCTS:
            raise HTTPNotFound(explanation="There is no such product.")
        quantity = int(self.request.openapi_validated.body["quantity"])
        self.request.session.apply("cart", lambda cart: {**cart, item: quantity}, {})
        return self.cart()

    @view_config(route_name="api_cart_item", request_method="DELETE")
    def delete(self) -> HTTPNoContent:
        item = self.request.matchdict["item"]
        if item not in self.request.session.get("cart", {}):
            raise HTTPNotFound(explanation="This is not in your cart.")

        def without_item(cart: Cart) -> Cart:
            return {name: quantity for name, quantity in cart.items() if name != item}

        self.request.session.apply("cart", without_item, {})
        return HTTPNoContent()
