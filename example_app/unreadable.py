"""Forms that WebOb cannot read, with errors that are not for views: the answer is a 400."""

from pyramid.config import Configurator
from pyramid.events import ContextFound
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request

EXPLANATION = "This is no form that can be read: send UTF-8, and multipart with a boundary."


def includeme(config: Configurator) -> None:
    config.add_subscriber(lambda event: read(event.request), ContextFound)


def read(request: Request) -> None:
    """Before anything else does: the check for CSRF, for one. What was read is kept for the others."""
    # JSON is read elsewhere, and always as UTF-8.
    if request.content_type == "application/json":
        return
    try:
        request.GET, request.POST  # noqa: B018
    except UnicodeDecodeError:
        # Has a page already, where somebody needs what cannot be read.
        return
    except (ValueError, DeprecationWarning):
        # WebOb raises the warning for any other character set.
        raise HTTPBadRequest(explanation=EXPLANATION) from None
