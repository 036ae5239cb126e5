"""One request through an application under test, whose view is a function of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pyramid.events import NewRequest
from pyramid.registry import Registry
from pyramid.router import Router

from pyramid_sessionkit.session_id.session_header import SESSION_HEADER, SessionHeader

Value = TypeVar("Value")

WRAPPED = ("app", "application", "wsgi_app", "wrapped_app", "_app")
"""Where WSGI middleware commonly has the application that it wraps."""


def in_request(testapp: Any, function: Callable[[Any], Value], url: str = "/", registry: Any = None) -> Value:
    """Call ``function(request)`` as if it were a view of the application, and return what it returns.

    The request comes from that browser, a WebTest ``TestApp``: it sends its cookies, and what it is sent stays there
    for the next requests. It passes the application's tweens, with the transaction, as any other. No route, no gate and
    no CSRF check applies. ``in_request(testapp, lambda request: request.session["cart"])`` returns what is in the cart.

    ``url`` is where the request is sent: ``"https://localhost/"`` where cookies are for https alone. ``registry`` is
    the application's, to be given where WSGI middleware hides it.
    """
    holder, name, found = _place_of_router(testapp, registry)
    router = OneViewRouter(found, function)
    with _replaced(holder, name, router):
        try:
            response = testapp.get(url, status="*", expect_errors=True)
        except Exception as error:
            raise router.error or error from None
    if router.error is not None:
        raise router.error  # an exception view has made a page of it
    if not router.results:
        raise RuntimeError(f"A tween or middleware answered before the application did: {_shown(response)}")
    if response.status_int >= 400:
        raise RuntimeError(f"What the request did to the session was not saved. The answer was {_shown(response)}")
    _keep_header(testapp, response, found.get(SESSION_HEADER))
    result: Value = router.results[-1]
    return result


class OneViewRouter(Router):  # type: ignore[misc]
    """The application with this registry, in which one function takes the requests that come from outside."""

    def __init__(self, registry: Any, view: Callable[[Any], Any]) -> None:
        super().__init__(registry)
        self._view = view
        self._is_called = False
        self.results: list[Any] = []
        self.error: Exception | None = None

    def handle_request(self, request: Any) -> Any:
        """In the place of routes and views, below all tweens. Called again where pyramid_retry repeats the request."""
        if self._is_called:
            return super().handle_request(request)  # a subrequest of the function
        self.error, self._is_called = None, True
        try:
            self.registry.notify(NewRequest(request))
            self.results.append(self._view(request))
        except Exception as error:
            self.error = error
            raise
        finally:
            self._is_called = False
        return request.response


def _place_of_router(testapp: Any, registry: Any) -> tuple[Any, str, Any]:
    """Which attribute of what holds the router, so that WSGI middleware around it stays, and its registry."""
    if registry is not None:
        return testapp, "app", registry
    holder, name = testapp, "app"
    for _ in range(20):
        app = getattr(holder, name)
        found = getattr(app, "registry", None)
        if isinstance(found, Registry):  # that of a middleware for statistics is none
            return holder, name, found
        inside = next((one for one in WRAPPED if callable(getattr(app, one, None))), None)
        if inside is None:
            break
        holder, name = app, inside
    raise TypeError(
        f"No Pyramid application was found in testapp.app, a {type(testapp.app).__name__}: pass its registry, which "
        "is config.registry: login(testapp, userid, registry=...)"
    )


@contextmanager
def _replaced(holder: Any, name: str, app: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, app)
    try:
        yield
    finally:
        setattr(holder, name, before)


def _keep_header(testapp: Any, response: Any, header: SessionHeader | None) -> None:
    """As clients without cookies do: a new session ID replaces the one that they send."""
    if header is not None and header.variable in testapp.extra_environ and header.name in response.headers:
        testapp.extra_environ = {**testapp.extra_environ, header.variable: response.headers[header.name]}


def _shown(response: Any) -> str:
    location = response.headers.get("Location")
    return str(response.status) if location is None else f"{response.status}, Location: {location}"
