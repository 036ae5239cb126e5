"""The CSRF token of a request: derived from its session, or from the cookie of one that is still to begin."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.saving import CSRF_KEY
from pyramid_sessionkit.session_id.tokens import clean_nonce, has_form_of_csrf_token, new_nonce
from pyramid_sessionkit.state import Found
from pyramid_sessionkit.unit_of_work import UnitOfWork


def token_of(work: UnitOfWork) -> str:
    """The token. Where nothing is stored, a blank cookie is sent with it."""
    nonce = clean_nonce(work.read().get(CSRF_KEY))
    work.needs_cookie_for_token()
    seed = work.seed
    # With the new cookie, of the same key, the form works if nobody is logged in by then, or if it is a login form.
    key = seed.key if seed is not None and work.found is Found.REPLACED else work.key
    return work.persistence.tokens.csrf_token(key, work.login_field("authenticated"), nonce)


def new_token_of(work: UnitOfWork) -> str:
    """Another token, derived with a new nonce, which is stored."""
    work.write()[CSRF_KEY] = new_nonce()
    return token_of(work)


def is_token_of(work: UnitOfWork, token: Any, of_login_form: bool = False) -> bool:
    """Whether this token is the session's; ``of_login_form``: or was, before this browser logged in."""
    contents, claims_for = work.read(), work.persistence.tokens.csrf_claims
    claims = claims_for(token, work.key)
    if work.stored is not None:
        expected = work.login_field("authenticated") or 0, clean_nonce(contents.get(CSRF_KEY))
        return claims == expected or (of_login_form and claims is not None and claims[0] == 0)
    if claims is not None or work.seed is None:
        return claims is not None
    # A form that was open for longer than the session lived: nobody is logged in who could be harmed.
    return any(claims_for(token, key) is not None for key in [work.seed.key, *work.possible_keys()])


def is_old_token(work: UnitOfWork, token: Any, of_anyone: bool) -> bool:
    """Whether this token was the session's before its latest login; ``of_anyone``: or may be another session's.

    Another user's login begins another session. What ``new_csrf_token()`` replaced stays refused.
    """
    claims = work.persistence.tokens.csrf_claims(token, work.key)
    if claims is None:
        return of_anyone and has_form_of_csrf_token(token)
    return claims[1] == clean_nonce(work.read().get(CSRF_KEY))
