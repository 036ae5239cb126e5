"""The application that docs/howto/session_header.rst shows, made of its code as it stands there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pyramid.config import Configurator

from tests.conftest import SECRET
from tests.test_docs import module_of

PAGE = "howto/session_header.rst"


def cors_of_the_page() -> Any:
    return module_of(PAGE, "session-header-cors")


def documented_application(cors: Any) -> Any:
    """A WSGI application, where the password of ada is ``right``. ``cors``: that of the page, perhaps changed."""
    ada = SimpleNamespace(id="7", name="Ada")
    views = module_of(
        PAGE,
        "session-header-views",
        find_user=lambda name, password: ada if (name, password) == ("ada", "right") else None,
    )
    settings = {"secret": SECRET, "header_name": "X-Session", "login_route": "api_login"}
    config = Configurator(settings={f"sessionkit.{name}": value for name, value in settings.items()})
    config.include("pyramid_sessionkit")
    config.set_default_csrf_options(require_csrf=True)
    config.include(cors)
    for name in ("login", "logout", "account"):
        config.add_route(f"api_{name}", f"/{name}")
    config.scan(views)
    return config.make_wsgi_app()
