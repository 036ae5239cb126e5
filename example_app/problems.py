"""Errors for programs: problem documents (RFC 9457). Browsers get pages, see ``views/errors.py``."""

from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from webob.util import status_reasons

CONTENT_TYPE = "application/problem+json"

# Each 401 says how to get in (RFC 9110). Browsers open no window of their own for this scheme.
CHALLENGE = 'Bearer realm="example"'


def includeme(config: Configurator) -> None:
    # Where a gate failed too, its view answers: a 401 says more than "not found".
    config.add_view_predicate("wants_problem", WantsProblem, weighs_less_than="sessionkit_gate_failed")


def problem(
    status: int, detail: str, errors: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem document. ``errors``: what is wrong, by field of the JSON that was sent."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": status_reasons[status],
        "status": status,
        "detail": detail,
    }
    if errors:
        document["errors"] = [{"pointer": f"#/{field}", "detail": text} for field, text in errors.items()]
    response = Response(json_body=document, status=status, content_type=CONTENT_TYPE, cache_control="no-store")
    response.headers.update(headers or {})
    if status == 401:
        response.headers.setdefault("WWW-Authenticate", CHALLENGE)
    response.vary = ("Accept",)
    return response


def is_api(request: Request) -> bool:
    # request.path cannot be read if it is not UTF-8.
    return bool(request.environ.get("PATH_INFO", "").startswith("/api/"))


def wants_problem(request: Request) -> bool:
    """Whether a program is asking: it uses the API, sends JSON, or prefers JSON to HTML."""
    if is_api(request) or request.content_type == "application/json":
        return True
    offers = request.accept.acceptable_offers(["text/html", "application/json", CONTENT_TYPE])
    return bool(offers) and offers[0][0] != "text/html"


class WantsProblem:
    """The predicate of views for programs: ``wants_problem=True``."""

    def __init__(self, value: bool, info: Any) -> None:
        self._value = value

    def text(self) -> str:
        return f"wants_problem = {self._value}"

    phash = text

    def __call__(self, context: Any, request: Request) -> bool:
        return wants_problem(request) is self._value
