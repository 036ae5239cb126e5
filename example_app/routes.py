"""Which URL is which route. The views are in views/, a module for each topic."""

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    config.add_static_view("static", "static")
    config.add_route("home", "/")
    config.add_route("login", "/login")
    config.add_route("logout", "/logout")
    config.add_route("dashboard", "/dashboard")
    config.add_route("health", "/health")
