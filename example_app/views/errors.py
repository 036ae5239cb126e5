"""Pages for what went wrong: with the user's menu where session and database answer (see frame.py)."""

import logging
from typing import Any

from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config
from sqlalchemy import exc

from example_app import kept_form
from example_app.frame import PLAIN
from example_app.views import NO_STORE
from pyramid_sessionkit import StoreUnavailable

log = logging.getLogger(__name__)

ERROR_PAGE = "example_app:templates/error.jinja2"
EXPIRED = "This form has expired"


@notfound_view_config(http_cache=NO_STORE, renderer=ERROR_PAGE)
def not_found(request: Request) -> dict[str, str]:
    request.response.status_int = 404
    return {"title": "Page not found", "text": "There is nothing at this address. It may have been moved or mistyped."}


@forbidden_view_config(http_cache=NO_STORE, renderer=ERROR_PAGE)
def forbidden(request: Request) -> dict[str, str]:
    request.response.status_int = 403
    return {"title": "No permission", "text": "You are logged in, but only administrators may see this page."}


@exception_view_config(BadCSRFOrigin, http_cache=NO_STORE, renderer=ERROR_PAGE)
def bad_origin(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {"title": EXPIRED, "text": "Nothing was changed. This form is not of this site."}


# The session works, since it has been asked for the token: this page has the user's name and a new token.
@exception_view_config(BadCSRFToken, http_cache=NO_STORE, renderer="example_app:templates/send_again.jinja2")
def bad_csrf(request: Request) -> dict[str, Any]:
    request.response.status_int = 400
    if request.frame == PLAIN:
        return without_form(request)
    form = _form_to_send_again(request)
    return {
        "title": EXPIRED,
        "text": _what_to_do(request, form),
        "form": form,
        "typed": kept_form.typed(request),
        "back": _page_of_form(request),
    }


def without_form(request: Request) -> dict[str, Any]:
    """The page for an expired form where the database does not answer: a form needs to know who is logged in."""
    request.override_renderer = ERROR_PAGE
    return {"title": EXPIRED, "text": "Nothing was changed. Open the page again and send it once more."}


def _form_to_send_again(request: Request) -> kept_form.Form | None:
    """None for a form of another site, by which its owner might have someone press the button."""
    form = kept_form.form_of(request)
    is_ours = request.headers.get("Origin") == request.host_url
    if form is None or not is_ours or _is_of_someone_else(request):
        return None
    # What is too long to be kept is still in the browser, one page back.
    return form if kept_form.typed(request) or not form.fields else None


def _is_of_someone_else(request: Request) -> bool:
    return kept_form.writer(request) not in (None, request.authenticated_userid)


def _what_to_do(request: Request, form: kept_form.Form | None) -> str:
    if form is not None:
        return "Nothing was changed, since you have logged in after this page was opened. Send it again if you want to."
    if _is_of_someone_else(request):
        return "Nothing was changed, since someone else has logged in after this page was opened."
    return "Nothing was changed. Open the page again and send it once more. Your browser must accept cookies."


def _page_of_form(request: Request) -> str:
    """The page of this site that the form was on."""
    referrer = request.referrer or ""
    return referrer if referrer.startswith(f"{request.host_url}/") else request.route_path("home")


# What a browser never sends; see unreadable.py.
@exception_view_config(HTTPBadRequest, http_cache=NO_STORE, renderer=ERROR_PAGE)
def unreadable(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {"title": "This cannot be read", "text": request.exception.explanation}


# Nor this: an address that is not UTF-8.
@exception_view_config(UnicodeDecodeError, http_cache=NO_STORE, renderer=ERROR_PAGE)
def undecodable(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {"title": "This cannot be read", "text": "There are characters in it that are no text."}


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
    log.error("%s %s failed in the database", request.method, request.path, exc_info=request.exception)
    request.response.status_int = 503
    return {
        "title": "Please try again shortly",
        "text": "The database cannot be reached for the moment. Nothing was changed.",
    }
