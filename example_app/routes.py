"""Which URL is which route. The views are in views/, a module for each topic."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request


def includeme(config: Configurator) -> None:
    config.add_route("home", "/")
    config.add_route("signup", "/signup")
    config.add_route("login", "/login")
    config.add_route("logout", "/logout")
    config.add_route("confirm", "/confirm")
    config.add_route("cart", "/cart")
    config.add_route("cart_add", "/cart/add")
    config.add_route("cart_remove", "/cart/remove")
    config.add_route("dashboard", "/dashboard")
    config.add_route("messages", "/messages")
    config.add_route("message_delete", r"/messages/{id:[0-9]{1,9}}/delete")
    config.add_route("profile", "/profile")
    config.add_route("reset", "/reset")
    config.add_route("reset_password", "/reset/{token:[A-Za-z0-9_-]{43}}")
    config.add_route("password", "/account/password")
    config.add_route("email", "/account/email")
    config.add_route("email_confirm", "/account/email/{token:[A-Za-z0-9_-]{43}}")
    config.add_route("delete_account", "/account/delete")
    config.add_route("devices", "/account/devices")
    config.add_route("devices_log_out_others", "/account/devices/log-out-others")
    config.add_route("device_log_out", "/account/devices/{key:[A-Za-z0-9_-]{22,64}}/log-out")
    config.add_route("tokens", "/account/tokens")
    config.add_route("token_revoke", r"/account/tokens/{id:[0-9]{1,9}}/revoke")
    config.add_route("admin", "/admin", factory="example_app.security.AdminPages")
    config.add_route(
        "admin_revoke",
        "/admin/sessions/{key:[A-Za-z0-9_-]{22,64}}/log-out",
        factory="example_app.security.AdminPages",
    )
    config.add_route(
        "admin_log_out_user", "/admin/users/{id:[0-9]{1,9}}/log-out", factory="example_app.security.AdminPages"
    )
    config.add_route("health", "/health")
    # As api.yaml has them.
    config.add_route("api_session", "/api/session")
    config.add_route("api_login", "/api/login")
    config.add_route("api_logout", "/api/logout")
    config.add_route("api_me", "/api/me")
    config.add_route("api_cart", "/api/cart")
    config.add_route("api_cart_item", "/api/cart/{item}")
    config.add_route("api_devices", "/api/devices")
    config.add_route("api_device", "/api/devices/{key}")


def public_url(request: Request, route: str, **parts: Any) -> str:
    """The URL of a route, for a mail.

    The host is that of the settings, and not the header Host: attackers who ask for the mail could name a site of their
    own there, and get the token when the link is followed.
    """
    site = request.registry.settings.get("example.url", request.application_url)
    return str(request.route_url(route, _app_url=site.rstrip("/"), **parts))
