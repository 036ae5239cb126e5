"""The application that the page on tests is supposed to test."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router


def main(global_config: dict[str, str], **settings: Any) -> Router:
    with Configurator(settings={"sessionkit.login_route": "login", **settings}) as config:
        config.include("pyramid_sessionkit")
        config.set_default_csrf_options(require_csrf=True)
        add_view(config, "login", lambda request: {})
        add_view(config, "account", lambda request: {"user": request.identity}, logged_in=True)
        add_view(config, "email", lambda request: {}, logged_in=True)
        add_view(config, "payment", lambda request: {}, fresh_login=300)
        add_view(config, "checkout", lambda request: {"cart": request.session["cart"]}, session_has="cart")
        return config.make_wsgi_app()


def add_view(config: Configurator, name: str, view: Any, **options: Any) -> None:
    config.add_route(name, f"/{name}")
    config.add_view(view, route_name=name, renderer="json", **options)
