"""Pages for what went wrong. Their template reads neither session nor database: that may be what is missing."""

from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.request import Request
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config

from pyramid_sessionkit import StoreUnavailable

ERROR_PAGE = "example_app:templates/error.jinja2"


@notfound_view_config(renderer=ERROR_PAGE)
def not_found(request: Request) -> dict[str, str]:
    request.response.status_int = 404
    return {"title": "Page not found", "text": "There is nothing at this address. It may have been moved or mistyped."}


@forbidden_view_config(renderer=ERROR_PAGE)
def forbidden(request: Request) -> dict[str, str]:
    request.response.status_int = 403
    return {"title": "Not for you", "text": "You are logged in, but only administrators may see this page."}


@exception_view_config(BadCSRFToken, renderer=ERROR_PAGE)
@exception_view_config(BadCSRFOrigin, renderer=ERROR_PAGE)
def bad_csrf(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {
        "title": "This form has expired",
        "text": "Nothing was changed. Go back, reload the page and send it again. Your browser must accept cookies.",
    }


# What a browser never sends: an address that is not UTF-8.
@exception_view_config(UnicodeDecodeError, renderer=ERROR_PAGE)
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
