"""An application that shows pyramid_sessionkit at work, laid out like pyramid-cookiecutter-starter."""

from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router
from pyramid.settings import asbool

from example_app import demo


def main(global_config: dict[str, str], **settings: Any) -> Router:
    """The WSGI application of an ini file; see development.ini."""
    with Configurator(settings=settings) as config:
        config.include("pyramid_jinja2")
        config.include(".models")
        config.include(".mail")
        config.include("pyramid_sessionkit")
        config.include(".routes")
        config.include(".static_files")
        config.include(".security_headers")
        config.include(".error_layout")
        config.include(".problems")
        config.include(".api")
        config.include(".api_tokens")
        config.include(".unreadable")
        config.set_default_csrf_options(require_csrf=True)
        config.scan(".views")
        config.scan(".subscribers")
    if asbool(settings.get("example.demo")):
        demo.prepare(config.registry["dbsession_factory"])
    return config.make_wsgi_app()
