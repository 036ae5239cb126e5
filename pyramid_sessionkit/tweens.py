"""When a session is saved, relative to the response and the transaction.

A request passes ``outer tween, pyramid_tm, inner tween, exception views, view``, and its response comes back the
other way and then through the response callbacks:

- the inner tween checks that the session can be saved while the transaction can still be aborted; in joined mode
  (``sessionkit.sql.dbsession``) it saves it as a part of the transaction;
- the outer tween saves it after the transaction ended;
- :func:`~pyramid_sessionkit.last_callback.finish`, the last response callback, saves what came later and sends the
  cookie.

A request with several sessions takes each of them through all of this. The first alone may be joined.
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

from pyramid_sessionkit.adoption.adopting import OUTCOME
from pyramid_sessionkit.adoption.directive import ADOPTION
from pyramid_sessionkit.exceptions import SessionError, TransactionFailed
from pyramid_sessionkit.gates.login import LOGIN_GATE
from pyramid_sessionkit.in_force import warn_unless_in_force
from pyramid_sessionkit.in_use import IN_USE, InUse
from pyramid_sessionkit.interfaces import FIRST
from pyramid_sessionkit.joined.mode import JOINED_MODE, JoinedMode
from pyramid_sessionkit.joined.transaction import RequestTransaction
from pyramid_sessionkit.last_callback import finish_later, own_response
from pyramid_sessionkit.outage import mark, note_transaction, respond, was_committed
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.plan import needs_cookie
from pyramid_sessionkit.saver import Saver, will_be_retried
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import PREFIX
from pyramid_sessionkit.unit_of_work import UnitOfWork

log = logging.getLogger("pyramid_sessionkit")

PYRAMID_TM = "pyramid_tm.tm_tween_factory"
OUTER = "pyramid_sessionkit.tweens.outer_tween_factory"
INNER = "pyramid_sessionkit.tweens.inner_tween_factory"
DEBUG_TOOLBAR = "pyramid_debugtoolbar.toolbar_tween_factory"

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


def outer_tween_factory(handler: Handler, registry: Any) -> Handler:
    """Over pyramid_tm: saves after the transaction ended, and responds to errors of the session."""
    joined_mode: JoinedMode | None = registry.get(JOINED_MODE)
    has_tm = _has_tm(registry)
    if joined_mode is not None:
        _check_joined_mode(joined_mode, has_tm, registry)
    warn_unless_in_force(registry)
    if LOGIN_GATE in registry:
        registry[LOGIN_GATE].check_routes(registry)

    def outer_tween(request: Any) -> Any:
        transaction = None if joined_mode is None else joined_mode.transaction_of(request)
        try:
            response = handler(request)
            if not has_tm and request.exception is not None:
                _mark_rendered(request, response)
        except Exception as error:
            response = _response_to(error, request, transaction)
            if response is None:
                raise
        in_use = request.__dict__.get(IN_USE)
        if in_use is None:
            finish_later(request)
            if "session" in request.__dict__:
                _refuse_if_lost(request, {})
            return own_response(request, response, None)
        try:
            if "session" in request.__dict__:
                _refuse_if_lost(request, in_use)
            if transaction is not None:
                transaction.leave()
            for factory, session in list(in_use.items()):  # key_prefix may use another session
                if not session.work.settled:
                    _save(request, response, factory.saver, session.work)
        except Exception as error:
            response = respond(request, error, committed=was_committed(request))
            if response is None:
                _end_after_failure(request, error)
                raise
        return own_response(request, response, in_use)

    return outer_tween


def inner_tween_factory(handler: Handler, registry: Any) -> Handler:
    """Below pyramid_tm: while the transaction can still be aborted."""
    if registry[ADOPTION].old is not None:
        handler = _asking_tween(handler)
    if not _has_tm(registry):
        return handler
    joined_mode: JoinedMode | None = registry.get(JOINED_MODE)
    return _checking_tween(handler) if joined_mode is None else _joined_tween(handler, joined_mode)


def _asking_tween(handler: Handler) -> Handler:
    def asking_tween(request: Any) -> Any:
        """Asks for the user of a session that was just adopted, whose credentials are not known before: a password that
        is changed from now on ends it."""
        response = handler(request)
        if OUTCOME in request.environ:
            request.authenticated_userid  # noqa: B018
        return response

    return asking_tween


def _checking_tween(handler: Handler) -> Handler:
    def checking_tween(request: Any) -> Any:
        """Checks that the session can be saved."""
        response = handler(request)
        _mark_rendered(request, response)
        in_use = request.__dict__.get(IN_USE)
        if in_use is not None and not will_be_retried(request, request.exception):
            for factory, session in list(in_use.items()):
                _check(request, response, factory.saver, session.work)
        return response

    return checking_tween


def _check(request: Any, response: Any, saver: Saver, work: UnitOfWork) -> None:
    if not work.settled and saver.is_wanted(response.status_int):
        note_transaction(request)
        saver.check(request, work)


def _joined_tween(handler: Handler, joined_mode: JoinedMode) -> Handler:
    def joined_tween(request: Any) -> Any:
        """Saves the first session as a part of the transaction, and checks that the others can be saved."""
        transaction = joined_mode.transaction_of(request)
        transaction.enter()
        note_transaction(request)
        try:
            response = handler(request)
            _mark_rendered(request, response)
            _save_in_transaction(request, response, transaction)
        except BaseException:
            transaction.count_as_aborted()
            raise
        return response

    return joined_tween


def _save_in_transaction(request: Any, response: Any, transaction: RequestTransaction) -> None:
    in_use: InUse | None = request.__dict__.get(IN_USE)
    if in_use is None:
        return
    if transaction.will_abort(response):
        transaction.count_as_aborted()
        return
    for factory, session in list(in_use.items()):
        if factory.name != FIRST:
            _check(request, response, factory.saver, session.work)
        elif not session.work.settled:
            _join(request, response, transaction, factory.saver, session.work)


def _join(request: Any, response: Any, transaction: RequestTransaction, saver: Saver, work: UnitOfWork) -> None:
    try:
        saver.save(request, work, response.status_int, request.exception)
    except TransactionFailed as error:
        log.warning("What %s %r did to its session is lost: %s", request.method, request.path_info, error)
        transaction.doom()


def _refuse_if_lost(request: Any, in_use: InUse) -> None:
    """Nobody saves a session that the application made itself, and no success may be reported."""
    session = request.__dict__["session"]
    for one in in_use.values():  # not by "in", which compares what sessions contain
        if one is session:
            return
    if isinstance(session, Session) and session.work.used and not session.work.settled:
        raise SessionError(
            f"request.session is a {type(session).__name__} that its session factory did not make, and what was put "
            "into it would be lost: call its save(), or set sessionkit.session_class for a class of your own"
        )


def _save(request: Any, response: Any, saver: Saver, work: UnitOfWork) -> None:
    try:
        saver.save(request, work, response.status_int, request.exception)
    except Exception as error:
        work.abandon(error)
        raise


def _response_to(error: Exception, request: Any, transaction: RequestTransaction | None) -> Any:
    """The response to an error of ours that the application raised; None for any other, which is to be raised again."""
    if transaction is not None:
        _leave_after_failure(request, transaction)
    if will_be_retried(request, error):
        return None
    _end_after_failure(request, error)
    return respond(request, error, committed=False) if isinstance(error, SessionError) else None


def _check_joined_mode(joined_mode: JoinedMode, has_tm: bool, registry: Any) -> None:
    if not has_tm:
        raise ConfigurationError(
            f'{PREFIX}sql.dbsession needs pyramid_tm, which is not included: config.include("pyramid_tm")'
        )
    joined_mode.check(registry)


def _leave_after_failure(request: Any, transaction: RequestTransaction) -> None:
    try:
        transaction.leave()
    except Exception:
        log.exception("What was to follow the commit of a request that failed later could not be done")


def _mark_rendered(request: Any, response: Any) -> None:
    """Mark what an exception view sent for an error of ours, below pyramid_tm, so that its veto sees the status."""
    if isinstance(request.exception, SessionError):
        mark(request, response, request.exception, committed=False)


def _end_after_failure(request: Any, error: Exception) -> None:
    """Carry out the endings of a request that failed; save the rest only if ``save_on_error`` says so."""
    in_use: InUse = request.__dict__.get(IN_USE, {})
    for factory, session in list(in_use.items()):
        if session.work.used and not session.work.settled:
            _end_one(request, error, factory.saver, session.work)


def _end_one(request: Any, error: Exception, saver: Saver, work: UnitOfWork) -> None:
    try:
        work.end()
        # Without a response no cookie can be sent; and what failed once fails again.
        if isinstance(error, SessionError) or needs_cookie(work.plan()):
            work.note(Outcome.NOT_SAVED, f"the request failed: {type(error).__name__}")
            work.drop_changes()
        saver.save(request, work, 500, error)
    except Exception as failure:
        work.abandon(failure)
        log.exception("The session of a request that failed could not be saved or ended either")


def _has_tm(registry: Any) -> bool:
    tweens = registry.queryUtility(ITweens)
    return tweens is not None and any(name == PYRAMID_TM for name, _ in tweens.explicit or tweens.implicit())
