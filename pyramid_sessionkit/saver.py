"""What is done with a session once the response of its request is known: saving, and the last response callback."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.headers import FORMER, RETURNED, ResponseHeaders
from pyramid_sessionkit.late import watch
from pyramid_sessionkit.outage import SAFE_METHODS, respond
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.plan import Refused, needs_cookie
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.session_header import is_carried_in_header
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import DROPPED, KEEP
from pyramid_sessionkit.unit_of_work import UnitOfWork, session_replaced_error

log = logging.getLogger("pyramid_sessionkit")

SAVER = "pyramid_sessionkit.saver"
"""Where the registry holds the :class:`Saver`."""

FINISHED = "_sessionkit_finished"
"""In the ``__dict__`` of a request that has our response callback: whether that has run, after all others."""

MAX_ROUNDS = 10
_ROUNDS = "_sessionkit_rounds"


def work_of(request: Any) -> UnitOfWork | None:
    """What the request does to its session; None if it asked for none, or another factory made it."""
    session = request.__dict__.get("session")
    return session.work if type(session) is Session else None


class Saver:
    """Saves the sessions of an application, as far as the responses of their requests allow."""

    def __init__(self, settings: Settings, headers: ResponseHeaders, cookieless: ResponseHeaders | None = None) -> None:
        self._settings = settings
        self._headers = headers
        self._cookieless = cookieless
        self._callbacks = (self.finish,)

    def check(self, request: Any, work: UnitOfWork) -> None:
        """Raise if the session could not be saved, while the transaction can still be aborted."""
        wanted = work.plan()
        if isinstance(wanted, Refused) and (wanted.ending or request.method not in SAFE_METHODS):
            raise session_replaced_error(wanted)

    def save(self, request: Any, work: UnitOfWork, status: int, error: BaseException | None) -> None:
        """Save what the request did, as far as a response of this status allows. To call it again does no harm."""
        if error is not None and will_be_retried(request, error):
            work.note(Outcome.NOT_SAVED, "pyramid_retry repeats the request")
            return
        work.end()
        if work.phase is DROPPED:
            return
        if self.is_wanted(status):
            self._carry_out(request, work)
        else:
            work.note(Outcome.NOT_SAVED, f"a {status} is not saved, see sessionkit.save_on_error")

    def _carry_out(self, request: Any, work: UnitOfWork) -> None:
        wanted, headers = work.plan(), self._headers_for(request)
        if needs_cookie(wanted) and (refusal := headers.refusal(request)):
            headers.warn(refusal)
            work.note(Outcome.NOT_SAVED, f"no ID could be sent: {refusal}")
        elif isinstance(wanted, Refused) and not wanted.ending and request.method in SAFE_METHODS:
            log.warning("What %s %r put into its session was dropped: its cookie was just replaced", *_named(request))
            work.note(Outcome.DROPPED, "another request has just replaced the ID, and this one sent the old cookie")
            work.drop_changes()
        else:
            work.commit(wanted)

    def is_wanted(self, status: int) -> bool:
        return status < 500 or self._settings.save_on_error

    def finish_later(self, request: Any) -> None:
        """Register the response callback once: both the session's factory and the outer tween ask for it."""
        attributes = request.__dict__
        if FINISHED not in attributes:
            attributes[FINISHED] = False
            if "response_callbacks" in attributes:
                request.add_response_callback(self.finish)
            else:
                # What Pyramid would do. Every request pays for this, and so it costs a tenth.
                callbacks = attributes["response_callbacks"] = deque(self._callbacks)
                if request.response_callbacks is not callbacks:
                    # A class of the application's own has them elsewhere.
                    del attributes["response_callbacks"]
                    request.add_response_callback(self.finish)

    def finish(self, request: Any, response: Any) -> None:
        """The response callback, which puts itself behind the others until it is the last."""
        attributes = request.__dict__
        if request.response_callbacks:
            rounds = attributes.get(_ROUNDS, 0)
            if rounds < MAX_ROUNDS:
                attributes[_ROUNDS] = rounds + 1
                request.add_response_callback(self.finish)
                return
        attributes[FINISHED] = True
        if "session" in attributes and (work := work_of(request)) is not None:
            if work.found is not None:
                self._finish(request, response, work)
            work.close()

    def _finish(self, request: Any, response: Any, work: UnitOfWork) -> None:
        try:
            if not work.settled:
                self.save(request, work, response.status_int, getattr(request, "exception", None))
        except StoreUnavailable as error:
            # Past the exception views, and the response object is the caller's: all that can be changed is its inside.
            work.abandon(error)
            instead = respond(request, error, committed=True)
            response.status = instead.status
            response.headerlist = instead.headerlist
            response.app_iter = instead.app_iter
        self._headers_for(request).add(request, response, work)
        if work.mutable and work.contents is not None:
            watch(request.environ, work)

    def _headers_for(self, request: Any) -> ResponseHeaders:
        if self._cookieless is not None and is_carried_in_header(request):
            return self._cookieless
        return self._headers

    def own_response(self, request: Any, response: Any, work: UnitOfWork | None) -> Any:
        """The response, or a copy of it where it is to carry a cookie: some views return one object to everybody."""
        if response is not request.__dict__.get("response"):
            first = object()
            # A response callback may still want a cookie for it, while another thread returns it too.
            if response.__dict__.setdefault(RETURNED, first) is not first or (
                work is not None and work.cookie is not KEEP
            ):
                return self._headers.copied(response)
        return self._headers.without_former_cookie(response) if FORMER in response.__dict__ else response


def _named(request: Any) -> tuple[str, str]:
    return request.method, request.environ.get("PATH_INFO", "")


def will_be_retried(request: Any, error: BaseException | None) -> bool:
    """Whether pyramid_retry is about to throw this attempt away, and its response with it."""
    if error is None or "retry.attempts" not in request.environ:
        return False
    from pyramid_retry import is_error_retryable

    return bool(is_error_retryable(request, error))
