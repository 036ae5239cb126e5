"""What went wrong, for programs: problem documents instead of pages. They read neither session nor database."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from openapi_core.templating.media_types.exceptions import MediaTypeNotFound
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken, PredicateMismatch
from pyramid.httpexceptions import HTTPBadRequest, HTTPError
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config
from pyramid_openapi3 import RequestValidationError
from sqlalchemy import exc

from example_app.api import methods
from example_app.problems import problem
from example_app.views.errors import note_outage
from pyramid_sessionkit import StoreUnavailable

KEPT = ("Allow", "Retry-After", "WWW-Authenticate")


@notfound_view_config(wants_problem=True)
@forbidden_view_config(wants_problem=True)
@exception_view_config(HTTPError, wants_problem=True)
@exception_view_config(HTTPBadRequest, wants_problem=True)
def http_error(request: Request) -> Response:
    error = request.exception
    headers = {name: error.headers[name] for name in KEPT if name in error.headers}
    # The detail is left out, since it names the view.
    return problem(error.status_int, error.explanation, headers=headers)


@exception_view_config(PredicateMismatch, path_info="^/api/")
def no_view(request: Request) -> Response:
    """There is a route, but none of its views takes this request: another method, or nobody is logged in."""
    allowed = methods(request)
    if request.method not in allowed:
        return problem(405, "This method is not allowed here.", headers={"Allow": ", ".join(allowed)})
    return problem(401, "Log in first, or send a token.")


@exception_view_config(BadCSRFToken, wants_problem=True)
@exception_view_config(BadCSRFOrigin, wants_problem=True)
def bad_csrf(request: Request) -> Response:
    return problem(400, "Send the csrf_token of GET /api/session as the header X-CSRF-Token, with the cookie.")


@exception_view_config(UnicodeDecodeError, wants_problem=True)
def undecodable(request: Request) -> Response:
    return problem(400, "The request contains characters that cannot be read.")


@exception_view_config(StoreUnavailable, wants_problem=True)
def store_unavailable(request: Request) -> Response:
    # sessionkit adds Retry-After where the request may be sent again.
    return problem(503, "Your session cannot be reached for the moment. You have not been logged out.")


@exception_view_config(exc.OperationalError, wants_problem=True)
@exception_view_config(exc.InterfaceError, wants_problem=True)
@exception_view_config(exc.TimeoutError, wants_problem=True)
def database_unavailable(request: Request) -> Response:
    note_outage(request)
    return problem(503, "The database cannot be reached for the moment.")


@exception_view_config(RequestValidationError)
def not_as_described(request: Request) -> Response:
    """What pyramid_openapi3 found. Its own messages are not used, since they repeat what was sent: passwords too."""
    causes = [error.__cause__ for error in request.exception.errors]
    if any(isinstance(cause, MediaTypeNotFound) for cause in causes):
        return problem(415, "Send application/json.")
    found = [error for cause in causes for error in getattr(cause, "schema_errors", ())]
    if not found:
        return problem(400, "This is not JSON.")
    by_field: dict[str, str] = {}
    for field, text in chain.from_iterable(map(_by_field, found)):
        by_field.setdefault(field, text)
    return problem(422, "Nothing was changed.", by_field)


MESSAGES = {
    "minLength": "Please fill this in.",
    "maxLength": "This is too long.",
    "minimum": "This is too small.",
    "maximum": "This is too large.",
}


def _by_field(error: Any) -> Iterator[tuple[str, str]]:
    """Fields, and what is wrong with each."""
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        yield from ((name, "Please fill this in.") for name in missing)
    elif error.validator == "additionalProperties":
        yield from ((name, "There is no such field.") for name in set(error.instance) - set(error.schema["properties"]))
    elif error.validator == "type":
        yield "/".join(map(str, error.path)), f"This must be of the type {error.validator_value}."
    else:
        yield "/".join(map(str, error.path)), MESSAGES.get(error.validator, "This cannot be used.")
