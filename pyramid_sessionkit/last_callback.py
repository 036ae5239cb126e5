"""The last response callback of a request: it saves what came after the tweens, and sends the cookies."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.in_use import IN_USE, InUse
from pyramid_sessionkit.interfaces import FIRST
from pyramid_sessionkit.late import watch
from pyramid_sessionkit.outage import respond
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_id.headers import FORMER, RETURNED, copied, without_former_cookies
from pyramid_sessionkit.state import KEEP
from pyramid_sessionkit.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from pyramid_sessionkit.factory import SessionFactory

FINISHED = "_sessionkit_finished"
"""In the ``__dict__`` of a request that has our response callback: whether that has run, after all others."""

MAX_ROUNDS = 10
_ROUNDS = "_sessionkit_rounds"


def finish_later(request: Any) -> None:
    """Register the response callback once: session factories and the outer tween ask for it."""
    attributes = request.__dict__
    if FINISHED not in attributes:
        attributes[FINISHED] = False
        if "response_callbacks" in attributes:
            request.add_response_callback(finish)
        else:
            # What Pyramid would do. Every request pays for this, and so it costs a tenth.
            callbacks = attributes["response_callbacks"] = deque(_CALLBACKS)
            if request.response_callbacks is not callbacks:
                # A class of the application's own has them elsewhere.
                del attributes["response_callbacks"]
                request.add_response_callback(finish)


def finish(request: Any, response: Any) -> None:
    """The response callback, which puts itself behind the others until it is the last."""
    attributes = request.__dict__
    if request.response_callbacks:
        rounds = attributes.get(_ROUNDS, 0)
        if rounds < MAX_ROUNDS:
            attributes[_ROUNDS] = rounds + 1
            request.add_response_callback(finish)
            return
    attributes[FINISHED] = True
    if IN_USE in attributes:
        _finish_sessions(request, response, attributes[IN_USE])


_CALLBACKS = (finish,)


def _finish_sessions(request: Any, response: Any, in_use: InUse) -> None:
    # All are saved before any cookie is sent: where that fails, the response becomes another.
    items = list(in_use.items())
    for factory, session in items:
        work = session.work
        if work.found is not None and not work.settled:
            _save_late(request, response, factory.saver, work)
    if len(in_use) > 1:
        # The first goes last: it may say `private`, and only where none of the others has said `no-store`.
        items = sorted(in_use.items(), key=_is_first)
    for factory, session in items:
        work = session.work
        if work.found is not None:
            factory.saver.headers_for(request).add(request, response, work)
            if work.mutable and work.contents is not None:
                watch(request.environ, work, factory.name)
        work.close()


def _is_first(item: tuple[SessionFactory, Session]) -> bool:
    return item[0].name == FIRST


def _save_late(request: Any, response: Any, saver: Any, work: UnitOfWork) -> None:
    try:
        saver.save(request, work, response.status_int, getattr(request, "exception", None))
    except StoreUnavailable as error:
        # Past the exception views, and the response object is the caller's: all that can be changed is its inside.
        work.abandon(error)
        instead = respond(request, error, committed=True)
        response.status = instead.status
        response.headerlist = instead.headerlist
        response.app_iter = instead.app_iter


def own_response(request: Any, response: Any, in_use: InUse | None) -> Any:
    """The response, or a copy of it where it is to carry a cookie: some views return one object to everybody."""
    if response is not request.__dict__.get("response"):
        first = object()
        # A response callback may still want a cookie for it, while another thread returns it too.
        if response.__dict__.setdefault(RETURNED, first) is not first:
            return copied(response)
        for session in in_use.values() if in_use else ():
            if session.work.cookie is not KEEP:
                return copied(response)
    return without_former_cookies(response) if FORMER in response.__dict__ else response
