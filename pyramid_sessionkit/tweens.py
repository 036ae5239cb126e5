"""When a session is saved, relative to the response and the transaction.

A request passes ``outer tween, pyramid_tm, inner tween, exception views, view``, and its response comes back the
other way and then through the response callbacks:

- the inner tween checks that the session can be saved while the transaction can still be aborted;
- the outer tween saves it after the transaction ended;
- :meth:`Saver.finish`, the last response callback, saves what came later and sends the cookie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import ITweens
from pyramid.tweens import EXCVIEW, INGRESS

from pyramid_sessionkit.exceptions import SessionError, StoreUnavailable
from pyramid_sessionkit.factory import FINISHED
from pyramid_sessionkit.headers import SessionHeaders
from pyramid_sessionkit.outage import mark, respond
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import Settings

log = logging.getLogger("pyramid_sessionkit")

SAVER = "pyramid_sessionkit.saver"
"""Where the registry holds the :class:`Saver`."""

PYRAMID_TM = "pyramid_tm.tm_tween_factory"
DEBUG_TOOLBAR = "pyramid_debugtoolbar.toolbar_tween_factory"
MAX_ROUNDS = 10
_ROUNDS = "_sessionkit_rounds"

Handler = Callable[[Any], Any]


def add_tweens(config: Configurator) -> None:
    """Plug both tweens in, in their places around pyramid_tm wherever that is."""
    config.add_tween(
        "pyramid_sessionkit.tweens.outer_tween_factory", over=(PYRAMID_TM, EXCVIEW), under=(DEBUG_TOOLBAR, INGRESS)
    )
    config.add_tween("pyramid_sessionkit.tweens.inner_tween_factory", over=EXCVIEW, under=(PYRAMID_TM, INGRESS))


class Saver:
    """Decides what becomes of a session once the response of its request is known."""

    def __init__(self, settings: Settings, headers: SessionHeaders) -> None:
        self._settings = settings
        self._headers = headers

    def save(self, request: Any, session: Session, status: int, error: BaseException | None) -> None:
        """Save what the request did, as far as a response of this status allows; more often does no harm."""
        if not session.used or will_be_retried(request, error):
            return
        if not self.is_wanted(status):
            session.end()
        elif session.new and (refusal := self._headers.refusal(request)):
            session.end()
            if len(session):
                self._headers.warn(refusal)
        else:
            session.commit()

    def is_wanted(self, status: int) -> bool:
        return status < 500 or self._settings.save_on_error

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
        session = session_of(request)
        if session is None:
            return
        if session.used:
            self._finish(request, response, session)
        session.close()

    def _finish(self, request: Any, response: Any, session: Session) -> None:
        try:
            if not session.settled:
                self.save(request, session, response.status_int, request.exception)
        except StoreUnavailable as error:
            # Past the exception views, and the response object is the caller's: all that can be changed is its inside.
            session.abandon()
            instead = respond(request, error, committed=True)
            response.status = instead.status
            response.headerlist = instead.headerlist
            response.app_iter = instead.app_iter
        self._headers.add(request, response, session)


def outer_tween_factory(handler: Handler, registry: Any) -> Handler:
    saver: Saver = registry[SAVER]

    def outer_tween(request: Any) -> Any:
        failed = False
        try:
            response = handler(request)
        except SessionError as error:
            session = session_of(request)
            if will_be_retried(request, error):
                raise
            if session is not None:
                session.drop_changes()
            failed = True
            response = respond(request, error, committed=False)
        except Exception as error:
            _end_after_failure(request, error, saver)
            raise
        else:
            session = session_of(request)
        if session is None:
            request.add_response_callback(saver.finish)
            return response
        if isinstance(request.exception, StoreUnavailable) and not failed:
            mark(request, response, request.exception, committed=False)
        try:
            saver.save(request, session, response.status_int, request.exception)
        except SessionError as error:
            session.abandon()
            response = respond(request, error, committed=True)
        return response

    return outer_tween


def inner_tween_factory(handler: Handler, registry: Any) -> Handler:
    if not any(name == PYRAMID_TM for name, _ in _active_tweens(registry)):
        return handler
    saver: Saver = registry[SAVER]

    def inner_tween(request: Any) -> Any:
        response = handler(request)
        session = session_of(request)
        if session is not None and saver.is_wanted(response.status_int):
            session.check()
        return response

    return inner_tween


def session_of(request: Any) -> Session | None:
    """The session that the request asked for; None if it asked for none, or another factory made it."""
    session = request.__dict__.get("session")
    return session if type(session) is Session else None


def will_be_retried(request: Any, error: BaseException | None) -> bool:
    """Whether pyramid_retry is about to throw this attempt away, and its response with it."""
    if error is None or "retry.attempts" not in request.environ:
        return False
    from pyramid_retry import is_error_retryable

    return bool(is_error_retryable(request, error))


def _end_after_failure(request: Any, error: Exception, saver: Saver) -> None:
    session = session_of(request)
    if session is None:
        return
    try:
        if session.used and session.new:
            session.drop_changes()  # without a response its visitor could not be told the ID
        saver.save(request, session, 500, error)
    except SessionError:
        log.exception("The session of a request that failed could not be saved or ended either")


def _active_tweens(registry: Any) -> list[tuple[str, Any]]:
    tweens = registry.queryUtility(ITweens)
    return tweens.explicit or tweens.implicit() if tweens else []
