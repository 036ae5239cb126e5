"""A browser of a test that is logged in, without the login form."""

from __future__ import annotations

from typing import Any

from pyramid.interfaces import ISecurityPolicy
from pyramid.security import forget, remember

from pyramid_sessionkit.in_use import find_session
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.testing.one_request import in_request
from pyramid_sessionkit.userid import as_userid


def login(
    testapp: Any,
    userid: Any,
    *,
    persistent: bool | None = None,
    ago: int = 0,
    url: str = "/",
    registry: Any = None,
) -> str:
    """Log the browser ``testapp`` in, without the login form, and return the key of its session.

    A request of this WebTest ``TestApp`` calls ``remember(request, userid)``, as a login view does: what the session
    contains stays, events are published, and the cookie is there for the next requests. ``persistent`` is what
    ``remember`` takes.

    ``ago``: as if that was so many seconds ago, and the session unused since: for ``fresh_login``, and for sessions
    that have expired. ``url`` and ``registry`` are those of :func:`~pyramid_sessionkit.testing.in_request`.
    """
    text = as_userid(userid, "login() was given")
    options = {} if persistent is None else {"persistent": persistent}

    def log_in(request: Any) -> str:
        _check_factory(request)
        request.response.headerlist.extend(remember(request, userid, **options))
        _check_user(request, text)
        return str(request.session.key)

    def check(request: Any) -> None:
        _check_browser(request.session, key)
        if ago:
            request.session.save()
            _shift_times(request.session, ago)

    key = in_request(testapp, log_in, url, registry)
    in_request(testapp, check, url, registry)
    return key


def logout(testapp: Any, *, url: str = "/", registry: Any = None) -> None:
    """Log the browser ``testapp`` out, as a view does that calls ``forget(request)``."""
    in_request(testapp, lambda request: request.response.headerlist.extend(forget(request)), url, registry)


def _check_factory(request: Any) -> None:
    if find_session(request) is None:
        raise TypeError(
            f"login() logs in to sessions of pyramid_sessionkit, and this application's are of another kind: "
            f"{type(request.session).__name__}"
        )


def _check_user(request: Any, userid: str) -> None:
    policy = request.registry.queryUtility(ISecurityPolicy)
    if request.session.userid is None:
        raise TypeError(
            f"The application's security policy, {type(policy).__name__}, does not log in to the session: its "
            "remember() would have to call request.session.login(userid). Log in through the login form"
        )
    if isinstance(policy, SessionSecurityPolicy) and request.authenticated_userid is None:
        raise LookupError(
            f"sessionkit.identity returned None for the userid {userid!r}: there is no such user. Store the user "
            "first, where the application's requests see it"
        )


def _check_browser(session: Session, key: str) -> None:
    if session.userid is None or session.key != key:
        raise RuntimeError(
            "The login was carried out, but the next request of this browser is not logged in. Either no cookie was "
            "sent, and the log of pyramid_sessionkit says why, or it does not fit the address: where cookies are for "
            'https, another host or a path, say so: url="https://example.com/path"'
        )


def _shift_times(session: Session, seconds: int) -> None:
    """Have all that the record says be so much longer ago."""
    store = session.work.persistence.store
    record: Record = store.load(session.key, True)
    assert record.authenticated is not None
    store.update(
        session.key,
        record._replace(
            authenticated=record.authenticated - seconds * 1_000_000,
            replaced=None if record.replaced is None else record.replaced - seconds * 1_000_000,
            created=record.created - seconds,
            renewed=record.renewed - seconds,
            deadline=None if record.deadline is None else record.deadline - seconds,
        ),
    )
