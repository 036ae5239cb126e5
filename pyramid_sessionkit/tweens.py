"""When a session is saved, relative to the response and the transaction.

A request passes ``outer tween, pyramid_tm, inner tween, exception views, view``, and its response comes back the
other way and then through the response callbacks:

- the inner tween checks that the session can be saved while the transaction can still be aborted; in joined mode
  (``sessionkit.sql.dbsession``) it saves it as a part of the transaction;
- the outer tween saves it after the transaction ended;
- :meth:`Saver.finish`, the last response callback, saves what came later and sends the cookie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ITweens
from pyramid.settings import aslist
from pyramid.tweens import EXCVIEW, INGRESS

from pyramid_sessionkit.exceptions import SessionError, StoreUnavailable, TransactionFailed
from pyramid_sessionkit.factory import FINISHED, FINISHER, work_of
from pyramid_sessionkit.headers import SessionHeaders
from pyramid_sessionkit.joined import JOINING, Joined, Joining
from pyramid_sessionkit.outage import mark, respond
from pyramid_sessionkit.settings import PREFIX, Settings
from pyramid_sessionkit.unit_of_work import UnitOfWork

log = logging.getLogger("pyramid_sessionkit")

SAVER = "pyramid_sessionkit.saver"
"""Where the registry holds the :class:`Saver`."""

PYRAMID_TM = "pyramid_tm.tm_tween_factory"
OUTER = "pyramid_sessionkit.tweens.outer_tween_factory"
INNER = "pyramid_sessionkit.tweens.inner_tween_factory"
DEBUG_TOOLBAR = "pyramid_debugtoolbar.toolbar_tween_factory"
MAX_ROUNDS = 10
_ROUNDS = "_sessionkit_rounds"

Handler = Callable[[Any], Any]


def add_tweens(config: Configurator) -> None:
    """Plug both tweens in, in their places around pyramid_tm wherever that is."""
    _check_explicit_order(aslist(config.get_settings().get("pyramid.tweens", [])))
    config.add_tween(OUTER, over=(PYRAMID_TM, EXCVIEW), under=(DEBUG_TOOLBAR, INGRESS))
    config.add_tween(INNER, over=EXCVIEW, under=(PYRAMID_TM, INGRESS))


def _check_explicit_order(listed: list[str]) -> None:
    """Where the application lists its tweens, Pyramid does what the list says, whatever we ask for."""
    ours = (OUTER, INNER) if PYRAMID_TM in listed else (OUTER,)
    needed = [name for name in (OUTER, PYRAMID_TM, INNER, EXCVIEW) if name in ours or name in listed]
    if listed and [name for name in listed if name in needed] != needed:
        raise ConfigurationError(
            f"pyramid.tweens must list these, in this order, for sessions to be saved: {' '.join(needed)}"
        )


class Saver:
    """Decides what becomes of a session once the response of its request is known."""

    def __init__(self, settings: Settings, headers: SessionHeaders) -> None:
        self._settings = settings
        self._headers = headers

    def save(self, request: Any, work: UnitOfWork, status: int, error: BaseException | None) -> None:
        """Save what the request did, as far as a response of this status allows; more often does no harm."""
        if not work.used or will_be_retried(request, error):
            return
        if not self.is_wanted(status):
            work.end()
        elif work.needs_cookie and (refusal := self._headers.refusal(request)):
            work.end()
            self._headers.warn(refusal)
        else:
            work.commit()

    def is_wanted(self, status: int) -> bool:
        return status < 500 or self._settings.save_on_error

    def finish_later(self, request: Any) -> None:
        """Register the response callback, unless the session's factory did."""
        if FINISHER not in request.__dict__:
            request.__dict__[FINISHER] = True
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
        work = work_of(request)
        if work is None:
            return
        if work.used:
            self._finish(request, response, work)
        work.close()

    def _finish(self, request: Any, response: Any, work: UnitOfWork) -> None:
        try:
            if not work.settled:
                self.save(request, work, response.status_int, getattr(request, "exception", None))
        except StoreUnavailable as error:
            # Past the exception views, and the response object is the caller's: all that can be changed is its inside.
            work.abandon()
            instead = respond(request, error, committed=True)
            response.status = instead.status
            response.headerlist = instead.headerlist
            response.app_iter = instead.app_iter
        self._headers.add(request, response, work)


def outer_tween_factory(handler: Handler, registry: Any) -> Handler:
    saver: Saver = registry[SAVER]
    joining: Joining | None = registry.get(JOINING)
    without_tm = not _has_tm(registry)
    if joining is not None:
        if without_tm:
            raise ConfigurationError(
                f'{PREFIX}sql.dbsession needs pyramid_tm, which is not included: config.include("pyramid_tm")'
            )
        joining.check(registry)

    def outer_tween(request: Any) -> Any:
        joined = None if joining is None else joining.of(request)
        try:
            response = handler(request)
        except Exception as error:
            if joined is not None:
                _leave_after_failure(request, joined)
            if will_be_retried(request, error):
                raise
            _end_after_failure(request, error, saver)
            if not isinstance(error, SessionError):
                raise
            response = respond(request, error, committed=False)
        else:
            if without_tm:
                _mark_rendered(request, response)
        work = work_of(request)
        if work is None:
            saver.finish_later(request)
            return response
        try:
            if joined is not None:
                joined.leave()
            if not work.settled:
                saver.save(request, work, response.status_int, request.exception)
        except Exception as error:
            work.abandon()
            response = respond(request, error, committed=True)
        return response

    return outer_tween


def inner_tween_factory(handler: Handler, registry: Any) -> Handler:
    if not _has_tm(registry):
        return handler
    saver: Saver = registry[SAVER]
    joining: Joining | None = registry.get(JOINING)
    if joining is not None:
        return _joined_tween(handler, saver, joining)

    def inner_tween(request: Any) -> Any:
        response = handler(request)
        _mark_rendered(request, response)
        work = work_of(request)
        if (
            work is None
            or work.settled
            or not saver.is_wanted(response.status_int)
            or will_be_retried(request, request.exception)
        ):
            return response
        work.check()
        return response

    return inner_tween


def _joined_tween(handler: Handler, saver: Saver, joining: Joining) -> Handler:
    def joined_tween(request: Any) -> Any:
        joined = joining.of(request)
        joined.enter()
        try:
            response = handler(request)
            _mark_rendered(request, response)
            _save_in_transaction(request, response, joined, saver)
        except BaseException:
            joined.abort()
            raise
        return response

    return joined_tween


def _save_in_transaction(request: Any, response: Any, joined: Joined, saver: Saver) -> None:
    work = work_of(request)
    if work is None:
        return
    if joined.will_abort(response):
        joined.abort()
    elif not work.settled:
        try:
            saver.save(request, work, response.status_int, request.exception)
        except TransactionFailed as error:
            log.warning("What %s %r did to its session is lost: %s", request.method, request.path_info, error)
            joined.doom()


def _leave_after_failure(request: Any, joined: Joined) -> None:
    try:
        joined.leave()
    except Exception:
        log.exception("What was to follow the commit of a request that failed later could not be done")


def _mark_rendered(request: Any, response: Any) -> None:
    """Below pyramid_tm, so that its veto sees that nothing was done for an error of ours that a view has rendered."""
    if isinstance(request.exception, SessionError):
        mark(request, response, request.exception, committed=False)


def will_be_retried(request: Any, error: BaseException | None) -> bool:
    """Whether pyramid_retry is about to throw this attempt away, and its response with it."""
    if error is None or "retry.attempts" not in request.environ:
        return False
    from pyramid_retry import is_error_retryable

    return bool(is_error_retryable(request, error))


def _end_after_failure(request: Any, error: Exception, saver: Saver) -> None:
    """Carry out the endings of a request that failed; save the rest only if ``save_on_error`` says so."""
    work = work_of(request)
    if work is None or not work.used or work.settled:
        return
    if work.needs_cookie or isinstance(error, SessionError):
        # Without a response a visitor could not be told a new ID; and what failed once fails again.
        work.drop_changes()
    try:
        saver.save(request, work, 500, error)
    except Exception:
        work.abandon()
        log.exception("The session of a request that failed could not be saved or ended either")


def _has_tm(registry: Any) -> bool:
    tweens = registry.queryUtility(ITweens)
    return tweens is not None and any(name == PYRAMID_TM for name, _ in tweens.explicit or tweens.implicit())
