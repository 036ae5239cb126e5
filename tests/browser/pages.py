"""The pages of the application: a new one is a line here, and is then looked at in test_pages."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    name: str
    """Of its pictures in ``screenshots/``."""
    path: str


FOR_EVERYONE = [
    Place("home", "/"),
    Place("login", "/login"),
    Place("signup", "/signup"),
    Place("reset", "/reset"),
    Place("cart-empty", "/cart"),
    Place("not-found", "/nowhere"),
]
FOR_USERS = [
    Place("home-user", "/"),
    Place("dashboard", "/dashboard"),
    Place("messages-none", "/messages"),
    Place("profile", "/profile"),
    Place("password", "/account/password"),
    Place("email", "/account/email"),
    Place("tokens", "/account/tokens"),
    Place("delete", "/account/delete"),
    Place("log-out-others", "/account/devices/log-out-others"),
    Place("confirm", "/confirm"),
    Place("forbidden", "/admin"),
    Place("not-found-user", "/nowhere"),
]
# Visited when there is somebody to see there.
FOR_ADMINISTRATORS = [
    Place("dashboard-admin", "/dashboard"),
    Place("devices", "/account/devices"),
    Place("admin", "/admin"),
]
