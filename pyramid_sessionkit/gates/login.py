"""Send visitors who are not logged in to the login page, and back to where they were."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError, PredicateMismatch
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.interfaces import IRoutesMapper
from pyramid.response import Response
from pyramid.viewderivers import INGRESS

from pyramid_sessionkit.gates.challenges import challenges, refusals
from pyramid_sessionkit.gates.logged_out import why_logged_out
from pyramid_sessionkit.gates.predicates import (
    GATE_FAILED,
    FreshLoginPredicate,
    LoggedInPredicate,
    SessionHasPredicate,
)
from pyramid_sessionkit.in_use import find_session
from pyramid_sessionkit.joined.mode import JOINED_MODE, JoinedMode
from pyramid_sessionkit.session_id.session_header import is_carried_in_header
from pyramid_sessionkit.state import REPLACED

NEXT = "next"
"""The parameter of the login page that says where to go afterwards."""

WHY = "why"
"""The parameter of the login page that says why the visitor's login has ended, where that is known."""

LOGIN_GATE = "pyramid_sessionkit.login_gate"
"""Where the registry holds the :class:`LoginGate`, if there is a login route."""

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


@dataclass(frozen=True)
class LoginRequired:
    """A gate has turned a browser away, which is about to be sent to ``route``: the login page, or ``confirm_route``.

    For subscribers that want to keep what the browser sent. What they put into the session is saved if ``keeps`` is
    true. It is not where this request has just found out that the login is over, or came with a cookie that was just
    replaced; nor in joined mode, where a gate aborts the transaction unless ``tm.commit_veto`` lets a redirect commit.
    ``why`` is what :func:`~pyramid_sessionkit.why_logged_out` knows.
    """

    request: Any
    route: str
    why: str | None
    keeps: bool = True


def add_gates(config: Configurator, login_route: str | None, confirm_route: str | None = None) -> None:
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
    gate = LoginGate(login_route, confirm_route)
    config.add_view_deriver(_forget_failed_gates, "sessionkit_gate", under=INGRESS, over="secured_view")
    config.add_view_predicate("sessionkit_gate_failed", _GateFailedPredicate)
    config.add_exception_view(gate, context=HTTPNotFound, sessionkit_gate_failed=gate)
    config.registry[LOGIN_GATE] = gate


class LoginGate:
    """The exception view for a request that no view took after a gate had turned it away."""

    def __init__(self, login_route: str, confirm_route: str | None) -> None:
        self._login_route = login_route
        self._confirm_route = confirm_route

    def check_routes(self, registry: Any) -> None:
        """Refuse to start without the routes. Called when the application is made, and has all of them."""
        mapper = registry.queryUtility(IRoutesMapper)
        for setting, name in (("login_route", self._login_route), ("confirm_route", self._confirm_route)):
            if name is not None and (mapper is None or mapper.get_route(name) is None):
                known = ", ".join(sorted(route.name for route in mapper.get_routes())) if mapper else "none"
                raise ConfigurationError(f"sessionkit.{setting} = {name}: there is no such route; there are {known}")

    def route_for(self, request: Any) -> str:
        """Where to send a visitor: those who are logged in only confirm their password, if there is a page for that."""
        return self._confirm_route if self._confirm_route and request.is_authenticated else self._login_route

    def __call__(self, request: Any) -> Any:
        refused = refusals(request)
        is_program = bool(refused) or _is_api_client(request)
        response = _unauthorized(request, refused) if is_program else self._to_login(request)
        response.vary = (response.vary or ()) + ("Accept", "X-Requested-With")
        request.add_finished_callback(_forget_traceback)
        return response

    def _to_login(self, request: Any) -> Any:
        route, why = self.route_for(request), why_logged_out(request)
        query = {name: value for name, value in ((NEXT, self._next(request)), (WHY, why)) if value is not None}
        response = HTTPSeeOther(request.route_path(route, **({"_query": query} if query else {})))
        request.registry.notify(LoginRequired(request, route, why, _can_keep(request, response)))
        return response

    def _next(self, request: Any) -> str | None:
        """Where to go afterwards. After a login nobody is sent on to the confirm page, since the login is fresh."""
        if _is_at(request, self._confirm_route):
            return safe_next(request, default="") or None
        return _came_from(request)


def _can_keep(request: Any, response: Any) -> bool:
    session = find_session(request)
    if session is not None and session.work.found is REPLACED:
        return False
    joined_mode: JoinedMode | None = request.registry.get(JOINED_MODE)
    return joined_mode is None or not joined_mode.transaction_of(request).will_abort(response)


def _forget_traceback(request: Any) -> None:
    """Of the error that became a redirect. Pyramid keeps it in the request, which is one of its variables: a cycle."""
    request.__dict__.pop("exc_info", None)
    if request.exception is not None:
        request.exception.__traceback__ = None


class _GateFailedPredicate:
    """Private to this module: a gate turned the request away, and not from the page that it would be sent to."""

    def __init__(self, gate: LoginGate, info: Any) -> None:
        self._gate = gate

    def text(self) -> str:
        return "sessionkit_gate_failed"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        return GATE_FAILED in request.__dict__ and not _is_at(request, self._gate.route_for(request))


def _is_at(request: Any, name: str | None) -> bool:
    route = request.matched_route
    return route is not None and route.name == name


def _forget_failed_gates(view: Any, info: Any) -> Any:
    """A view deriver: once a view takes the request, a 404 that it raises is its own."""

    def taken(context: Any, request: Any) -> Any:
        failed = request.__dict__.pop(GATE_FAILED, None)
        try:
            return view(context, request)
        except PredicateMismatch:
            # It has not taken the request either, as the view that Cornice adds to each service.
            if failed is not None:
                request.__dict__[GATE_FAILED] = failed
            raise

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
    if _is_script(request):
        return True
    offers = request.accept.acceptable_offers(["text/html", "application/json", "application/problem+json"])
    return bool(offers) and offers[0][0] != "text/html"


def _is_script(request: Any) -> bool:
    """Whether the request says that no browser opened a page with it."""
    return "X-Requested-With" in request.headers or is_carried_in_header(request)


def _unauthorized(request: Any, refused: list[str]) -> Response:
    """401 with a problem document (RFC 9457); ``refused`` are the challenges for what was wrong."""
    problem = {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": _detail(request, refused)}
    response = Response(json_body=problem, status=401, content_type="application/problem+json", charset="utf-8")
    for challenge in _challenges_for(request, refused):
        response.headers.add("WWW-Authenticate", challenge)
    return response


def _challenges_for(request: Any, refused: list[str]) -> list[str]:
    if _is_script(request):
        # A browser would answer any other challenge to one of its scripts with a window of its own.
        return [challenge for challenge in refused if challenge.startswith("Bearer ")]
    return refused or challenges(request)


def _detail(request: Any, refused: list[str]) -> str:
    if refused:
        return "The token or the password that came along is not accepted."
    return "Log in again: this needs a recent login." if request.is_authenticated else "Log in first."
