"""The JSON API. ``api.yaml`` describes it, and pyramid_openapi3 refuses requests that are not as described there."""

import json
from pathlib import Path
from typing import Any, NoReturn

from pyramid.config import Configurator
from pyramid.events import ContextFound
from pyramid.httpexceptions import HTTPRequestEntityTooLarge, HTTPUnauthorized

from example_app.api_tokens import note_use
from example_app.problems import CONTENT_TYPE, is_api
from pyramid_sessionkit import Request

DESCRIPTION = Path(__file__).with_name("api.yaml")

LONGEST_BODY = 65536  # bytes


def includeme(config: Configurator) -> None:
    config.include("pyramid_openapi3")
    config.pyramid_openapi3_spec(str(DESCRIPTION), route="/api/openapi.yaml", route_name="api_description")
    for content_type in ("application/json", CONTENT_TYPE):
        config.pyramid_openapi3_add_deserializer(content_type, read_json)
    config.add_subscriber(check_request, ContextFound)


def methods(request: Request) -> list[str]:
    """Those that are described for the address of this request."""
    described = request.registry.settings["pyramid_openapi3"]["spec"]["paths"][request.matched_route.pattern]
    return [name.upper() for name in described.keys() if name != "parameters"]  # noqa: SIM118  # it is not a dict


def check_request(event: ContextFound) -> None:
    """What holds for all of the API, before any view is looked for."""
    request = event.request
    if not is_api(request):
        return
    if (request.content_length or 0) > LONGEST_BODY:
        raise HTTPRequestEntityTooLarge(explanation=f"Send {LONGEST_BODY} bytes at most.")
    if request.headers.get("Authorization", "").lower().split(" ")[0] == "bearer":
        if request.identity is None:
            # RFC 6750, also where anonymous visitors are let in: a program that sends a token expects to be logged in.
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise HTTPUnauthorized(explanation="There is no such token; it may have been revoked.", headers=headers)
        if request.api_token is not None:
            note_use(request)


def read_json(body: bytes, **parameters: str) -> Any:
    """Raise ``ValueError`` for what is not JSON. ``json`` alone accepts NaN, and has another error for deep nesting."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
