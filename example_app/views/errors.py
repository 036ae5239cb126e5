"""Pages for what went wrong: with the user's menu where session and database answer (see error_layout.py)."""

import logging

from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config
from pyramid_retry import mark_error_retryable
from sqlalchemy import exc

from example_app.views import NO_STORE
from pyramid_sessionkit import StoreUnavailable

log = logging.getLogger(__name__)

ERROR_PAGE = "example_app:templates/error.jinja2"


@notfound_view_config(http_cache=NO_STORE, renderer=ERROR_PAGE)
def not_found(request: Request) -> dict[str, str]:
    request.response.status_int = 404
    return {"title": "Page not found", "text": "There is nothing at this address. It may have been moved or mistyped."}


@forbidden_view_config(http_cache=NO_STORE, renderer=ERROR_PAGE)
def forbidden(request: Request) -> dict[str, str]:
    request.response.status_int = 403
    return {"title": "No permission", "text": "You are logged in, but only administrators may see this page."}


# What a browser never sends; see unreadable.py.
@exception_view_config(HTTPBadRequest, http_cache=NO_STORE, renderer=ERROR_PAGE)
def unreadable(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {"title": "This cannot be read", "text": request.exception.explanation}


# An address that is not UTF-8, which no browser sends.
@exception_view_config(UnicodeDecodeError, http_cache=NO_STORE, renderer=ERROR_PAGE)
def undecodable(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {"title": "This cannot be read", "text": "The request contains characters that cannot be read."}


@exception_view_config(StoreUnavailable, renderer=ERROR_PAGE)
def store_unavailable(request: Request) -> dict[str, str]:
    request.response.status_int = 503
    return {
        "title": "Please try again shortly",
        "text": "Your session cannot be reached for the moment. You have not been logged out.",
    }


# A TimeoutError: all connections of the pool were in use for too long.
@exception_view_config(exc.OperationalError, renderer=ERROR_PAGE)
@exception_view_config(exc.InterfaceError, renderer=ERROR_PAGE)
@exception_view_config(exc.TimeoutError, renderer=ERROR_PAGE)
def database_unavailable(request: Request) -> dict[str, str]:
    note_outage(request)
    request.response.status_int = 503
    return {
        "title": "Please try again shortly",
        "text": "The database cannot be reached for the moment. Nothing was changed.",
    }


def note_outage(request: Request) -> None:
    """Log what the database said; and let the request be tried again if it only met another one."""
    error = request.exception
    if request.tm.get().isRetryableError(error):
        # pyramid_tm would mark it too, if its commit veto did not look at the status of our response first.
        mark_error_retryable(error)
    log.error("%s %s failed in the database", request.method, request.path, exc_info=error)
