"""Send visitors who are not logged in to the login page, and back to where they were."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.interfaces import IRoutesMapper, ISecurityPolicy
from pyramid.response import Response
from pyramid.viewderivers import INGRESS

from pyramid_sessionkit.predicates import (
    GATE_FAILED,
    FreshLoginPredicate,
    LoggedInPredicate,
    SessionHasPredicate,
)

NEXT = "next"
"""The parameter of the login page that says where to go afterwards."""

LONGEST_NEXT = 2048

_CONTROL_OR_BACKSLASH = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")


def safe_next(request: Any, default: str = "/") -> str:
    """Where the parameter ``next`` says to go after the login: a path of this origin, or else ``default``.

    Refuses other hosts and schemes, ``//host``, backslashes, control characters, ``..``, and all of these
    percent-encoded (OWASP Unvalidated Redirects and Forwards).
    """
    try:
        target = request.params.get(NEXT, "")
    except UnicodeDecodeError:
        return default
    if not isinstance(target, str):  # a form may have a file of that name
        return default
    return quote(target, safe="/?#[]@!$&'()*+,;=:%~-._") if _is_path_of_this_origin(target) else default


def _is_path_of_this_origin(target: str) -> bool:
    if not target.startswith("/") or len(target) > LONGEST_NEXT:
        return False
    while True:
        path = re.split("[?#]", target, maxsplit=1)[0]
        if path.startswith("//") or _CONTROL_OR_BACKSLASH.search(target) or {".", ".."} & set(path.split("/")):
            return False
        decoded = unquote(target)
        if decoded == target:
            return True
        target = decoded


def add_gates(config: Configurator, login_route: str | None) -> None:
    """Plug in the predicates and, where there is a login route, the view for visitors whom they turn away."""
    gates = {
        "logged_in": LoggedInPredicate,
        "fresh_login": FreshLoginPredicate,
        "session_has": SessionHasPredicate,
    }
    for name, predicate in gates.items():
        config.add_view_predicate(name, predicate)
        config.add_route_predicate(name, predicate)
    if login_route is None:
        return
    gate = LoginGate(login_route)
    config.add_view_deriver(_forget_failed_gates, "sessionkit_gate", under=INGRESS, over="secured_view")
    config.add_view_predicate("sessionkit_gate_failed", _GateFailedPredicate)
    config.add_exception_view(gate, context=HTTPNotFound, sessionkit_gate_failed=login_route)
    config.add_subscriber(gate.check_route, ApplicationCreated)


class LoginGate:
    """The exception view for a request that no view took after a gate had turned it away."""

    def __init__(self, login_route: str) -> None:
        self._login_route = login_route

    def check_route(self, event: Any) -> None:
        mapper = event.app.registry.queryUtility(IRoutesMapper)
        if mapper is None or mapper.get_route(self._login_route) is None:
            known = ", ".join(sorted(route.name for route in mapper.get_routes())) if mapper else "none"
            raise ConfigurationError(
                f"sessionkit.login_route = {self._login_route}: there is no such route; there are {known}"
            )

    def __call__(self, request: Any) -> Any:
        response = _unauthorized(request) if _is_api_client(request) else self._to_login(request)
        response.vary = (response.vary or ()) + ("Accept", "X-Requested-With")
        request.add_finished_callback(_forget_traceback)
        return response

    def _to_login(self, request: Any) -> Any:
        origin = _came_from(request)
        query = {} if origin is None else {"_query": {NEXT: origin}}
        return HTTPSeeOther(request.route_path(self._login_route, **query))


def _forget_traceback(request: Any) -> None:
    """Of the error that became a redirect. Pyramid keeps it in the request, which is one of its variables: a cycle."""
    request.__dict__.pop("exc_info", None)
    if request.exception is not None:
        request.exception.__traceback__ = None


class _GateFailedPredicate:
    """Private to this module: a gate turned the request away, and not from the login page itself."""

    def __init__(self, login_route: str, info: Any) -> None:
        self._login_route = login_route

    def text(self) -> str:
        return f"sessionkit_gate_failed = {self._login_route}"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        route = request.matched_route
        return GATE_FAILED in request.__dict__ and (route is None or route.name != self._login_route)


def _forget_failed_gates(view: Any, info: Any) -> Any:
    """A view deriver: once a view takes the request, a 404 that it raises is its own."""

    def taken(context: Any, request: Any) -> Any:
        request.__dict__.pop(GATE_FAILED, None)
        return view(context, request)

    return taken


def _came_from(request: Any) -> str | None:
    """Where the visitor should be after the login; for an unsafe request, the page of this origin that sent it."""
    if request.method in ("GET", "HEAD"):
        return str(request.path_qs)
    try:
        referrer = urlsplit(request.referrer or "")
    except ValueError:
        return None
    if f"{referrer.scheme}://{referrer.netloc}" != request.host_url:
        return None
    return referrer.path + (f"?{referrer.query}" if referrer.query else "")


def _is_api_client(request: Any) -> bool:
    if "X-Requested-With" in request.headers:
        return True
    offers = request.accept.acceptable_offers(["text/html", "application/json", "application/problem+json"])
    return bool(offers) and offers[0][0] != "text/html"


def _unauthorized(request: Any) -> Response:
    """401 with a problem document (RFC 9457)."""
    again = request.identity is not None
    problem = {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Log in again: this needs a recent login." if again else "Log in first.",
    }
    response = Response(json_body=problem, status=401, content_type="application/problem+json", charset="utf-8")
    # A browser would answer the challenge to one of its scripts with a window of its own.
    if "X-Requested-With" not in request.headers:
        sources = getattr(request.registry.queryUtility(ISecurityPolicy), "sources", ())
        for challenge in [source.challenge for source in sources if hasattr(source, "challenge")]:
            response.headers.add("WWW-Authenticate", challenge)
    return response
