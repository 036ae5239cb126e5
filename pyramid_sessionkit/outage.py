"""The responses to requests whose session could not be read or saved."""

from __future__ import annotations

import logging
from traceback import clear_frames, walk_stack
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

from pyramid_sessionkit.exceptions import StoreUnavailable

log = logging.getLogger("pyramid_sessionkit")

_TRANSACTION = "_sessionkit_noted_transaction"
"""Where a request's ``__dict__`` has the transaction of pyramid_tm that it ran in."""

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


def respond(request: Any, error: Exception, committed: bool) -> Any:
    """The answer of the application's exception view for ``error``; without one, a plain 503 for an outage.

    None for any other error without a view: the caller is to raise it again, since from here it would have this frame
    in its traceback, and this frame has the error. ``committed``: the request may have changed something, so that it
    must not be sent again unless its method is safe.
    """
    response = _exception_view(request, error)
    if response is None:
        if not isinstance(error, StoreUnavailable):
            return None
        response = _plain()
        _forget_variables(error)
    mark(request, response, error, committed)
    return response


def mark(request: Any, response: Any, error: Exception, committed: bool) -> None:
    """Make sure that the response to an error reports no success: a catch-all exception view tends to send 200."""
    level = getattr(error, "log_level", logging.ERROR)
    log.log(level, "%s %r failed: %s", request.method, request.environ.get("PATH_INFO", ""), error)
    if response.status_int < 400:
        response.status_int = 503 if isinstance(error, StoreUnavailable) else 500
    if response.status_int == 503 and (request.method in SAFE_METHODS or not committed):
        response.headers.setdefault("Retry-After", str(getattr(error, "retry_after", StoreUnavailable.retry_after)))


def note_transaction(request: Any) -> None:
    """Called below pyramid_tm, for :func:`was_committed`."""
    if "tm.active" in request.environ:  # else pyramid_tm leaves this request alone
        request.__dict__[_TRANSACTION] = request.tm.get()


def was_committed(request: Any) -> bool:
    """Whether what the request did may stay: False only where a transaction of pyramid_tm was not committed."""
    transaction = request.__dict__.get(_TRANSACTION)
    return transaction is None or transaction.status == "Committed"


def _exception_view(request: Any, error: Exception) -> Any:
    try:
        return request.invoke_exception_view((type(error), error, error.__traceback__))
    except HTTPNotFound:
        return None
    except Exception:
        log.exception("The exception view for %s failed itself", type(error).__name__)
        return None


def _forget_variables(error: BaseException) -> None:
    """Of the frames that an error went through, which is dealt with.

    One of Pyramid has the error itself in a variable: it would stay, with the request, until the collector runs. An
    error that somebody above the request is still dealing with keeps its own.
    """
    clear_frames(error.__traceback__)
    running = {id(frame) for frame, _ in walk_stack(None)}  # frames themselves would be a cycle
    before = error.__context__
    while before is not None:
        caught = before.__traceback__
        if caught is not None and id(caught.tb_frame) in running:
            return
        clear_frames(caught)
        before = before.__context__


def _plain() -> Response:
    return Response(
        "503 Service Unavailable\n\nYour session could not be reached for the moment. You are still logged in, if you "
        "were. Please try again.\n",
        status=503,
        content_type="text/plain",
        charset="utf-8",
        cache_control="no-store",
    )
