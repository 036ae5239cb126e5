"""Which template error pages extend."""

import logging

from pyramid.config import Configurator
from sqlalchemy.exc import SQLAlchemyError

from pyramid_sessionkit import Request, StoreError

log = logging.getLogger(__name__)

# The header of all pages, with the user's menu. Reads the session and the database.
LAYOUT = "layout.jinja2"
# Reads neither.
PLAIN = "base.jinja2"


def includeme(config: Configurator) -> None:
    config.add_request_method(error_layout, reify=True)


def error_layout(request: Request) -> str:
    """The layout of all pages; the plain one where that could not be shown."""
    if isinstance(request.exception, (StoreError, SQLAlchemyError)) or _is_for_a_file(request):
        return PLAIN
    try:
        user = request.identity
        # The name is read from the database again if the transaction has ended since.
        return LAYOUT if user is None or user.name else PLAIN
    except (StoreError, SQLAlchemyError) as error:
        log.warning("An error page is shown without its user: %s", error)
        return PLAIN


def _is_for_a_file(request: Request) -> bool:
    """Nobody looks at the error page for a missing picture."""
    route = request.matched_route
    return route is not None and route.name.startswith("__static")
