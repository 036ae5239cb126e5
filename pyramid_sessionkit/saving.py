"""How the plan of a request is carried out: new sessions, updates that merge, stale requests, the same login twice.

Each function is given a :class:`Job`, and returns what is stored afterwards as a :class:`Saved`.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any, NamedTuple

from pyramid_sessionkit.contents.merge import merge
from pyramid_sessionkit.contents.serializer import Contents, Serializer
from pyramid_sessionkit.exceptions import SessionGone, StoreError
from pyramid_sessionkit.interfaces import UNREADABLE, Record
from pyramid_sessionkit.persistence import REPLACED_SECONDS, Persistence, is_recent
from pyramid_sessionkit.plan import (
    EMPTY,
    Create,
    Remove,
    Update,
    begun_again,
    is_to_be_removed,
    merged_record,
    new_record,
    next_record,
    removed_record,
    was_removed,
)
from pyramid_sessionkit.session_id.tokens import new_salt, new_secret, verifier_of
from pyramid_sessionkit.state import (
    BLANK_KEY,
    REPLACED,
    STALE,
    Found,
    NewSecret,
    Pending,
    Phase,
    Presented,
    Stored,
)

STALE_SECONDS = 60
"""How long after it loaded a request may still merge its changes, if the secret was replaced meanwhile."""

DERIVED_KEYS = 3
"""How many keys are derived from one cookie before a random one is taken."""

CSRF_KEY = "_csrft_"
"""Where the contents have the nonce of the CSRF token, if ``new_csrf_token()`` was called."""


class Job(NamedTuple):
    """What is to be saved: ``data`` are the contents as bytes, ``seed`` is the cookie (or a blank one)."""

    persistence: Persistence
    seed: Presented
    prefix: Callable[[], str]
    stored: Stored | None
    pending: Pending
    data: bytes
    at: float
    """When the request loaded, in epoch seconds."""


class Saved(NamedTuple):
    """What is stored now. ``contents`` are the merged ones, or None if nothing had to be merged."""

    stored: Stored
    contents: Contents | None = None
    created: bool = False
    new_secret: bool = False
    resend: bool = False
    stale: bool = False
    """Only changes of the contents were merged; ``stored`` is what this request goes on with."""
    logged_in: bool = False
    removed: bool = False
    """Nothing was left in it; ``stored`` is what was put in its place."""


class _SecretReplaced(Exception):
    """The session has another secret than this request knows."""


def carry_out(job: Job, wanted: Create | Update | Remove, found: Found | None, phase: Phase) -> Saved:
    """Store what is planned, as far as what was found, and what became of it since, allow."""
    logs_in, stored = job.pending.logs_in, job.stored
    if isinstance(wanted, Create):
        return begin_another(job) if found is REPLACED else create(job, wanted)
    assert stored is not None
    start = stored.record.data
    if phase is STALE:
        return begin_another(job) if logs_in else merge_stale(job, stored.key, start)
    return update(job, wanted, start) if isinstance(wanted, Update) else remove(job, wanted, start)


# New sessions.


def create(job: Job, plan: Create) -> Saved:
    """Store a new session, under a key that is derived from the visitor's cookie.

    So requests that run at once with one cookie begin one session. If the key is taken, another of them was first; or
    an older session has it, and the next key is tried.
    """
    key_from, prefix = job.persistence.tokens.key_from, job.prefix()
    for number in range(DERIVED_KEYS):
        key = key_from(job.seed, prefix, number)
        if saved := _create_under(job, plan, key) or _meet(job, key):
            return saved
    for _ in range(DERIVED_KEYS):
        if saved := _create_under(job, plan, key_from(Presented("", new_secret()), prefix)):
            return saved
    named = job.persistence.settings.name_of("key_prefix")
    raise StoreError(f"No new session could be stored, since every key was taken: check {named}")


def _create_under(job: Job, plan: Create, key: str) -> Saved | None:
    persistence, pending = job.persistence, job.pending
    logs_in = pending.logs_in
    if pending.attempt is None:
        pending.attempt = new_secret(), new_salt()
    secret, salt = pending.attempt
    if logs_in:
        secret = _next_secret(job, key, NewSecret.LOGIN, job.seed.secret, salt)
    elif job.seed.key == BLANK_KEY:
        secret = _next_secret(job, key, NewSecret.BEGUN, job.seed.secret, salt)
    record = plan.record._replace(verifier=verifier_of(secret), salt=salt)
    if logs_in:
        record = _logged_in_now(persistence, record)
    stored = persistence.store.create(key, record) or _created_before(persistence, key, record)
    if stored is None:
        return None
    return Saved(Stored(key, stored, secret), created=True, new_secret=True, logged_in=logs_in)


def _created_before(persistence: Persistence, key: str, record: Record) -> Record | None:
    """The stored record, if it is ours: a store may have created it, and its answer was lost."""
    stored: Record | None = persistence.store.load(key, True)
    if stored is None or stored.verifier != record.verifier:
        return None
    if stored.data == record.data:
        return stored
    return persistence.replace(key, stored, lambda current: record.versioned(current.version))


def _meet(job: Job, key: str) -> Saved | None:
    """Merge into the session that another request has just begun; None if another one must be begun."""
    record = job.persistence.load(key, True)
    if record is None or record.data == UNREADABLE:
        return None
    # Judged by when this request loaded: it may have waited for long since.
    young = job.at - record.created <= REPLACED_SECONDS
    if not job.pending.logs_in:
        return (_join_begun(job, key, record) or merge_stale(job, key, EMPTY)) if young else None
    if joined := _join_same_login(job, key):
        return joined
    if record.userid is not None or not young:
        return None
    try:
        return _replace(job._replace(stored=Stored(key, record, job.seed.secret)), EMPTY, NewSecret.LOGIN)
    except (_SecretReplaced, SessionGone):
        # A third request was first: the same login, or one that begins or ends another session.
        return _join_same_login(job, key)


def _join_begun(job: Job, key: str, record: Record) -> Saved | None:
    """Merge into the session that another request with the same blank cookie has just begun, and send its cookie too.

    The answer of the other request may never arrive: a browser drops it if its user clicks twice.
    """
    known = job.persistence.tokens.succession(job.seed.secret, key, record) if job.seed.key == BLANK_KEY else None
    if known is None or known[0] is not NewSecret.BEGUN:
        return None
    return _merge_into(job, Stored(key, record, known[1]), EMPTY)


def _join_same_login(job: Job, key: str) -> Saved | None:
    """Merge into the session in which the same login of this browser succeeded a moment ago; None if there is none."""
    persistence = job.persistence
    record: Record | None = persistence.store.load(key, True)
    if record is None or record.userid != job.pending.fields["userid"] or not is_recent(record.replaced, job.at):
        return None
    known = persistence.tokens.succession(job.seed.secret, key, record)
    if known is None or known[0] is NewSecret.REGENERATED:
        return None
    start = job.stored.record.data if job.stored is not None else EMPTY
    return _merge_into(job, Stored(key, record, known[1]), start)


def _with_later_login(job: Job, record: Record) -> Record:
    """Of two clicks on "change password" the later one knows the credentials that stay."""
    fields = job.pending.fields
    if not job.pending.logs_in:
        return record
    if fields["credentials"] == record.credentials or fields["authenticated"] <= (record.authenticated or 0):
        return record
    return record._replace(authenticated=fields["authenticated"], credentials=fields["credentials"])


# Updates.


def update(job: Job, plan: Update, start: bytes) -> Saved:
    """Replace the stored session, and merge if another request was first. ``start``: its contents when loaded."""
    stored, logs_in = job.stored, job.pending.logs_in
    assert stored is not None
    simple = plan.new_secret is None and not (job.pending.fields or job.pending.limits)
    if simple and (saved := job.persistence.update_contents(stored.key, plan.record)) is not None:
        # What nearly every request comes to.
        return Saved(Stored(stored.key, saved, stored.secret), resend=plan.resend)
    try:
        return _replace(job, start, plan.new_secret, plan, tried=simple)
    except SessionGone:
        if not logs_in:
            raise
    except _SecretReplaced:
        if not logs_in:
            return merge_stale(job, stored.key, start)
    return begin_another(job)


def begin_another(job: Job) -> Saved:
    """Save a login that cannot go on in its session: it is the same login twice, or it begins another session."""
    if joined := _join_same_login(job, job.seed.key):
        return joined
    record = new_record(job.persistence.settings, job.at)
    return create(job, Create(next_record(record, job.pending, job.data, job.at)))


def remove(job: Job, plan: Remove, start: bytes) -> Saved:
    """Remove the session, unless another request has put something into it: then merge with that."""
    try:
        return _replace(job, start, job.pending.new_secret, plan)
    except _SecretReplaced:
        assert job.stored is not None
        return merge_stale(job, job.stored.key, start)


def _replace(
    job: Job, start: bytes, why: NewSecret | None, plan: Update | Remove | None = None, tried: bool = False
) -> Saved:
    """Replace the record of ``job.stored``, with a new secret if there is a reason for one (``why``).

    ``plan``: what to store if nothing changed since the request loaded; without it merge in any case. ``tried``: that
    was tried already, and something had changed.
    """
    stored = job.stored
    assert stored is not None
    key, base, secret = stored
    logs_in, opened_by_key = job.pending.logs_in, secret is None
    changes: dict[str, Any] = {}
    if why is not None:
        secret = _next_secret(job, key, why, secret, base.salt)
        changes = {"verifier": verifier_of(secret), "replaced": _microseconds()}
    merged: Contents | None = None
    again = False

    def build(current: Record) -> Record:
        nonlocal merged, again
        if current.verifier != base.verifier:
            if current.salt != base.salt:
                raise SessionGone(_another(key))
            # Whoever opened the session without its secret does not mind another one, unless they replace it too.
            if why is not None or not opened_by_key:
                raise _SecretReplaced
        if isinstance(plan, Update) and current.version == base.version:
            record = plan.record
        else:
            merged, data = _merged(job, start, current)
            again = was_removed(current)
            if again:
                current = _begun_again(job, key, current, data, secret)
            elif job.persistence.settings.delete_empty and is_to_be_removed(current, job.pending, data):
                return removed_record(current, time())
            record = next_record(current, job.pending, data, job.at)
        if changes:
            record = record._replace(**changes)
        return _logged_in_now(job.persistence, record) if logs_in else record

    saved = job.persistence.replace(key, base, build, tried)
    if was_removed(saved):
        return Saved(Stored(key, saved, None), removed=True)
    resend = again or (plan is not None and plan.resend)
    return Saved(Stored(key, saved, secret), merged, again, why is not None, resend, logged_in=logs_in)


def _begun_again(job: Job, key: str, removed: Record, data: bytes, secret: str | None) -> Record:
    """The session that another request has removed, for a request that has something to keep in it.

    Its browser may have lost the cookie, and gets it again. Without the secret there is none to send.
    """
    if secret is None or (data == EMPTY and not job.pending.logs_in):
        raise SessionGone(_removed(key))
    return begun_again(removed, job.persistence.settings, time())


# Stale requests.


def merge_stale(job: Job, key: str, start: bytes) -> Saved:
    """Merge the contents of a request whose secret was replaced meanwhile. It may do nothing else."""
    if time() - job.at > STALE_SECONDS:
        raise SessionGone(f"Session {key[:8]} got a new secret from another request")
    record = job.stored.record if job.stored is not None else new_record(job.persistence.settings, job.at)

    def build(current: Record) -> Record:
        # A request that began nothing itself has no salt, before it has met the session that another one began.
        if record.salt not in ("", current.salt):
            raise SessionGone(_another(key))
        if was_removed(current):
            # There is no cookie for it any more, and this request may send none.
            raise SessionGone(_removed(key))
        return _with_stale(job, start, current)

    if job.data != start:
        merged = job.persistence.replace(key, job.persistence.load_again(key), build)
        record = record._replace(salt=merged.salt)
    return Saved(Stored(key, record._replace(data=job.data), None), stale=True)


def _with_stale(job: Job, start: bytes, current: Record) -> Record:
    serializer = job.persistence.serializer
    before, mine = serializer.loads(start), serializer.loads(job.data)
    # A nonce of this request would make the forms useless that the browser shows by now.
    mine.pop(CSRF_KEY, None)
    if CSRF_KEY in before:
        mine[CSRF_KEY] = before[CSRF_KEY]
    theirs = _contents(serializer, current)
    contents = merge(before, mine, theirs, job.pending.applied, stored_wins=True, serializer=serializer)
    return merged_record(current, serializer.dumps(contents))


def _merge_into(job: Job, base: Stored, start: bytes) -> Saved | None:
    """Merge the contents into this session; None if it got another secret meanwhile, or was ended."""
    merged: Contents | None = None
    again = False

    def build(current: Record) -> Record:
        nonlocal merged, again
        if current.verifier != base.record.verifier:
            raise _SecretReplaced
        merged, data = _merged(job, start, current)
        again = was_removed(current)
        if again:
            current = _begun_again(job, base.key, current, data, base.secret)
        return _with_later_login(job, merged_record(current, data))

    try:
        saved = job.persistence.replace(base.key, base.record, build)
    except (_SecretReplaced, SessionGone):
        return None
    return Saved(base._replace(record=saved), merged, created=again, resend=True)


# Parts.


def _merged(job: Job, start: bytes, current: Record) -> tuple[Contents, bytes]:
    # Not measured: each side was small enough, and what is refused now would be lost.
    serializer = job.persistence.serializer
    before, mine, theirs = serializer.loads(start), serializer.loads(job.data), _contents(serializer, current)
    data, contents = serializer.encode(merge(before, mine, theirs, job.pending.applied, serializer=serializer))
    return contents, data


def _contents(serializer: Serializer, record: Record) -> Contents:
    try:
        return serializer.loads(record.data)
    except ValueError:
        raise StoreError("What is stored for this session cannot be decoded any more") from None


def _removed(key: str) -> str:
    return f"Session {key[:8]} was removed by another request, since it was empty"


def _another(key: str) -> str:
    return f"Session {key[:8]} was ended, and its key belongs to another one"


def _next_secret(job: Job, key: str, why: NewSecret, before: str | None, salt: str) -> str:
    """The new secret; a random one where the old one is not known."""
    if before is None:
        return new_secret()
    record = job.stored.record if job.stored is not None else None
    userid = job.pending.fields.get("userid", record.userid if record is not None else None)
    return job.persistence.tokens.secret_after(before, key, why, userid, salt)


def _logged_in_now(persistence: Persistence, record: Record) -> Record:
    assert record.userid is not None
    at = persistence.time_of_login(record.userid, record.authenticated or _microseconds())
    return record._replace(authenticated=at, replaced=_microseconds())


def _microseconds() -> int:
    return int(time() * 1_000_000)
