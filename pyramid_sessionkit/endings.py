"""Which endings a request may ask for, given what its cookie opened."""

from __future__ import annotations

from collections.abc import Iterable

from pyramid_sessionkit.interfaces import Record, unreadable
from pyramid_sessionkit.persistence import TRIED_COOKIES, Persistence
from pyramid_sessionkit.session_id.tokens import opens, verifier_of
from pyramid_sessionkit.state import BLANK_KEY, Condition, Ending, NewSecret, Presented, Stored


def wished(stored: Stored, reason: str) -> Ending | None:
    """The visitor asked to end the session. That reaches it under whatever secret it has by then.

    If it was anonymous when this request loaded it, and somebody has logged in since, it is kept. None if this request
    never opened the session, but met it as a stale one.
    """
    if not stored.record.verifier:  # as saving.merge_stale() leaves it
        return None
    condition = Condition.ANONYMOUS if stored.record.userid is None else Condition.ALWAYS
    return Ending(stored.key, stored.record.userid, reason, condition, stored.record)


def wished_with_replaced_cookie(persistence: Persistence, presented: Presented, reason: str) -> Ending | None:
    """The same, for a visitor whose cookie was replaced a moment ago; None if the session is gone.

    They may end it if their secret came right before the stored one, and the same user was logged in under it; or if
    it is the stored one, in a session that the library is about to end anyway.
    """
    key, secret = presented
    record: Record | None = persistence.store.load(key, True)
    if record is None:
        return None
    known = persistence.tokens.succession(secret, key, record)
    may = opens(secret, record) or (known is not None and known[0] is not NewSecret.LOGIN)
    return Ending(key, record.userid, reason, Condition.ALWAYS if may else Condition.NEVER, record)


def of_other_cookies(presented: Iterable[Presented], used: Presented | None, reason: str) -> list[Ending]:
    """A browser may send several cookies of our name: the sessions that they open are ended too."""
    # Nothing was loaded under these cookies: a record with nothing but the verifier says what to compare with.
    others = [one for one in presented if one.key != BLANK_KEY and one != used][:TRIED_COOKIES]
    return [
        Ending(key, None, reason, Condition.OPENED, unreadable()._replace(verifier=verifier_of(secret)))
        for key, secret in others
    ]


def judged(stored: Stored, reason: str) -> Ending:
    """The library decided to end the session, because of what it read in the record."""
    return Ending(stored.key, stored.record.userid, reason, Condition.JUDGED, stored.record)
