"""Which URL is which route. The views are in views/, a module for each topic."""

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    config.add_static_view("static", "static")
    config.add_route("home", "/")
    config.add_route("signup", "/signup")
    config.add_route("login", "/login")
    config.add_route("logout", "/logout")
    config.add_route("cart", "/cart")
    config.add_route("cart_add", "/cart/add")
    config.add_route("cart_remove", "/cart/remove")
    config.add_route("dashboard", "/dashboard")
    config.add_route("messages", "/messages")
    config.add_route("message_delete", r"/messages/{id:[0-9]{1,9}}/delete")
    config.add_route("profile", "/profile")
    config.add_route("password", "/account/password")
    config.add_route("devices", "/account/devices")
    config.add_route("devices_log_out_others", "/account/devices/log-out-others")
    config.add_route("device_log_out", "/account/devices/{key:[A-Za-z0-9_-]{22,64}}/log-out")
    config.add_route("tokens", "/account/tokens")
    config.add_route("token_revoke", r"/account/tokens/{id:[0-9]{1,9}}/revoke")
    config.add_route("admin", "/admin", factory="example_app.security.AdminPages")
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
