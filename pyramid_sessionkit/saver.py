"""How a session is saved once the response of its request is known."""

from __future__ import annotations

import logging
from typing import Any

from pyramid_sessionkit.outage import SAFE_METHODS
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.plan import Refused, needs_cookie
from pyramid_sessionkit.session_id.headers import ResponseHeaders
from pyramid_sessionkit.session_id.session_header import is_carried_in_header
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import DROPPED
from pyramid_sessionkit.unit_of_work import UnitOfWork, session_replaced_error

log = logging.getLogger("pyramid_sessionkit")


class Saver:
    """Saves sessions of one name, as far as the responses of their requests allow."""

    def __init__(self, settings: Settings, headers: ResponseHeaders, cookieless: ResponseHeaders | None = None) -> None:
        self._settings = settings
        self._headers = headers
        self._cookieless = cookieless

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
            work.note(Outcome.NOT_SAVED, f"a {status} is not saved, see {self._settings.name_of('save_on_error')}")

    def _carry_out(self, request: Any, work: UnitOfWork) -> None:
        wanted, headers = work.plan(), self.headers_for(request)
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

    def headers_for(self, request: Any) -> ResponseHeaders:
        """What the client of this request is sent."""
        if self._cookieless is not None and is_carried_in_header(request):
            return self._cookieless
        return self._headers


def _named(request: Any) -> tuple[str, str]:
    return request.method, request.environ.get("PATH_INFO", "")


def will_be_retried(request: Any, error: BaseException | None) -> bool:
    """Whether pyramid_retry is about to throw this attempt away, and its response with it."""
    if error is None or "retry.attempts" not in request.environ:
        return False
    from pyramid_retry import is_error_retryable

    return bool(is_error_retryable(request, error))
