"""How an old session becomes one of ours, once, whatever runs at the same time.

A new session is stored under a random key, which nobody knows yet. Then a *mark* is stored, under a key that is derived
from the old token: it names that session. To create the mark is one atomic operation of the store. Of requests that
adopt at once one succeeds, and the others delete what they stored and go on with what the mark names. So a mark whose
session is gone means that the session has ended since, and the old token opens nothing any more.

All of it is done on the store itself, also in joined mode: other requests must see it before this one has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from time import time
from typing import Any

from pyramid_sessionkit.adoption.new_records import (
    adopted_record,
    begun_record,
    imported_record,
    kept_contents,
    mark_record,
    named_by,
)
from pyramid_sessionkit.adoption.old_sessions import Adopted, OldSessions, cookie_values
from pyramid_sessionkit.events import SessionCreated
from pyramid_sessionkit.exceptions import SessionGone, StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session_id.tokens import new_secret, opens
from pyramid_sessionkit.state import LIVE, REPLACED, SEND, Found, Opened, Phase, Presented, Stored

log = logging.getLogger("pyramid_sessionkit")

OUTCOME = "pyramid_sessionkit.adoption"
"""Where the environ of a request has its :class:`Outcome`, if its browser sent an old token that was ever adopted."""


class Outcome(Enum):
    """What became of the old session of a browser."""

    ADOPTED = "it goes on in ours, and its browser has no cookie of ours yet"
    ENDED = "it went on in ours, and that has ended"


class Adoption:
    """Adopts the old sessions of an application. Until ``old`` is set there are none."""

    def __init__(self, persistence: Persistence) -> None:
        self.old: OldSessions | None = None
        self._persistence = persistence

    def adopt_from(self, old: OldSessions) -> None:
        """Say whose sessions are adopted."""
        self.old = old
        if old.keep and old.cookie == self._persistence.settings.cookie.name:
            log.warning(
                "The old cookie is called %s, and ours overwrites it: visitors do not have it any more if the site "
                "goes back. Set sessionkit.cookie_name to another name",
                old.cookie,
            )

    def find(self, request: Any, prefix: Callable[[], str], opened: Opened) -> Opened:
        """What the old token of a request opens. ``opened``: what its cookies of ours opened, which goes first."""
        if self.old is None or opened.found is LIVE or opened.found is REPLACED:
            return opened
        token = self.old.token(request)
        found = self._found(request, token, prefix()) if token else None
        if found is None:
            self._log_nothing(request)
            return opened
        if found.found is REPLACED:
            return found  # its browser is about to get the cookie of the request that replaced it
        request.environ[OUTCOME] = Outcome.ADOPTED if found.found is LIVE else Outcome.ENDED
        return found if found.found is LIVE else opened

    def _found(self, request: Any, token: str, prefix: str) -> Opened | None:
        marks = self._persistence.tokens.mark_keys(token, prefix)
        if (found := self._marked(token, marks)) is not None:
            return found
        adopted = self._read(request, token)
        if adopted is None or _has_ended(adopted):
            # Another request may have adopted it since, and deleted the old record.
            return self._marked(token, marks)
        return self._adopt(token, adopted, marks[0], prefix)

    def _marked(self, token: str, marks: list[str]) -> Opened | None:
        records = (self._persistence.store.load(mark, True) for mark in marks)
        return next((self._named(record, token) for record in records if record is not None), None)

    def _read(self, request: Any, token: str) -> Adopted | None:
        assert self.old is not None
        try:
            return self.old.read(request, token)
        except StoreUnavailable:
            raise
        except Exception as error:
            raise StoreUnavailable(f"The old session cannot be read: {type(error).__name__}: {error}") from error

    def _log_nothing(self, request: Any) -> None:
        """With a wrong secret in the configuration nobody is adopted, and nothing else would say so."""
        assert self.old is not None
        if log.isEnabledFor(logging.DEBUG) and cookie_values(request, self.old.cookie):
            log.debug(
                "The cookie %s opens no old session: that has ended, or was signed with another secret, or is not "
                "where it is looked for",
                self.old.cookie,
            )

    # With a mark.

    def _named(self, mark: Record, token: str) -> Opened:
        """What the session opens as that a mark names."""
        persistence, key = self._persistence, named_by(mark)
        record = None if key is None else persistence.store.load(key, True)
        if key is None or record is None:
            return _dead()
        secrets = persistence.tokens.adopted_secrets(token, key)
        secret = next((one for one in secrets if opens(one, record)), secrets[0])
        presented = [Presented(key, secret)]
        opened = persistence.find(presented, True)
        if opened.stored is not None and self._begin(opened.stored, mark):
            opened = persistence.find(presented, True)
        return opened._replace(cookie=SEND) if opened.found is LIVE else opened

    def _begin(self, stored: Stored, mark: Record) -> bool:
        """The limits of an imported session count from the first visit; False if it has begun before."""
        persistence, key, record = self._persistence, stored.key, stored.record
        if begun_record(record, mark, persistence.settings) is record:
            return False
        # Another request may have begun it, and ended it or replaced its secret.
        with suppress(SessionGone):
            persistence.replace(key, record, lambda current: begun_record(current, mark, persistence.settings))
        return True

    # Without one.

    def _adopt(self, token: str, adopted: Adopted, mark: str, prefix: str) -> Opened:
        stored = self._stored(token, adopted, prefix, lambda record: record)
        if not self._marks(mark, stored.key, adopted):
            self._persistence.store.delete(stored.key)
            return self._marked(token, [mark]) or _dead()
        self._persistence.tell(SessionCreated(stored.key, stored.record.userid))
        self._forget(token)
        assert stored.secret is not None
        contents = self._persistence.serializer.loads(stored.record.data)
        return Opened(
            LIVE, Presented(stored.key, stored.secret), stored, contents, stored.record.created, Phase.OPEN, SEND
        )

    def _stored(self, token: str, adopted: Adopted, prefix: str, change: Callable[[Record], Record]) -> Stored:
        persistence = self._persistence
        key = persistence.tokens.key_from(Presented("", new_secret()), prefix)
        secret = persistence.tokens.adopted_secrets(token, key)[0]
        data = kept_contents(adopted.contents, persistence.serializer, persistence.settings.max_size)
        wanted = change(adopted_record(adopted, data, secret, persistence.settings))
        # A store may have created it before, and its answer was lost.
        record = persistence.store.create(key, wanted) or persistence.store.load(key, True)
        if record is None or record.verifier != wanted.verifier:
            raise StoreError("No new session could be stored, since its key was taken: check sessionkit.key_prefix")
        return Stored(key, record, secret)

    def _marks(self, mark: str, key: str, adopted: Adopted) -> bool:
        """Whether this session is the one that the old token names from now on."""
        store = self._persistence.store
        if store.create(mark, mark_record(key, adopted)) is not None:
            return True
        # A store may have created it before, and its answer was lost.
        found = store.load(mark, True)
        return found is not None and named_by(found) == key

    def _forget(self, token: str) -> None:
        old = self.old
        assert old is not None
        if old.keep:
            return
        try:
            old.forget(token)
        except Exception:
            log.exception("An old session was adopted, and its old record could not be deleted")

    # For the response, and for ``psessions import``.

    def deletions(self, request: Any, ends: bool, sends: bool) -> list[str]:
        """The ``Set-Cookie`` values that delete the old cookies, if it is time.

        ``ends``: the visitor has logged out. ``sends``: the response has our cookie: no browser may lose its old cookie
        before.
        """
        if self.old is None:
            return []
        outcome = request.environ.get(OUTCOME)
        adopted = outcome is Outcome.ADOPTED and sends and not self.old.keep
        return self.old.deletions(request) if ends or adopted or outcome is Outcome.ENDED else []

    def knows(self, token: str) -> bool:
        """Whether the session of this token was adopted or imported before."""
        marks = self._persistence.tokens.mark_keys(token, "")
        return any(self._persistence.store.load(mark, True) is not None for mark in marks)

    def import_one(self, token: str, adopted: Adopted, credentials: str | None) -> bool:
        """Store a session for the visitor who will come with this token; False if that was done before.

        ``credentials``: what ``credentials_hash`` says of the user today, as it is stored.
        """
        if self.knows(token):
            return False
        stored = self._stored(token, adopted, "", lambda record: imported_record(record, adopted, credentials))
        if self._marks(self._persistence.tokens.mark_keys(token, "")[0], stored.key, adopted):
            return True
        self._persistence.store.delete(stored.key)
        return False


def _has_ended(adopted: Adopted) -> bool:
    """Whether its end has come by our clock: the mark that keeps it from coming back is about to go."""
    return adopted.expires is not None and adopted.expires <= time()


def _dead() -> Opened:
    return Opened(Found.DEAD, None, None, {}, time())
